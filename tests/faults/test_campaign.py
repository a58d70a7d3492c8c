"""A short campaign of faults in real runs, and the checks of the campaign themselves on journals with breaches."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.faults import checks
from benchmarks.faults.__main__ import BREACHES, plan, table
from benchmarks.faults.injections import INJECTIONS
from benchmarks.faults.scenario import Scenario, Setting, play, settings
from benchmarks.faults.study import BUDGET, OBJECTIVE_FAULTS, Log, value
from benchmarks.launching import Launcher, launchers
from utilities.storage.records import Asked, Finished, Header, encode_record
from utilities.trial import Outcome, Trial, TrialState

OWN = tuple(OBJECTIVE_FAULTS)
SHORT = [
    ("MPICH", ("kill the master", "torn journal", "SIGTERM")),
    ("MPICH", ("kill mpiexec", "flipped bit", *OWN[:3])),
    ("MPICH", ("full disk", "SIGUSR2 to all", *OWN[3:6])),
    ("Open MPI", ("kill a worker", "SIGUSR1", "damaged study.h5")),
    ("Open MPI", ("kill the trainer", "SIGTERM to all", "no study.h5", *OWN[6:])),
    ("Open MPI, ulfm", ("kill two workers", "kill a child")),
    ("Open MPI, ulfm", ("pause a worker", "kill the master", "SIGUSR1 twice")),
]


@pytest.fixture(scope="module")
def found() -> dict[str, Setting]:
    return {str(setting): setting for setting in settings(launchers())}


@pytest.mark.mpi
@pytest.mark.parametrize(("name", "faults"), SHORT, ids=lambda part: part if isinstance(part, str) else "-".join(part))
def test_nothing_is_lost(name: str, faults: tuple[str, ...], found: dict[str, Setting], tmp_path: Path) -> None:
    if name not in found:
        pytest.skip(f"no {name} here: REVERIE_TEST_MPIEXEC may name its mpiexec")
    assert play(Scenario(7, found[name], faults), tmp_path).breaches == []


def test_the_short_campaign_has_every_fault_from_outside_but_one() -> None:
    """SIGINT goes the way of SIGTERM."""
    assert {fault for _, faults in SHORT for fault in faults} == INJECTIONS.keys() - {
        "SIGINT"
    } | OBJECTIVE_FAULTS.keys()


def test_a_plan_has_every_fault_alone_then_pairs_and_is_the_same_every_time() -> None:
    options = [Setting(Launcher(Path("a")), False, False), Setting(Launcher(Path("b")), True, True)]
    scenarios = plan(120, 0, options)
    assert scenarios == plan(120, 0, options)
    names = [*INJECTIONS, *OBJECTIVE_FAULTS]
    alone = scenarios[: 2 * len(names)]
    assert [scenario.faults for scenario in alone[::2]] == [(name,) for name in names]
    assert {scenario.setting for scenario in alone} == set(options)
    assert sum(len(scenario.faults) for scenario in scenarios) in (120, 121)
    assert any(len(scenario.faults) == 2 for scenario in scenarios)


def test_the_table_adds_up() -> None:
    row = {"seed": "0", "mpi": "MPICH", "faults": "raise", "injections": "1", "runs": "2", "seconds": "3.0"}
    rows = [{**row, **dict.fromkeys(BREACHES, "0"), "lost": str(number)} for number in (0, 2)]
    (line,) = (line for line in table(rows, "command").splitlines() if line.startswith("| **all**"))
    assert line == "| **all** |  | 2 | 4 | 2 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 3 |"


# --- the checks -------------------------------------------------------------------------------------------------------

Told = list[checks.Record]
Study = tuple[Path, Told, Log]


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Folder, journal and log of a study in which all is well."""
    log, lines = Log({}, {}), [HEADER]
    for number in range(BUDGET):
        config = {"x": number / BUDGET, "y": 0.5}
        objective = value(config)
        log.ended[number] = [objective]
        outcome = Outcome(TrialState.COMPLETE, objective, seconds=1.0)
        lines += [Asked(Trial(number, config), "random"), Finished(number, outcome, "1@node", 0.0, 1.0)]
    folder = tmp_path / "runs" / "study"
    folder.mkdir(parents=True)
    (folder / "journal.jsonl").write_bytes(b"".join(map(encode_record, lines)))
    (folder / "trials.csv").write_text("number\n" + "".join(f"{number}\n" for number in range(BUDGET)))
    (folder / "summary.json").write_text(json.dumps({"best": {"objective": min(v for (v,) in log.ended.values())}}))
    return tmp_path, checks.journal(tmp_path), log


HEADER = Header(
    name="study",
    direction="minimize",
    objective="train.py:objective",
    command=None,
    space={},
    seed=0,
    method="random",
    created=0.0,
    versions={},
)


def breaches(study: Study, records: Told | None = None, faults: dict[int, str] | None = None) -> set[str]:
    folder, own, log = study
    found = checks.finished(folder, own if records is None else records, log, faults or {}, numbers_may_lack=False)
    return {breach.kind for breach in found}


def last(records: Told) -> dict[str, Any]:
    return [record for record in records if record["type"] == "finished"][-1]


def test_a_whole_study_has_no_breach(study: Study) -> None:
    _, records, log = study
    assert breaches(study) == set()
    seen = checks.outcomes(records)
    assert len(seen) == BUDGET
    assert list(checks.kept(seen, seen)) == []
    assert list(checks.delivered(records, log)) == []


def test_a_lost_outcome_is_found(study: Study) -> None:
    _, records, log = study
    fewer = [record for record in records if record is not last(records)]
    assert [breach.kind for breach in checks.kept(checks.outcomes(records), checks.outcomes(fewer))] == ["lost"]
    assert [breach.kind for breach in checks.delivered(fewer, log)] == ["lost"]
    assert "budget" in breaches(study, fewer)


def test_a_changed_outcome_is_found(study: Study) -> None:
    records = copy.deepcopy(study[1])
    last(records)["outcome"]["objective"] = 0.125
    assert [b.kind for b in checks.kept(checks.outcomes(study[1]), checks.outcomes(records))] == ["lost"]
    assert {"invented", "best"} <= breaches(study, records)


def test_a_second_outcome_is_found(study: Study) -> None:
    assert breaches(study, [*study[1], last(study[1])]) == {"duplicated"}


def test_an_overrun_budget_is_found(study: Study) -> None:
    _, records, _ = study
    more = {**last(records), "number": BUDGET}
    assert "budget" in breaches(study, [*records, more])


def test_a_failure_without_a_fault_is_found(study: Study) -> None:
    records = copy.deepcopy(study[1])
    last(records)["outcome"].update(state="FAIL", objective=None, message="RuntimeError: injected\n...")
    assert breaches(study, records) == {"invented"}
    assert breaches(study, records, {BUDGET - 1: "raise"}) == set()
    assert breaches(study, records, {BUDGET - 1: "exit"}) == {"invented"}


def test_an_outcome_that_the_objective_knows_nothing_of_is_found(study: Study) -> None:
    del study[2].ended[3]
    assert breaches(study) == {"invented"}


def test_a_traceback_of_an_interpreter_that_was_only_starting_is_not_ours() -> None:
    trace = 'Traceback (most recent call last):\n  File "x.py", line 3\nKeyboardInterrupt\n'
    starting = "Fatal Python error: init_import_site: Failed to import the site module\n" + trace
    assert [checks.tracebacks(text) for text in ("", trace, starting, starting + trace)] == [0, 1, 0, 1]
