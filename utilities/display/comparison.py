"""How the best configurations compare, as a table of summary.json and as text."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from utilities.display.text import clean, counted, number, printable, shorten, uncertain

if TYPE_CHECKING:
    from utilities.significance import Comparison


def as_table(found: Comparison) -> dict[str, Any]:
    """A comparison as summary.json has it."""
    return {
        "statement": statement(found),
        "told_apart": found.told_apart,
        "p": found.p,
        "pairs": found.pair_count,
        "trials": [trial._asdict() for trial in found.trials],
        "comparisons": [pair._asdict() for pair in found.pairs],
    }


def statement(found: Comparison) -> str:
    """Say in a sentence whether the winner is better than the runner-up."""
    winner, runner_up = found.trials[:2]
    one, other = (uncertain(trial.objective, trial.standard_error) for trial in (winner, runner_up))
    verdict = "is better than" if found.told_apart else "cannot be told from"
    p = "p < 0.0001" if found.p < 1e-4 else f"p = {number(found.p, 2)}"
    return (
        f"trial {winner.number} ({one}) {verdict} the runner-up, trial {runner_up.number} ({other}): {p} "
        f"(paired t-test, two-sided, {counted(found.pair_count, 'pair')})"
    )


def alone(number: int, folder: str) -> dict[str, Any]:
    """What summary.json has where a race left a single configuration on all instances, that of trial `number`."""
    told = (
        f"only trial {number} was evaluated on all instances, the others were given up on the way: "
        f"`reverie rerun {printable(shlex.quote(folder))}` compares the best"
    )
    return {"statement": told, "told_apart": False, "p": None, "pairs": 0, "trials": [], "comparisons": []}


def comparison_lines(table: Mapping[str, Any] | None) -> list[str]:
    """Lines of a report on a comparison that `as_table` gave; none where there is none."""
    if not table:
        return []
    told = table["statement"]
    lines = [told[0].upper() + told[1:]]
    if not table["trials"]:
        return lines
    pairs = counted(len(table["comparisons"]), "pair")
    winner = table["trials"][0]["number"]
    against = {pair["trials"][1]: pair for pair in table["comparisons"] if pair["trials"][0] == winner}
    for trial in table["trials"]:
        line = f"  trial {trial['number']:<7} {uncertain(trial['objective'], trial['standard_error'])}"
        pair = against.get(trial["number"])
        if pair is not None:
            gap = uncertain(abs(pair["difference"]), pair["standard_error"])
            line += f", worse by {gap}; p = {number(pair['corrected_p'], 2)} corrected for {pairs}"
        lines.append(line)
    return lines


def rerun_lines(table: Mapping[str, Any] | None) -> list[str]:
    """Lines of a report on a rerun: each configuration before and now; none where there was none."""
    if not table:
        return []
    lines = [f"Evaluated again, of {printable(str(table['of']))}"]
    for trial in table["trials"]:
        line = f"  trial {trial['number']:<7} was {number(trial['original'])}"
        if trial["failure"]:
            line += f"; failed: {shorten(clean(trial['failure']), 60)}"
        elif trial["objective"] is not None:
            now = uncertain(trial["objective"], trial["standard_error"])
            line += f", is {now} ({counted(trial['evaluations'], 'evaluation')})"
        else:
            line += f", {counted(trial['evaluations'], 'evaluation')} so far"
        lines.append(line)
    return lines
