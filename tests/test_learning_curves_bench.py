"""The bench of learning curves: which of its runs are made anew, and that a file of runs reads as it was written."""

from pathlib import Path

from benchmarks.learning_curves.runner import Run, append, read, remove


def made(seed: int, *, epochs: int, path: tuple[tuple[int, float], ...]) -> Run:
    return Run("auto-model", "3945", 1, seed, 1300, epochs, 9, len(path), 1.5, path)


def test_a_run_is_short_of_a_target_that_is_harder_than_the_one_it_ended_at() -> None:
    ended = made(0, epochs=104, path=((52, 3.0), (104, 2.0)))
    assert not ended.ended_before(2.0)
    assert ended.ended_before(1.9)
    assert not made(0, epochs=1300, path=((52, 3.0),)).ended_before(1.9)
    assert not made(0, epochs=1300, path=()).ended_before(1.9)


def test_runs_are_kept_and_taken_out(tmp_path: Path) -> None:
    file = tmp_path / "runs.csv"
    runs = [made(seed, epochs=104, path=((52, 3.0), (104, 2.0 + seed))) for seed in range(3)]
    for run in runs:
        append(file, run)
    assert read(file) == runs
    remove(file, runs[1])
    append(file, runs[1])
    assert read(file) == [runs[0], runs[2], runs[1]]
