"""The report of studies that are more than one objective over one space: fronts, budgets, races, stages."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reverie import cli
from reverie.report.content import Content, compose
from reverie.report.evaluations import evaluations, instance_names
from reverie.report.evidence import Evidence, read_evidence
from reverie.report.figure import Figure
from reverie.report.front import MARGIN, dominated_shares
from reverie.report.race import significance
from reverie.report.rungs import scored
from reverie.report.stages import began
from tests.reported_kinds import FIDELITY, INSTANCES, budgets, raced, several, staged
from utilities.errors import StudyError
from utilities.goals import make_goals
from utilities.pareto import hypervolume, non_dominated
from utilities.trial import TrialState


def figures(content: Content) -> dict[str, Figure]:
    return {figure.name: figure for section in content.sections for figure in section.figures}


# --- several objectives -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    return read_evidence(several(tmp_path_factory.mktemp("runs")))


def test_the_front_is_the_trials_that_no_feasible_one_dominates(front: Evidence) -> None:
    figure = figures(compose(front, running=False))["front"]
    assert figure.spec is not None
    layers = [layer for layer in figure.spec["layer"] if layer["mark"]["type"] == "point"]
    kinds = {row["trial"]: row["kind"] for row in layers[0]["data"]["values"]}
    points = {n: (front.of(0).value(t), -front.of(1).value(t)) for n, t in front.trials.items()}
    feasible = {n for n, t in front.trials.items() if t.trial.config["x"] <= 0.9}  # type: ignore[operator]
    for number, (a, b) in points.items():
        beaten = any((c <= a and d <= b) and (c, d) != (a, b) for c, d in map(points.get, feasible))  # type: ignore[misc]
        wanted = "infeasible" if number not in feasible else "dominated" if beaten else "on the front"
        assert kinds[number] == wanted
    assert {row["trial"] for row in figure.rows} == {n for n, kind in kinds.items() if kind == "on the front"}
    assert set(kinds.values()) == {"infeasible", "dominated", "on the front"}


def test_each_objective_is_shown_in_its_own_direction(front: Evidence) -> None:
    assert [front.of(place).sign for place in range(2)] == [1.0, -1.0]
    content = compose(front, running=False)
    assert [fact.name for fact in content.facts[:2]] == ["lowest loss", "highest speed"]
    completed = [t for t in front.completed if front.feasible(t)]
    assert front.of(1).best is max(completed, key=front.of(1).value)
    titles = [section.title for section in content.sections]
    assert {"Parameters: loss", "Parameters: speed"} <= set(titles)
    found = figures(content)
    assert {"best-so-far-0-loss", "best-so-far-1-speed", "slices-0-loss", "slices-1-speed", "hypervolume"} <= set(found)
    assert len(found) == sum(len(section.figures) for section in content.sections)


def test_one_objective_is_chosen_by_its_name(front: Evidence) -> None:
    content = compose(front, running=False, objective="speed")
    assert [s.title for s in content.sections if s.title.startswith("Parameters")] == ["Parameters: speed"]
    with pytest.raises(StudyError, match=r"--objective must be one of 'loss', 'speed'; got 'sped'.*speed"):
        compose(front, running=False, objective="sped")


def test_of_three_objectives_each_pair_has_a_panel(tmp_path: Path) -> None:
    evidence = read_evidence(several(tmp_path, ("loss", "speed", "größe")))
    found = figures(compose(evidence, running=False))
    assert found["front"].spec is not None
    assert len(found["front"].spec["concat"]) == 3
    assert "best-so-far-2-gr-e" in found


@pytest.mark.parametrize("trials", [0, 1, 2, 9])
def test_few_trials_of_several_objectives_give_a_report(tmp_path: Path, trials: int) -> None:
    content = compose(read_evidence(several(tmp_path, trials=trials)), running=False)
    assert content.title == "several"


POINTS = st.integers(2, 3).flatmap(
    lambda k: arrays(np.float64, st.tuples(st.integers(1, 12), st.just(k)), elements=st.integers(0, 20).map(float))
)


@given(POINTS)
def test_the_dominated_share_is_the_hypervolume(values: np.ndarray[Any, Any]) -> None:
    """Against the exact volume, of the first 1, 2, ... n points each; of quasi-random points up to their error."""
    last = values[non_dominated(values)]
    ideal, nadir = last.min(axis=0), last.max(axis=0)
    reach = np.where(nadir > ideal, (1 + MARGIN) * (nadir - ideal), np.maximum(abs(ideal), 1.0) * MARGIN)
    exact = [hypervolume(values[:n], ideal + reach) / np.prod(reach) for n in range(1, len(values) + 1)]
    found = dominated_shares(values)
    assert np.allclose(found, exact, atol=0.02)
    assert np.all(np.diff(found) >= 0.0)


# --- budgets ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rungs(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    return read_evidence(budgets(tmp_path_factory.mktemp("runs")))


def test_rungs_count_who_came_to_them_and_was_promoted(rungs: Evidence) -> None:
    found = figures(compose(rungs, running=False))
    table = {row["epochs"]: row for row in found["rungs"].rows}
    assert list(table) == [f"{budget:g}" for budget in FIDELITY.budgets]
    for budget, following in itertools.pairwise(FIDELITY.budgets):
        assert table[f"{budget:g}"]["trials"] == len(rungs.at(budget).completed)
        promoted = sum((trial.budget or 0) >= following for trial in rungs.trials.values())
        assert table[f"{budget:g}"]["promoted"] == promoted
    assert table["9"]["trials"] == len(rungs.completed)
    assert found["best-so-far"].says.startswith(f"{len(evaluations(rungs))} evaluations")


def test_scores_are_those_of_the_largest_budget_that_enough_trials_had(rungs: Evidence) -> None:
    assert len(rungs.completed) < 20
    view = scored(rungs)
    assert view.rung == max(budget for budget in FIDELITY.budgets if len(rungs.at(budget).completed) >= 20)
    for trial in view.completed:
        own = [rung.outcome.objective for rung in trial.rungs if rung.budget == view.rung]
        assert view.value(trial) == own[0]
    assert view.best is min(view.completed, key=view.value)
    assert scored(rungs, fewest=1) is rungs
    content = compose(rungs, running=False)
    (section,) = [section for section in content.sections if section.title == "Parameters"]
    assert f"{view.rung:g} epochs, as {len(view.completed)} have" in section.notes[0]
    assert {"slices", "importance"} <= {figure.name for figure in section.figures}


def test_paused_trials_are_no_failures(rungs: Evidence) -> None:
    paused = sum(trial.paused for trial in rungs.trials.values())
    assert paused
    share = len(rungs.failed) / (len(rungs.ended) + paused)
    assert f"{share:.1%}" in figures(compose(rungs, running=False))["failures"].says


# --- races over instances ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def race(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    return read_evidence(raced(tmp_path_factory.mktemp("runs")))


def test_a_race_is_told_with_its_errors_and_its_winner(race: Evidence) -> None:
    content = compose(race, running=False)
    found = figures(content)
    rows = {row["trial"]: row for row in found["race"].rows}
    assert len(rows) == len(race.ended)
    assert all(rows[t.trial.number]["instances"] == len(t.parts) for t in race.ended)
    complete = {t.trial.number for t in race.ended if t.state is TrialState.COMPLETE}
    assert {number for number, row in rows.items() if row["state"] == "on all instances"} == complete
    assert 0 < len(complete) < len(rows)
    table = significance(race)
    assert table["trials"][0]["number"] == race.best.trial.number  # type: ignore[union-attr]
    assert found["significance"].says.startswith(f"Trial {race.best.trial.number} (")  # type: ignore[union-attr]
    assert any(table["statement"][1:] in note for note in content.sections[0].notes)
    assert f"{sum(len(t.parts) for t in race.ended):,} evaluations" in found["race-lengths"].says


def test_every_evaluation_on_an_instance_has_its_worker(race: Evidence) -> None:
    found = evaluations(race)
    assert len(found) == sum(len(trial.parts) for trial in race.trials.values())
    assert {one.part for one in found} == {f"instance {name}" for name in INSTANCES}
    by_worker: dict[str, list[tuple[float, float]]] = {}
    for one in found:
        by_worker.setdefault(one.worker, []).append((one.started, one.completed))
    assert len(by_worker) == 3
    for spans in by_worker.values():
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(sorted(spans)))


def test_instances_that_are_there_twice_have_names_of_their_own() -> None:
    assert instance_names(["a", 1, "b"]) == ["instance a", "instance 1", "instance b"]
    assert instance_names([None, None]) == ["repeat 1", "repeat 2"]
    twice = instance_names(["a", "b", "a", "b"])
    assert twice == ["instance a (1)", "instance b (1)", "instance a (2)", "instance b (2)"]


def test_a_rerun_is_told_by_the_numbers_that_its_trials_had(race: Evidence) -> None:
    trials = [{"number": 100 + number, "original": 0.5, "failure": "", "objective": 0.5} for number in race.trials]
    told = [trial | {"standard_error": 0.1, "evaluations": 5} for trial in trials]
    again = replace(race, summary={"rerun": {"of": "runs/old", "trials": told}})
    best = race.best
    assert best is not None
    notes = compose(again, running=False).sections[0].notes
    assert notes[0].startswith(f"Trial {best.trial.number}, which was trial {100 + best.trial.number} of runs/old, ")
    assert "Evaluated again, of runs/old" in notes


def test_parameters_are_of_those_that_were_given_up_too_but_the_best_is_complete(race: Evidence) -> None:
    view = scored(race)
    assert len(view.completed) == len(race.ended) > len(race.completed)
    assert view.best is race.best
    assert race.best in race.completed


# --- stages -----------------------------------------------------------------------------------------------------------


def test_stages_are_marked_where_they_begin(tmp_path: Path) -> None:
    evidence = read_evidence(staged(tmp_path))
    assert len(evidence.stages) == len(began(evidence)) == 3
    found = figures(compose(evidence, running=False))
    assert [row["first trial"] for row in found["stages"].rows] == [stage.first for stage in evidence.stages]
    assert sum(row["trials"] for row in found["stages"].rows) == 35
    assert "x from" in found["stages"].rows[-1]["looked at"]
    best = evidence.best
    assert best is not None
    assert f"{evidence.value(best):.3g}"[:4] in "".join(row["best"] for row in found["stages"].rows)
    spec = found["best-so-far"].spec
    assert spec is not None
    marks = spec["concat"][0]["layer"][0]["data"]["values"]
    assert [mark["stage"] for mark in marks] == ["stage 1", "stage 2", "stage 3"]
    ended = sorted(trial.completed or 0.0 for trial in evidence.trials.values())
    for mark, (_, time) in zip(marks, began(evidence), strict=True):
        assert mark["place"] == sum(end < time for end in ended) + 0.5


# --- the command ------------------------------------------------------------------------------------------------------


def test_a_file_is_named_as_by_the_other_verbs_and_as_it_once_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    several(tmp_path / "studies", trials=3)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["report", "several", "--output", "studies", "--to-path", "a.html"]) == 0
    assert cli.main(["report", "studies/several", "-o", "b.html"]) == 0
    assert cli.main(["report", "studies/several", "--output", "c.html"]) == 0
    assert cli.main(["report", "several", "--output", "studies", "--objective", "speed"]) == 0
    assert all((tmp_path / name).is_file() for name in ("a.html", "b.html", "c.html", "studies/several/report.html"))


def test_an_objective_that_is_none_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = several(tmp_path, trials=3)
    assert cli.main(["report", str(folder), "--objective", "lost"]) == 2
    assert "--objective must be one of 'loss', 'speed'; got 'lost'" in capsys.readouterr().err
    assert not (folder / "report.html").exists()


def test_infeasible_trials_are_told_apart_and_no_front_is_said_to_be_none(tmp_path: Path) -> None:
    evidence = read_evidence(several(tmp_path))
    spec = figures(compose(evidence, running=False))["best-so-far-0-loss"].spec
    assert spec is not None
    points = next(
        layer for layer in spec["concat"][0]["layer"] if isinstance(layer["mark"], dict) and "size" in layer["mark"]
    )
    states = {row["trial"]: row["state"] for row in points["data"]["values"]}
    assert {n for n, state in states.items() if state == "infeasible"} == {
        n
        for n, trial in evidence.trials.items()
        if trial.trial.config["x"] > 0.9  # type: ignore[operator]
    }
    none = replace(evidence, goals=make_goals("minimize", ["minimize", "maximize"], ["loss", "speed"], ["size < 0"]))
    assert "none keeps the constraints on metrics" in figures(compose(none, running=False))["front"].says
