"""The report: what it reads, what it makes of it, what the page has."""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reverie import cli
from reverie.report.content import compose
from reverie.report.curves import rungs_of
from reverie.report.evidence import Evidence, read_evidence
from reverie.report.figure import Figure, data, parameter_axis, shown_value, thinned
from reverie.report.importance import importance
from reverie.report.knowledge import Knowledge, learn_validity
from reverie.report.page import Section, render
from reverie.report.progress import good_range
from reverie.report.workers import MOST_WORKERS, workers
from tests.reported_study import SPACE, truth, write
from utilities.errors import StudyError
from utilities.space import Space
from utilities.trial import TrialState


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def evidence(folder: Path) -> Evidence:
    return read_evidence(folder)


@pytest.fixture(scope="module")
def knowledge(evidence: Evidence) -> Knowledge:
    return Knowledge(evidence)


def fingerprint(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        str(path.relative_to(folder)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# --- reading ----------------------------------------------------------------------------------------------------------


def test_all_trials_are_read(evidence: Evidence) -> None:
    assert len(evidence.trials) == 60
    assert len(evidence.completed) + len(evidence.failed) < len(evidence.ended) == 60
    assert all(evidence.value(trial) == pytest.approx(truth(trial.trial.config)) for trial in evidence.completed)
    best = min(evidence.completed, key=lambda trial: truth(trial.trial.config))
    assert evidence.best is best
    assert all(set(steps) == set(range(1, len(steps) + 1)) for steps in evidence.reports.values())


@given(cut=st.integers(0, 400))
def test_a_journal_that_is_being_written_is_read_as_far_as_it_goes(folder: Path, cut: int) -> None:
    whole = (folder / "journal.jsonl").read_bytes()
    header = whole.index(b"\n") + 1
    part = folder.parent / "cut"
    part.mkdir(exist_ok=True)
    (part / "journal.jsonl").write_bytes(whole[: max(header, len(whole) - cut)])
    found = read_evidence(part)
    assert 55 <= len(found.trials) <= 60
    assert all(trial.state in TrialState for trial in found.trials.values())


def test_a_header_that_is_not_there_yet_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"must hold a journal\.jsonl"):
        read_evidence(tmp_path)
    (tmp_path / "journal.jsonl").write_bytes(b'{"type":"hea')
    with pytest.raises(StudyError, match="no header yet"):
        read_evidence(tmp_path)


# --- what a surrogate makes of it -------------------------------------------------------------------------------------


def test_a_slice_has_its_minimum_where_the_truth_has_it(evidence: Evidence, knowledge: Knowledge) -> None:
    places = np.linspace(0.0, 1.0, 41)
    found = knowledge.slice_along(0, places)
    best = evidence.space.varied["lr"].value(float(places[found.middle.argmin()]))
    assert 1e-3 < float(best) < 1e-2
    assert np.all(found.low <= found.middle + 1e-9)
    assert np.all(found.middle <= found.high + 1e-9)


def test_a_slice_of_a_conditional_parameter_is_of_configurations_that_have_it(knowledge: Knowledge) -> None:
    found = knowledge.slice_along(3, np.array([0.1, 0.9]))
    assert found.middle[0] > found.middle[1]


def test_a_slice_is_the_average_of_predictions(knowledge: Knowledge) -> None:
    """Against the predictions themselves, for the points over which it is taken, where a median is a mean."""
    background = knowledge._background([0])
    points = background.copy()
    points[:, 0] = 0.4
    each = knowledge.predict(points)[0]
    found = knowledge.slice_along(0, np.array([0.4])).middle[0]
    assert each.min() <= found <= each.max()


def test_foresight_is_of_trials_that_the_prediction_did_not_know(evidence: Evidence, knowledge: Knowledge) -> None:
    found = knowledge.foresight()
    assert np.array_equal(np.sort(found.numbers), sorted(trial.trial.number for trial in evidence.completed))
    assert found.coverage > 0.7
    assert np.corrcoef(np.argsort(np.argsort(found.middle)), np.argsort(np.argsort(found.observed)))[0, 1] > 0.8
    assert not np.allclose(found.middle, found.observed, rtol=1e-6)


def test_validity_knows_where_trials_fail(evidence: Evidence) -> None:
    validity = learn_validity(evidence)
    assert validity is not None
    config = {"width": 64, "optimiser": "adam", "dropout": 0.2}
    good, bad = evidence.space.to_unit([{"lr": 1e-3, **config}, {"lr": 0.9, **config}])
    chance = np.exp(validity.log_probability(evidence.space.features(np.array([good, bad]))))
    assert chance[0] > 0.9 > 0.5 > chance[1]


def test_what_matters_is_found_and_shares_sum_to_one(evidence: Evidence) -> None:
    found = importance(evidence)
    assert found.rows[0].name == "lr"
    assert sum(row.share for row in found.rows) == pytest.approx(1.0)
    assert all(0.0 <= row.low <= row.high <= 1.0 for row in found.rows)
    assert {row.name for row in found.rows} <= set(SPACE)


def test_a_study_to_be_maximised_is_told_in_its_own_direction(tmp_path: Path) -> None:
    found = read_evidence(write(tmp_path, direction="maximize"))
    assert found.best is max(found.completed, key=found.value)
    content = compose(found, running=False)
    assert content.facts[0].name == "highest objective"
    places = np.linspace(0.0, 1.0, 21)
    along = Knowledge(found).slice_along(0, places)
    assert 1e-3 < float(found.space.varied["lr"].value(float(places[along.middle.argmax()]))) < 1e-2


# --- figures ----------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(), max_size=200), st.integers(2, 50))
def test_thinned_rows_keep_order_and_ends(rows: list[int], most: int) -> None:
    kept = thinned(rows, most)
    assert len(kept) == min(len(rows), most)
    assert kept[:1] == rows[:1]
    assert kept[-1:] == rows[-1:]


@example([5e-324], 1.0)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.sampled_from([1.0, -1.0]))
def test_the_good_range_has_the_best_value(values: list[float], sign: float) -> None:
    low, high = good_range(np.array(values), sign)
    assert low <= (min(values) if sign > 0 else max(values)) <= high
    assert low < high


def test_what_is_not_finite_is_null() -> None:
    assert data([{"a": float("nan"), "b": float("inf"), "c": 1.0}])["values"] == [{"a": None, "b": None, "c": 1.0}]


def test_an_axis_is_on_the_parameters_own_scale() -> None:
    space = Space.from_dict(SPACE)
    assert parameter_axis("x", "lr", space.varied["lr"])["scale"]["type"] == "log"
    assert parameter_axis("x", "optimiser", space.varied["optimiser"])["sort"] == ["sgd", "adam"]


def test_rungs_are_those_of_the_rule() -> None:
    assert rungs_of({"early_stopping": {"rule": "asha", "min_steps": 2, "eta": 3}}, 60) == [2, 6, 18, 54]
    assert rungs_of({"early_stopping": {"rule": "median"}}, 60) == []
    assert rungs_of({}, 60) == []


def test_many_workers_are_told_together(tmp_path: Path) -> None:
    few, many = write(tmp_path / "a"), write(tmp_path / "b", workers=MOST_WORKERS + 4)
    assert workers(read_evidence(few))[0].spec["mark"]["type"] == "bar"  # type: ignore[index]
    (figure,) = workers(read_evidence(many))
    assert figure.spec is not None
    assert figure.spec["mark"]["type"] == "area"
    assert max(row["busy"] for row in figure.spec["data"]["values"]) <= MOST_WORKERS + 4


def test_the_busy_share_is_that_of_the_journal(evidence: Evidence) -> None:
    (figure,) = workers(evidence)
    own = [trial for trial in evidence.ended if trial.worker == "2@node"]
    spent = sum((trial.completed or 0) - (trial.started or 0) for trial in own)
    span = max(trial.completed or 0 for trial in own) - min(trial.started or 0 for trial in own)
    row = next(row for row in figure.rows if row["worker"] == "2@node")
    assert row["busy share"] == f"{spent / span:.1%}"


# --- the page ---------------------------------------------------------------------------------------------------------


def specifications(page: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="specifications">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return dict(json.loads(found[1]))


def test_a_report_has_every_figure_and_leaves_the_folder_alone(tmp_path: Path) -> None:
    folder = write(tmp_path)
    before = fingerprint(folder)
    assert cli.main(["report", str(folder), "--png", str(tmp_path / "png")]) == 0
    after = fingerprint(folder)
    page = (folder / "report.html").read_text()
    assert after.pop("report.html")
    assert after == before
    found = specifications(page)
    wanted = {"best-so-far", "scores", "learning-curves", "importance", "foresight", "parallel", "slices", "pairs"}
    wanted |= {"failures", "validity", "workers"}
    assert set(found) == wanted
    assert all(f'id="chart-{name}"' in page for name in wanted)
    assert {path.stem for path in (tmp_path / "png").glob("*.png")} == wanted
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in (tmp_path / "png").glob("*.png"))
    assert "http-equiv" not in page
    assert not re.search(r'(src|href)="(https?:)?//', page)


def test_hostile_names_stay_text() -> None:
    evil = "</script><script>alert(1)</script>"
    figure = Figure("f", evil, evil, {"data": data([{"x": evil}]), "mark": "point"}, [{evil: evil}])
    page = render(evil, evil, [], [Section(evil, [figure], [evil], evil)], written=0.0, refresh=None)
    assert evil not in page
    assert specifications(page)["f"] == figure.spec


@pytest.mark.parametrize("trials", [0, 1, 3, 9])
def test_few_trials_give_a_report_all_the_same(tmp_path: Path, trials: int) -> None:
    content = compose(read_evidence(write(tmp_path, trials=trials)), running=False)
    assert content.title == "demo"
    json.dumps([figure.spec for section in content.sections for figure in section.figures], allow_nan=False)


def test_mistakes_are_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", str(tmp_path / "nowhere")]) == 2
    assert "RUN must be a run folder, a study file or the name of a study" in capsys.readouterr().err
    assert cli.main(["report", str(tmp_path), "--watch", "1"]) == 2
    assert "--watch must be at least 5 seconds; got 1" in capsys.readouterr().err


def test_choices_that_are_numbers_stand_in_their_order() -> None:
    """The text in the data is the text by which the axis is sorted, whatever order trials came in."""
    space = Space.from_dict({"batch": {"type": "ordinal", "choices": [32, 64, 128]}, "on": {"type": "bool"}})
    for name, parameter in space.varied.items():
        shown = [shown_value(parameter, value) for value in parameter.options]  # type: ignore[union-attr]
        assert parameter_axis("x", name, parameter)["sort"] == shown
