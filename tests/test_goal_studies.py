"""Study files with several objectives and constraints on metrics, and what their runs leave."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from mpi_runs import Launcher, Studio, launchers
from run_folders import CONFIG, opened, rows, study

from learning_objective.results import ResultError, Wanted, read_result
from reverie.report.evidence import read_evidence
from utilities.errors import StudyError
from utilities.goals import Goals
from utilities.pareto import non_dominated
from utilities.storage.kept_folders import KeptFolders
from utilities.storage.repair import repair
from utilities.storage.study import Study
from utilities.storage.study_file import read_study
from utilities.trial import Outcome, Trial, TrialRecord, TrialState

SEVERAL: dict[str, Any] = {"objectives": ["error", "accuracy"], "directions": ["minimize", "maximize"]}
BOUND: dict[str, Any] = {"metric_constraints": ["params <= 0.6", "seconds < 100"]}
SOURCE = """
def objective(config):
    x, y = config["x"], config["y"]
    if x > 0.95:
        raise ValueError("too large")
    found = {"error": x ** 2 + y ** 2, "accuracy": 1.0 - (x - 1) ** 2 - (y - 1) ** 2, "params": x}
    if y > 0.97:
        del found["params"]
    return found
"""
SINGLE = "def objective(config): return {'objective': config['x'] + config['y'], 'params': -config['x']}"


# --- study files ------------------------------------------------------------------------------------------------------


def written(folder: Path, **settings: Any) -> Study:
    space = {"x": {"type": "float", "low": 0.0, "high": 1.0}}
    path = folder / "study.json"
    path.write_text(json.dumps({"study": {"objective": "train.py:objective", **settings}, "space": space}))
    return read_study(path)


def test_the_keys_are_read_and_come_back(tmp_path: Path) -> None:
    found = written(tmp_path, **SEVERAL, **BOUND)
    assert found.goals.names == ("error", "accuracy")
    assert found.goals.targets == ("error", "accuracy", "params", "seconds")
    own = found.to_dict()["study"]
    assert "direction" not in own
    assert {key: own[key] for key in (*SEVERAL, *BOUND)} == {**SEVERAL, **BOUND}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"objectives": ["a"]}, "objectives must name at least two metrics"),
        ({"objectives": ["a", "a"]}, "each metric once"),
        ({"objectives": "a, b"}, "objectives must be a list of strings"),
        ({"objectives": ["a", "b"], "direction": "maximize"}, r'it is directions = \["maximize", "maximize"\]'),
        ({"objectives": ["a", "b"], "directions": ["minimize"]}, "directions must be 2, one for each"),
        (
            {"objectives": ["a", "b"], "directions": ["minimize", "maximise"]},
            r'directions\[1\].*Did you mean "maximize"',
        ),
        ({"directions": ["minimize", "minimize"]}, "directions needs objectives"),
        ({"objectives": ["a", "b"], "acquisition": "ucb", "method": "gp"}, "acquisition must be ei"),
        ({"metric_constraints": ["a == 3"]}, r"metric_constraints\[0\] must be a metric"),
        ({"metric_constraints": "a < 3"}, "metric_constraints must be a list of strings"),
        ({"constraints": ["a < 3"]}, "is not a parameter. Bounds of metrics belong under metric_constraints"),
        ({"metrics_constraints": ["a < 3"]}, 'Did you mean "metric_constraints"'),
    ],
)
def test_mistakes_are_told(tmp_path: Path, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(StudyError, match=told):
        written(tmp_path, **settings)


def test_early_stopping_is_of_one_objective(tmp_path: Path) -> None:
    table = {"study": {"objective": "a.py:b", **SEVERAL}, "space": {"x": {"type": "bool"}}}
    path = tmp_path / "study.json"
    path.write_text(json.dumps({**table, "early_stopping": {"rule": "asha"}}))
    with pytest.raises(StudyError, match=r"\[early_stopping\] goes by the values of one objective"):
        read_study(path)


# --- what an objective returns ----------------------------------------------------------------------------------------

SECONDS_TOO = Wanted(("error", "seconds"), ("params",))


def test_values_are_metrics_and_seconds_may_be_left_out() -> None:
    assert read_result({"error": 1, "params": 2.5, "x": 3}, SECONDS_TOO) == (None, {"error": 1, "params": 2.5, "x": 3})
    assert read_result({"objective": 4, "error": 1, "params": 2}, SECONDS_TOO)[0] == 4.0
    assert read_result({"objective": 4}, Wanted(metrics=("seconds",))) == (4.0, {})
    assert read_result(4, Wanted(metrics=("seconds",))) == (4.0, {})


def test_what_is_wanted_is_kept_among_very_many_metrics() -> None:
    many = {**{f"m{i}": i for i in range(5000)}, "error": 1.0, "params": 2.0}
    assert {"error", "params"} < read_result(many, SECONDS_TOO)[1].keys()


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        (1.0, r'objective returned a float \(1.0\); a dict with "error" and "params" is needed'),
        ({"error": 1.0}, r"""objective returned a dict without "params" \(it has 'error'\)"""),
        ({"error": float("nan"), "params": 1.0}, 'objective returned nan for "error"'),
        ({"error": 1.0, "params": "many"}, r"""objective returned a str \('many'\) for "params"; a number is needed"""),
        ({"error": 1.0, "params": 1.0, "seconds": float("inf")}, 'objective returned inf for "seconds"'),
    ],
)
def test_what_lacks_a_metric_fails_with_a_reason(returned: object, told: str) -> None:
    with pytest.raises(ResultError, match=told):
        read_result(returned, SECONDS_TOO)


# --- the run folder ---------------------------------------------------------------------------------------------------


def outcome(error: float, accuracy: float, params: float) -> Outcome:
    return Outcome(TrialState.COMPLETE, None, {"error": error, "accuracy": accuracy, "params": params}, 2.0)


def play(folder: Path, **settings: Any) -> None:
    with opened(folder, study(**settings)) as run:
        run.session(1, 1000.0)
        for number, values in enumerate([(1.0, 0.5, 0.1), (2.0, 0.9, 0.2), (2.0, 0.8, 0.3), (0.5, 0.9, 0.9)]):
            run.asked(Trial(number, CONFIG), "initial")
            run.started(number, "0@here", 1001.0)
            run.finished(number, outcome(*values), 1002.0 + number)
        run.asked(Trial(4, CONFIG), "initial")
        run.finished(4, Outcome(TrialState.FAIL, message="no"), 1010.0)
        run.checkpoint({}, study().space)


def test_tables_hold_the_values_and_who_is_feasible(tmp_path: Path) -> None:
    play(tmp_path, **SEVERAL, **BOUND)
    table = rows(tmp_path / "digits")
    assert [(row["values_0"], row["values_1"]) for row in table][:2] == [("1.0", "0.5"), ("2.0", "0.9")]
    assert [row["user_attrs_feasible"] for row in table] == ["True", "True", "True", "False", ""]
    assert table[4]["values_0"] == ""
    with h5py.File(tmp_path / "digits" / "study.h5") as file:
        assert file["pareto/number"][()].tolist() == [0, 1]
        np.testing.assert_array_equal(file["trials/values"][:3], [[1.0, 0.5], [2.0, 0.9], [2.0, 0.8]])
        np.testing.assert_array_equal(file["trials/feasible"], [1.0, 1.0, 1.0, 0.0, np.nan])
        assert "direction" not in file.attrs


def test_other_objectives_are_another_study_and_other_constraints_are_not(tmp_path: Path) -> None:
    play(tmp_path, **SEVERAL, **BOUND)
    for changes in ({"directions": ["minimize", "minimize"]}, {"objectives": ["error", "params"]}):
        with (
            pytest.raises(StudyError, match="another study of this name"),
            opened(tmp_path, study(**{**SEVERAL, **changes})),
        ):
            pass
    other = study(**SEVERAL, metric_constraints=["params <= 1"])
    with opened(tmp_path, other) as run:
        run.sync()
        assert any("continues with other metric_constraints" in message for message in run.messages)
    assert [row["user_attrs_feasible"] for row in rows(tmp_path / "digits")] == ["True"] * 4 + [""]


def test_repair_takes_a_lost_header_from_the_archive_with_all_objectives(tmp_path: Path) -> None:
    play(tmp_path, **SEVERAL, **BOUND)
    journal = tmp_path / "digits" / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"damaged\n" + b"".join(lines[1:]))
    repair(tmp_path / "digits")
    with opened(tmp_path, study(**SEVERAL, **BOUND)) as run:
        assert len(run.records) == 5


def test_a_study_of_the_same_objectives_is_a_warm_start_and_another_is_not(tmp_path: Path) -> None:
    play(tmp_path, **SEVERAL)
    warm = {"name": "new", "folder": tmp_path, "warm_start": ["digits"]}
    with opened(tmp_path, study(**SEVERAL, **BOUND, **warm)) as run:
        found = [(one.objective, one.metrics["error"], one.metrics["params"]) for one in run.observed]
        assert found == [(None, 1.0, 0.1), (None, 2.0, 0.2), (None, 2.0, 0.3), (None, 0.5, 0.9)]
    for wrong in ({}, {**SEVERAL, "directions": ["minimize", "minimize"]}, {"objectives": ["error", "params"]}):
        with (
            pytest.raises(StudyError, match="must have the same"),
            opened(tmp_path, study(**wrong, **{**warm, "name": "w"})),
        ):
            pass


@pytest.mark.parametrize("split", [4, 2])
def test_the_folders_of_the_front_are_kept_first_and_those_not_feasible_last(tmp_path: Path, split: int) -> None:
    goals = study(**SEVERAL, **BOUND).goals
    values = [(2.0, 0.8, 0.1), (0.1, 0.9, 0.9), (1.0, 0.5, 0.1), (2.0, 0.9, 0.2)]
    records = [TrialRecord(Trial(i, {}), "model", outcome(*value)) for i, value in enumerate(values)]
    for i in range(4):
        (tmp_path / "trials" / str(i)).mkdir(parents=True)
    for part in (records[:split], records[split:]):
        folders = KeptFolders(tmp_path, goals, 3, [])
        folders.note(records[: records.index(part[0])] if part else [])
        folders.note(part)
        folders.close()
    assert sorted(path.name for path in (tmp_path / "trials").iterdir()) == ["0", "2", "3"]
    best = {path.name: path.resolve().name for path in (tmp_path / "best").iterdir()}
    assert best == {"1_1_0.5": "2", "2_2_0.9": "3", "3_2_0.8": "0"}


def test_of_one_objective_a_trial_that_keeps_the_constraints_is_kept_before_a_better_one(tmp_path: Path) -> None:
    goals = Goals(constraints=study(**BOUND).goals.constraints)
    folders = KeptFolders(tmp_path, goals, 2, [])
    found = [(1.0, 0.7), (2.0, 0.9), (3.0, 0.1)]
    for i in range(3):
        (tmp_path / "trials" / str(i)).mkdir(parents=True)
    folders.note(
        TrialRecord(Trial(i, {}), "model", Outcome(TrialState.COMPLETE, value, {"params": params}, 1.0))
        for i, (value, params) in enumerate(found)
    )
    folders.close()
    assert sorted(path.name for path in (tmp_path / "trials").iterdir()) == ["0", "2"]
    assert sorted(path.name for path in (tmp_path / "best").iterdir()) == ["1_3", "2_1"]


# --- whole runs -------------------------------------------------------------------------------------------------------


@pytest.fixture(params=launchers() or [None], ids=str)
def studio(request: pytest.FixtureRequest, tmp_path: Path) -> Studio:
    launcher: Launcher | None = request.param
    assert launcher is not None, "there is no mpiexec: pip install reverie[mpich]"
    return Studio(launcher, tmp_path / "project")


def check_front(studio: Studio) -> None:
    """The front in the summary is that of the table."""
    table = [row for row in studio.rows() if row["user_attrs_feasible"] == "True"]
    values = np.array([(float(row["values_0"]), -float(row["values_1"])) for row in table])
    wanted = [int(row["number"]) for row, front in zip(table, non_dominated(values), strict=True) if front]
    summary = studio.summary()
    assert sorted(trial["number"] for trial in summary["pareto"]) == sorted(wanted)
    assert summary["feasible"] == len(table)
    assert summary["best"] is summary["predicted_best"] is None


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [1, 4])
def test_several_objectives_on_real_ranks(studio: Studio, ranks: int) -> None:
    studio.study(SOURCE, method="gp", budget=16, **SEVERAL, **BOUND)
    run = studio.run(ranks)
    assert (run.status, run.err) == (0, "")
    assert "Pareto front:" in run.out
    assert "completion...  front " in run.out
    assert "model" in {record["origin"] for record in studio.records("asked")}
    check_front(studio)
    with h5py.File(studio.left / "study.h5") as file:
        assert set(file["surrogate"]) == {"gp@error", "gp@accuracy", "gp@params", "gp@seconds"}
    assert studio.run(ranks, "--budget", "20").status == 0
    assert len(studio.rows()) == 20
    check_front(studio)


@pytest.mark.mpi
def test_a_killed_run_of_several_objectives_goes_on(studio: Studio) -> None:
    slow = SOURCE.replace("x, y =", "__import__('time').sleep(0.2); x, y =")
    studio.study(slow, method="gp", budget=14, **SEVERAL, **BOUND)
    with studio.start(4) as run:
        run.until(lambda: len(studio.records("finished")) >= 9)
    before = {record["number"]: record["outcome"] for record in studio.records("finished")}
    assert len(before) >= 9
    assert studio.run(4).status == 0
    after = {record["number"]: record["outcome"] for record in studio.records("finished")}
    assert {number: after[number] for number in before} == before
    assert sorted(after) == list(range(14))
    check_front(studio)


@pytest.mark.mpi
def test_nothing_feasible_is_told_and_is_no_failure(studio: Studio) -> None:
    studio.study(SINGLE, method="gp", budget=8, metric_constraints=["params > 5"])
    run = studio.run(1)
    assert run.status == 0
    assert "No trial keeps params > 5" in run.out
    assert studio.summary()["best"] is None


@pytest.mark.mpi
def test_trials_that_lack_a_metric_fail(studio: Studio) -> None:
    studio.study(SINGLE, budget=3, metric_constraints=["weights < 5"])
    assert studio.run(1).status == 3
    reason = """objective returned a dict without "weights" (it has 'objective', 'params')"""
    assert {row["user_attrs_failure"] for row in studio.rows()} == {reason}


# --- the report -------------------------------------------------------------------------------------------------------


def test_a_report_under_constraints_has_the_best_feasible_trial(tmp_path: Path) -> None:
    with opened(tmp_path, study(**BOUND)) as run:
        run.session(1, 1000.0)
        for number, (objective, params) in enumerate([(2.0, 0.1), (1.0, 0.9), (3.0, 0.1)]):
            run.asked(Trial(number, CONFIG), "initial")
            run.finished(number, Outcome(TrialState.COMPLETE, objective, {"params": params}, 1.0), 1002.0)
    best = read_evidence(tmp_path / "digits").best
    assert best is not None
    assert best.trial.number == 0
