"""The report of the regret benchmark: ratios, ranks and their intervals, and what is written of incomplete records."""

import math
from pathlib import Path

import numpy as np
import pytest
from regret_records import record

from benchmarks.regret import records, references
from benchmarks.regret.comparison import Regrets, losses, ratio, sharpened, standings
from benchmarks.regret.overview import draw_overview, mean_curves
from benchmarks.regret.problem import Reference
from benchmarks.regret.report import write_report


def regrets(**values: dict[tuple[str, int], float]) -> Regrets:
    return Regrets({name.replace("_", "-"): found for name, found in values.items()})


def test_ratio_of_halves_is_a_half() -> None:
    theirs = {("a", 0): 0.2, ("a", 1): 0.4, ("b", 0): 1.0}
    found = ratio(regrets(ours={key: value / 2 for key, value in theirs.items()}, theirs=theirs), "ours", "theirs")
    assert found is not None
    assert (found.problems, found.pairs) == (2, 3)
    assert [found.mean, *found.mean_interval] == pytest.approx([0.5] * 3)
    assert [found.geometric, *found.geometric_interval] == pytest.approx([0.5] * 3)


def test_bootstrap_interval_is_that_of_a_mean() -> None:
    logs = np.random.default_rng(1).normal(-0.3, 0.5, 200)
    ours = {("a", seed): float(0.1 * np.exp(log)) for seed, log in enumerate(logs)}
    found = ratio(regrets(ours=ours, theirs=dict.fromkeys(ours, 0.1)), "ours", "theirs")
    assert found is not None
    half_width = 1.96 * logs.std() / math.sqrt(200)
    assert np.log(found.geometric) == pytest.approx(logs.mean())
    assert np.log(found.geometric_interval) == pytest.approx(
        [logs.mean() - half_width, logs.mean() + half_width], abs=0.1 * half_width
    )


def test_interval_covers_the_choice_of_problems() -> None:
    ours = {("a", 0): 0.01, ("b", 0): 0.1}  # ratios 1/10 and 1: resampling problems must reach both
    found = ratio(regrets(ours=ours, theirs=dict.fromkeys(ours, 0.1)), "ours", "theirs")
    assert found is not None
    assert found.mean_interval == pytest.approx((0.1, 1.0))


def test_ranks_share_ties_and_weigh_problems_alike() -> None:
    first = {("a", 0): 0.1, ("a", 1): 0.1, ("b", 0): 0.5}
    second = {("a", 0): 0.2, ("a", 1): 0.2, ("b", 0): 0.5}
    found = regrets(first=first, second=second)
    rows = {row.optimiser: row for row in standings(found, ["first", "second"], found.common(["first", "second"]))}
    assert rows["first"].rank == pytest.approx((1.0 + 1.5) / 2)
    assert rows["second"].rank == pytest.approx((2.0 + 1.5) / 2)
    assert rows["second"].mean == pytest.approx((0.2 + 0.5) / 2)
    assert rows["second"].geometric == pytest.approx(math.sqrt(0.2 * 0.5))


def test_groups_grow_as_the_sparsest_are_left_out() -> None:
    wide = {(name, seed): 0.1 for name in "abcd" for seed in range(3)}
    narrow = {("a", 0): 0.1}
    groups = list(regrets(one=wide, two=wide, three=narrow).groups())
    assert [(sorted(names), len(pairs)) for names, pairs in groups] == [
        (["one", "three", "two"], 1),
        (["one", "two"], 12),
    ]


def test_losses_are_listed_with_their_seeds() -> None:
    ours = {("a", 0): 0.4, ("a", 1): 0.1, ("b", 0): 0.1, ("c", 0): 1e-5}
    peer = {("a", 0): 0.1, ("a", 1): 0.2, ("b", 0): 0.2, ("c", 0): 1e-7}
    (loss,) = losses(regrets(ours=ours, peer=peer), "ours", ["peer"])
    assert (loss.problem, loss.worse, loss.seeds) == ("a", 1, 2)


def test_runs_that_are_too_short_are_not_compared_but_failed_ones_are() -> None:
    known = {"a": Reference(0.0, 1.0)}
    short, failed = record("a", 1, (1, 0.4), evaluations=50), record("a", 2, evaluations=3, error="no")
    several = [record("a", 0, (1, 0.5)), short, failed]
    found = Regrets.at({"peer": several}, known, 1, 100)
    assert found.values["peer"] == {("a", 0): 0.5, ("a", 2): 1.0}


def test_a_record_can_beat_the_best_known() -> None:
    known = sharpened({"a": Reference(1.0, 2.0)}, {"peer": [record("a", 0, (1, 1.5), (2, 0.5))]})
    assert known["a"] == Reference(0.5, 2.0)


def test_the_report_is_written_from_incomplete_records(tmp_path: Path) -> None:
    for seed in range(3):
        records.append("reverie-auto", record("branin", seed, (1, 30.0), (40, 0.5)), tmp_path / "runs")
    records.append("sobol", record("branin", 1, (1, 20.0), (60, 0.45)), tmp_path / "runs")
    write_report(tmp_path / "runs", tmp_path, figures=False)
    page = (tmp_path / "ranks.md").read_text()
    assert "After 50: 2 optimisers, 1 problems, 1 runs each" in page
    assert "- branin: sobol" in page
    assert (tmp_path / "ratios.csv").read_text().count("sobol") == 3


def test_the_overview_ends_where_the_table_does() -> None:
    found = records.read_all(records.FOLDER)
    known = sharpened(references.read(), found)
    problems, curves = mean_curves(found, known, 1)
    regrets_there = Regrets.at(found, known, 1, 100)
    pairs = regrets_there.common(curves)
    assert problems == len({problem for problem, _ in pairs}) == 21
    for row in standings(regrets_there, list(curves), pairs):
        assert curves[row.optimiser][-1] == pytest.approx(row.mean)
        assert len(curves[row.optimiser]) == 100


def test_the_overview_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    found = records.read_all(records.FOLDER)
    draw_overview(found, sharpened(references.read(), found), tmp_path / "overview.png")
    assert (tmp_path / "overview.png").read_bytes().startswith(b"\x89PNG")
