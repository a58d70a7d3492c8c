"""Records of runs of the regret benchmark, for its tests."""

from benchmarks.regret.records import Record


def record(
    problem: str, seed: int, *improvements: tuple[int, float], evaluations: int = 100, error: str = ""
) -> Record:
    return Record(problem, 1, seed, evaluations, improvements, (), 1.0, 0.01, "1.0", error)
