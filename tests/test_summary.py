from hypothesis import given
from hypothesis import strategies as st

from utilities.display.summary import final_summary

SUMMARY: dict[str, object] = {
    "status": "stopped: time limit",
    "best": {
        "number": 41,
        "objective": 5 / 360,
        "config": {"learning_rate": 1e-3 / 3, "batch_size": 33, "optimizer": "sgd"},
    },
    "predicted_best": {"objective": 0.0142211, "sd": 0.00113, "config": {"learning_rate": 4e-4, "batch_size": 30}},
    "initial_best": {"number": 3, "objective": 0.025, "config": {}},
    "states": {"COMPLETE": 1055, "PRUNED": 1, "FAIL": 10, "WAITING": 0},
    "failures": [
        ["time limit of 600 s exceeded", 1],
        ("ValueError: \x1b[31mbad\nvalue", 6),
        ("exit status 1", 2),
        ("x", 1),
    ],
    "wall_seconds": 112.34,
    "busy_fraction": 0.9712,
    "seconds_per_proposal": {"median": 0.0123, "p99": 0.0854},
    "method": "gp",
    "seed": 1,
    "folder": "runs/digits",
    "resume_command": "mpiexec -n 4 reverie run 'my  study.toml' --time-limit 2m",
    "versions": {"reverie": "0.1.0", "torch": "2.4.0"},
}

GOLDEN = """\
Stopped: time limit

Best evaluated point
  objective 0.013889 (trial 41); best of the initial design: 0.025 (trial 3)
    learning_rate  0.00033333
    batch_size     33
    optimizer      sgd

Predicted best point
  objective 0.0142 +- 0.0011
    learning_rate  0.0004
    batch_size     30

Trials         1,055 complete, 1 pruned, 10 failed
  6 x ValueError: bad value
  2 x exit status 1
  1 x time limit of 600 s exceeded
  1 x x
Workers busy   97.1% of their time
Per proposal   median 12 ms, p99 85 ms
Wall time      1:52
Method         gp, seed 1
Versions       reverie 0.1.0, torch 2.4.0
Files          runs/digits

To continue:
  mpiexec -n 4 reverie run 'my  study.toml' --time-limit 2m"""


def test_the_summary() -> None:
    assert final_summary(SUMMARY) == GOLDEN


@given(st.sets(st.sampled_from(sorted(SUMMARY))), st.booleans())
def test_whatever_is_missing_is_left_out(keys: set[str], as_none: bool) -> None:
    known = {key: value for key, value in SUMMARY.items() if key not in keys}
    text = final_summary(known | (dict.fromkeys(keys) if as_none else {}))
    assert "None" not in text
    alone = {"  objective 0.013889 (trial 41)", "Method         gp", "Method         seed 1"}
    assert set(text.splitlines()) <= alone.union(GOLDEN.splitlines())
    assert all(line == line.rstrip() for line in text.splitlines())


def test_nothing_known_nothing_said() -> None:
    assert final_summary({}) == ""


def test_a_summary_without_success_says_so() -> None:
    text = final_summary({"best": None, "states": {"FAIL": 4}, "failures": [("RuntimeError: no", 4)]})
    assert text == "No trial succeeded\n\nTrials         4 failed\n  4 x RuntimeError: no"


def test_the_best_may_be_of_the_initial_design() -> None:
    best = {"number": 3, "objective": 0.025, "config": {}}
    assert "objective 0.025 (trial 3), of the initial design" in final_summary({"best": best, "initial_best": best})


def test_what_budgets_were_spent() -> None:
    rungs = [{"budget": 1, "trials": 1200, "promoted": 9}, {"budget": 4, "trials": 9, "promoted": 0}]
    fidelity = {"name": "epo\x1bchs", "spent": 1236, "rungs": [*rungs, {"budget": 16, "trials": 0, "promoted": 0}]}
    text = final_summary({"states": {"PAUSED": 1200}, "fidelity": fidelity})
    assert "No trial has had the full budget yet" in text
    assert "Trials         1,200 paused" in text
    (line,) = [line for line in text.splitlines() if line.startswith("Budgets")]
    assert "\x1b" not in line
    assert line.endswith("in all: 1,200 to 1, 9 to 4")
    assert "1236" in line
    assert "No trial succeeded" in final_summary({"states": {"FAIL": 3}, "fidelity": {"rungs": [], "spent": 0}})
