"""How often the statement on the winner of a study is wrong, and how often it sees a winner that is one.

    python -m benchmarks.significance [--studies 500]

Simulated studies of known truth: the value of configuration c on instance i is ``mu_c + b_i + e``, b normal of
deviation 1, e of deviation 0.3. In some all configurations have all instances; the others are raced as by default, one
after the other. Wrong is a statement that the winner is better than a runner-up which is as good or better, and, of the
table of the best five, that any two differ which do not, or the other way round. For contrast: a one-sided paired
t-test of the two, as if they had not been chosen. Writes ``data/significance/significance.md`` and ``rates.csv``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import beta

from benchmarks.scaling.results import write
from utilities.racing import Race, Verdict
from utilities.significance import LEVEL, Comparison, compare
from utilities.surrogate import Array

DATA = Path(__file__).resolve().parent.parent / "data" / "significance"
NOISE = 0.3
COLUMNS = ("truth", "configurations", "instances", "raced", "noise", "compared", "statement", "table", "naive", "found")

Truth = Callable[[int], Array]


def equal(count: int) -> Array:
    """All are equal."""
    return np.zeros(count)


def two_equal(count: int) -> Array:
    """The best two are equal, the others are worse by ever more."""
    return np.concatenate([[0.0, 0.0], np.linspace(0.2, 2.0, count - 2)])


def one_best(count: int) -> Array:
    """One is better than all others by twice the noise of an evaluation, these are equal."""
    return np.append(0.0, np.full(count - 1, 2.0 * NOISE))


def ladder(count: int) -> Array:
    """Each is worse than the one before by a third of the noise of an evaluation."""
    return np.arange(count) * NOISE / 3.0


NOISES: dict[str, Callable[[np.random.Generator, int, int], Array]] = {
    "normal": lambda rng, count, instances: rng.standard_normal((count, instances)),
    "heavy tails": lambda rng, count, instances: rng.standard_t(4, (count, instances)) / np.sqrt(2.0),
    "uneven": lambda rng, count, instances: (
        rng.standard_normal((count, instances)) * rng.choice([0.3, 1.3], (count, 1))
    ),
}


@dataclass(frozen=True)
class Scenario:
    """A kind of study."""

    truth: Truth
    configurations: int
    instances: int
    raced: bool
    noise: str = "normal"

    def study(self, seed: int) -> tuple[Comparison, Array]:
        """What is said of a study of this kind, and the truth of each configuration."""
        rng = np.random.default_rng([seed, 17])
        truth = rng.permutation(self.truth(self.configurations))
        noise = NOISE * NOISES[self.noise](rng, self.configurations, self.instances)
        values = truth[:, None] + rng.standard_normal(self.instances) + noise
        numbers = _raced(values, seed) if self.raced else list(range(self.configurations))
        found = compare(numbers, values[numbers], "minimize") if len(numbers) > 1 else None
        if found is None:
            found = Comparison([], [], 0, 1.0)
        return found, truth


def _raced(values: Array, seed: int) -> list[int]:
    """Configurations that have all instances after a race."""
    count, instances = values.shape
    race = Race(instances, seed)
    complete = []
    for number in range(count):
        race.enter(number)
        verdict = Verdict.GO_ON
        while verdict is Verdict.GO_ON:
            for part in race.wanted(number):
                race.take(number, part, float(values[number, part]))
            verdict = race.judge(number)
        if verdict is Verdict.COMPLETE:
            complete.append(number)
    return complete


_BOTH = (False, True)
SCENARIOS = [
    *(Scenario(equal, count, n, raced) for raced in _BOTH for count in (2, 5, 30, 100) for n in (5, 10)),
    *(Scenario(two_equal, 30, n, raced) for raced in _BOTH for n in (5, 10)),
    *(Scenario(equal, 30, 10, raced, noise) for raced in _BOTH for noise in ("heavy tails", "uneven")),
    *(Scenario(two_equal, 30, 10, raced, noise) for raced in _BOTH for noise in ("heavy tails", "uneven")),
    *(Scenario(truth, 30, 10, raced) for truth in (one_best, ladder) for raced in _BOTH),
]


def rates(scenario: Scenario, studies: int) -> dict[str, object]:
    """Row of a scenario: in how many studies each statement was wrong, and in how many the best was told apart."""
    wrong = table = naive = found = compared = 0
    for seed in range(studies):
        comparison, truth = scenario.study(seed)
        if not comparison.trials:
            continue
        compared += 1
        first, second = (truth[trial.number] for trial in comparison.trials[:2])
        wrong += comparison.told_apart and first >= second
        naive += comparison.p / 2.0 <= LEVEL and first >= second
        found += comparison.told_apart and first < second and first == truth.min()
        table += any(
            pair.corrected_p <= LEVEL and truth[pair.trials[0]] >= truth[pair.trials[1]] for pair in comparison.pairs
        )
    named = scenario.truth.__name__.replace("_", " ")
    kind = (named, scenario.configurations, scenario.instances, scenario.raced, scenario.noise)
    return dict(zip(COLUMNS, (*kind, compared, int(wrong), int(table), int(naive), int(found)), strict=True))


def interval(count: int, total: int) -> str:
    """Share with its 95 % interval (Clopper and Pearson 1934)."""
    low = beta.ppf(0.025, count, total - count + 1) if count else 0.0
    high = beta.ppf(0.975, count + 1, total - count) if count < total else 1.0
    return f"{count / total:.1%} [{low:.1%}, {high:.1%}]"


def report(rows: list[dict[str, object]], studies: int) -> str:
    """The table as Markdown."""
    lines = [
        "# How often the statement on the winner is wrong",
        "",
        f"{studies} simulated studies a row, at the level {LEVEL:.0%}: the share in which the statement is wrong that",
        "the winner is better than the runner-up, with its 95 % interval; in which the table of the best five says",
        "wrongly that any two differ; in which a one-sided test of the two that takes no account of their having been",
        "chosen is wrong; and in which the statement rightly tells a best configuration from the runner-up. Studies",
        "with fewer than two configurations on all instances make no statement: they count as not wrong.",
        "Regenerate: `python -m benchmarks.significance`.",
        "",
        "| truth | configurations | instances | raced | noise | statement wrong | table wrong | naive wrong | found |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        shares = [interval(int(str(row[column])), studies) for column in COLUMNS[6:]]
        kind = [row["truth"], row["configurations"], row["instances"], "yes" if row["raced"] else "no", row["noise"]]
        lines.append(f"| {' | '.join(map(str, [*kind, *shares]))} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Simulate, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=500)
    studies = parser.parse_args().studies
    rows = [rates(scenario, studies) for scenario in SCENARIOS]
    print(report(rows, studies))
    write(DATA / "rates.csv", rows, COLUMNS)
    (DATA / "significance.md").write_text(report(rows, studies))


if __name__ == "__main__":
    main()
