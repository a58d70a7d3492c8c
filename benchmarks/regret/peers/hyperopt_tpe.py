"""hyperopt: tpe.suggest on a flattened space; running trials count as infinite loss, as its own suggest has it."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np
from hyperopt import JOB_STATE_DONE, STATUS_FAIL, STATUS_OK, Trials, hp, space_eval, tpe
from hyperopt.base import Domain

from benchmarks.regret.peers.flat import Row, drop_inactive
from benchmarks.regret.peers.loop import Config, Start, serve


def expression(name: str, row: Row) -> Any:
    """Hyperopt's expression of a parameter."""
    if row["type"] == "categorical":
        return hp.choice(name, row["choices"])
    low, high = row["low"], row["high"]
    if row["type"] == "int":
        if row.get("log"):
            return hp.qloguniform(name, np.log(low), np.log(high), 1)
        return hp.uniformint(name, low, high)
    return hp.loguniform(name, np.log(low), np.log(high)) if row.get("log") else hp.uniform(name, low, high)


class HyperoptRun:
    """Documents of trials, inserted when asked, completed when told."""

    def __init__(self, start: Start) -> None:
        self._space = start.space
        self._expressions = {name: expression(name, row) for name, row in start.space.items()}
        self._domain = Domain(lambda config: 0.0, self._expressions)
        self._trials = Trials()
        self._rng = np.random.default_rng(start.seed)

    def ask(self) -> tuple[int, Config]:
        """Propose."""
        ids = self._trials.new_trial_ids(1)
        seed = int(self._rng.integers(2**31 - 1))
        documents = tpe.suggest(ids, self._domain, self._trials, seed, verbose=False)
        self._trials.insert_trial_docs(documents)
        self._trials.refresh()
        values = {name: found[0] for name, found in documents[0]["misc"]["vals"].items() if found}
        flat = space_eval(self._expressions, values)
        return ids[0], drop_inactive(self._space, {name: self._normal(name, value) for name, value in flat.items()})

    def _normal(self, name: str, value: Any) -> Any:
        row = self._space[name]
        if row["type"] == "categorical":
            return value
        number = round(float(value)) if row["type"] == "int" else float(value)
        return min(max(number, row["low"]), row["high"])

    def tell(self, number: int, value: float | None) -> None:
        """Report."""
        document = next(trial for trial in self._trials.trials if trial["tid"] == number)
        document["state"] = JOB_STATE_DONE
        document["result"] = {"status": STATUS_FAIL} if value is None else {"status": STATUS_OK, "loss": value}
        self._trials.refresh()


if __name__ == "__main__":
    serve(f"hyperopt {version('hyperopt')}", HyperoptRun)
