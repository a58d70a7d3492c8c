"""Study files with anything in them: one clear sentence, or a study that works. Never a traceback, never a hang.

REVERIE_FUZZ is how many of each sort are tried: 10000 for a long run, 150 by default.
"""

from __future__ import annotations

import copy
import io
import itertools
import json
import os
import random
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from learning_objective.command_line import Options, parse_arguments
from learning_objective.studies import open_study
from utilities.completion import outstanding
from utilities.early_stopping import EarlyStopping
from utilities.errors import StudyError
from utilities.grid import Grid
from utilities.optimizer import Optimizer
from utilities.prior import Prior
from utilities.space import Space
from utilities.storage.records import Asked, decode_record, encode_record, intact
from utilities.storage.study import Study
from utilities.storage.study_file import read_study
from utilities.trial import Trial, TrialRecord

COUNT = int(os.environ.get("REVERIE_FUZZ", "150"))
MANY = settings(max_examples=COUNT, deadline=5000, suppress_health_check=list(HealthCheck))

VALID: dict[str, Any] = {
    "study": {
        "name": "digits",
        "objective": "train.py:objective",
        "direction": "minimize",
        "budget": 20,
        "time_limit": "1h30m",
        "trial_timeout": 60,
        "trial_memory": "4G",
        "retries": 1,
        "max_consecutive_failures": 10,
        "method": "gp",
        "acquisition": "ucb",
        "kappa": 2.5,
        "seed": 3,
        "grace": "10s",
        "isolation": "process",
        "constraints": ["lr < 0.5 or layers >= 2", "dropout <= 0.3 and size != 'xl'"],
        "forbid": [{"optimiser": "adam", "layers": [1, 2]}, {"dropout": "> 0.25", "nesterov": True}],
    },
    "early_stopping": {"rule": "hyperband", "min_steps": 2, "max_steps": 81, "eta": 3},
    "enqueue": [{"lr": 0.01, "optimiser": "adam"}, {"size": "m", "layers": 2}],
    "space": {
        "lr": {"type": "float", "low": 1e-6, "high": 1.0, "log": True, "grid": 4, "likely": 1e-3, "sure": "very"},
        "dropout": {"type": "float", "low": 0.0, "high": 0.5, "step": 0.05, "likely": 0.1},
        "size": {"type": "ordinal", "choices": ["s", "m", "l", "xl"], "when": [{"layers": ">= 2"}, {"lr": "< 0.1"}]},
        "nesterov": {"type": "bool", "likely": True, "sure": 0.7},
        "epochs": {"type": "constant", "value": 30},
        "batch": {"type": "int", "low": 32, "high": 256, "step": 32, "log": True},
        "layers": {"type": "int", "low": 1, "high": 4},
        "optimiser": {"type": "categorical", "choices": ["sgd", "adam", 3, 0.5, True]},
        "momentum": {"type": "float", "low": 0.0, "high": 0.99, "when": {"optimiser": "sgd", "layers": [2, 3]}},
        "width": {"type": "int", "low": 8, "high": 512, "log": True, "when": {"layers": 4}},
    },
}
TOML = """
[study]
name = "digits"
command = ["python", "train.py", "--lr={lr}", "{{x}}"]
budget = 20
time_limit = "1h30m"

[space.lr]
type = "float"
low = 1e-6
high = 1.0
log = true

[space.optimiser]
type = "categorical"
choices = ["sgd", "adam"]

[space.momentum]
type = "float"
low = 0.0
high = 0.99
when = { optimiser = "sgd", lr = "> 1e-4 and <= 0.5" }

[space.width]
type = "int"
low = 32
high = 1024
step = 32
log = true
likely = 64
sure = "fairly"

[[enqueue]]
width = 96

[early_stopping]
rule = "threshold"
upper = 2.5
"""

BIG = [2**31, 2**53 - 1, 2**53, 2**53 + 1, 2**62, 2**63 - 1, 2**63, 10**12, 10**30]
TINY = [5e-324, 1e-323, 2.2250738585072014e-308, 1e-300]
ODD_NUMBERS = [0, 1, 2, -0.0, 0.1, *BIG, *TINY, 1e308, 1.7976931348623157e308, float("nan"), float("inf")]
ODD_NUMBERS += [-number for number in ODD_NUMBERS]
WORDS = [
    "",
    "sgd",
    "float",
    "int",
    "categorical",
    "ordinal",
    "bool",
    "constant",
    "very",
    ">= 2",
    "< 0.1 and != 3",
    "lr < 0.1",
    "lr ** layers >",
    "log",
    "lr",
    "when",
    "4G",
    "1h",
    "-1s",
    "nan",
    "{lr}",
    "{",
    "..",
    "/",
]
HOSTILE = "\x1b[31m\r\n\a\b\0\x7f\x9b\u202e\u2066\u200b\u0301\u2028\ud800\ufeff{}/.'x"
hostile = st.text(st.sampled_from(HOSTILE), max_size=12)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(ODD_NUMBERS),
    st.integers(),
    st.floats(),
    st.sampled_from(WORDS),
    st.text(max_size=12),
    hostile,
)
names = st.sampled_from(WORDS) | st.text(max_size=5) | hostile
anything = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=8,
)


def places(tree: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Path of every value in tables and lists."""
    keys = tree.keys() if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    return [path for key in keys for path in ((*above, key), *places(tree[key], (*above, key)))]


@st.composite
def close_numbers(draw: st.DrawFn) -> tuple[float, float]:
    """Two numbers with few others, or none, between them."""
    low = draw(st.sampled_from([*BIG, *TINY, 1, 1.0, 1e300, 1e16]))
    return low, low + draw(st.integers(0, 3)) if isinstance(low, int) else float(np.nextafter(low, np.inf))


KINDS_OF_DAMAGE = ["replace", "remove", "rename", "copy", "number", "range", "condition", "expression", "step"]
COMPARISONS = [">= 2", "< 0.1 and > 1e-5", "!= m"]
PIECES = [
    "lr",
    "layers",
    "size",
    "epochs",
    "dropout",
    "'m'",
    "2",
    "1e308",
    "**",
    "*",
    "/",
    "//",
    "%",
    "-",
    "(",
    ")",
    "[",
    "]",
    ",",
    "<",
    "==",
    "in",
    "not",
    "and",
    "or",
    "True",
    "log",
    "min",
]
PIECES += ["9" * 30, "\\", "'", "lambda", ":=", ".", "\n", "#"]
expressions = st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join) | st.text(max_size=20) | hostile
ranges = close_numbers() | st.tuples(st.sampled_from(ODD_NUMBERS), st.sampled_from(ODD_NUMBERS))


@st.composite
def mutants(draw: st.DrawFn) -> Any:
    """The valid study with some of its values replaced, removed, renamed, copied elsewhere."""
    tree = copy.deepcopy(VALID)
    for _ in range(draw(st.integers(1, 4))):
        paths = places(tree)
        if not paths:
            break
        *above, key = draw(st.sampled_from(paths))
        place = tree
        for step in above:
            place = place[step]
        match draw(st.sampled_from(KINDS_OF_DAMAGE)):
            case "replace":
                place[key] = draw(anything)
            case "number":
                place[key] = draw(st.sampled_from(ODD_NUMBERS))
            case "remove":
                del place[key]
            case "rename" if isinstance(place, dict):
                place[draw(names)] = place.pop(key)
            case "range" if isinstance(place, dict):
                place["low"], place["high"] = draw(ranges)
                place["log"] = draw(st.booleans())
            case "condition" if isinstance(place, dict):
                parents = draw(st.sets(st.sampled_from(list(VALID["space"])), max_size=3))
                place["when"] = {
                    parent: draw(
                        st.sampled_from(["sgd", 2, [1, 2], True, [3, 0.5], ">= 2", "< 0.1 and > 1e-5", "!= m"])
                    )
                    for parent in parents
                }
            case "expression":
                tree["study"] = {**copy.deepcopy(VALID["study"]), "constraints": [draw(expressions)]}
            case "step" if isinstance(place, dict):
                place["step"] = draw(st.sampled_from(ODD_NUMBERS) | st.floats(1e-3, 1.0) | st.integers(1, 9))
            case "copy":
                value = tree
                for step in draw(st.sampled_from(paths)):
                    value = value[step]
                place[key] = copy.deepcopy(value)
    return tree


def check(name: str, content: bytes) -> None:
    """A study that works, or one sentence."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        try:
            study = read_study(path)
        except StudyError as error:
            check_message(str(error), folder)
        else:
            check_study(study)


def check_message(message: str, beginning: str) -> None:
    assert message.startswith(beginning)
    assert len(message) < 4000
    assert all(character.isprintable() or character == "\n" for character in message), ascii(message)
    message.encode()


def check_study(study: Study) -> None:
    """Its configurations come back from the journal as they are, and an optimizer proposes some."""
    assert json.loads(json.dumps(study.to_dict())) == study.to_dict()
    if study.early_stopping is not None:
        rule = EarlyStopping(study.early_stopping, study.direction, study.seed)
        for number, step in itertools.product(range(3), (0, 1, 2**62, 2**63 - 1)):
            rule.report(number, step, float(number))
    space, rng = study.space, np.random.default_rng(0)
    dimensions = len(space)
    corners = rng.integers(0, 2, (2, dimensions))
    nearly = np.array([[np.nextafter(0.0, 1.0)], [np.nextafter(1.0, 0.0)]]) * np.ones(dimensions)
    points = np.vstack(
        [np.zeros((1, dimensions)), np.ones((1, dimensions)), corners, nearly, rng.random((4, dimensions))]
    )
    for number, config in enumerate(space.from_unit(points)):
        if space.allows(config):
            assert space.validate(config) == config
        record = Asked(Trial(number, config), "random")
        body = intact(encode_record(record))
        assert body is not None
        assert decode_record(body) == record
    assert np.isfinite(space.features(space.to_unit(space.from_unit(points)))).all()
    optimizer = Optimizer(space, "random", study.seed)
    optimizer.enqueue_outstanding(study.enqueue, [])
    trials = optimizer.ask_batch(3)
    for trial in trials:
        optimizer.tell(trial, 1.0)
        assert space.validate(trial.config) == trial.config
    records = [TrialRecord(trial, optimizer.origins[trial.number]) for trial in trials]
    assert len(outstanding(space, study.enqueue, study.seed, records)) == max(0, len(study.enqueue) - len(trials))
    first = list(itertools.islice(Grid(space), 3))
    assert all(space.allows(config) for config in space.from_unit(np.array(first).reshape(-1, dimensions)))
    prior = Prior(space)
    assert np.isfinite(prior.log_density(space.features(prior.draw(points)))).all()


@MANY
@given(mutants())
def test_mutants_of_a_valid_study(tree: Any) -> None:
    check("study.json", json.dumps(tree).encode())


@MANY
@given(st.dictionaries(names, anything, max_size=3) | anything)
def test_any_space_of_python(table: Any) -> None:
    """Without a file in between: bytes would do, infinities and integers of any size come through."""
    try:
        space = Space.from_dict(table)
    except StudyError as error:
        check_message(str(error), "[space")
    else:
        check_study(Study(name="x", objective="x", space=space, folder=Path(), source="x"))


@MANY
@given(anything)
def test_any_json(tree: Any) -> None:
    check("study.json", json.dumps({"study": VALID["study"], "space": tree}).encode())


INSERTED = (b"\x1b[31m", b"\0", b"\xff\xfe", b'"', b"[[", b"}", b"=", b"\n", b"9" * 400)


@MANY
@given(st.randoms(use_true_random=False), st.sampled_from(["study.toml", "study.json"]))
def test_damaged_text(rng: random.Random, name: str) -> None:
    text = bytearray((TOML if name.endswith("toml") else json.dumps(VALID, indent=1)).encode())
    for _ in range(rng.randrange(1, 5)):
        place = rng.randrange(len(text) + 1)
        match rng.randrange(5):
            case 0:
                text[place : place + 1] = bytes([rng.randrange(256)])
            case 1:
                del text[place : place + rng.choice((1, 3, 40))]
            case 2:
                text[place:place] = rng.choice(INSERTED)
            case 3:
                text[place:place] = text[place : place + 60]
            case 4:
                del text[place:]
    check(name, bytes(text))


FLAGS = ["--method", "--acquisition", "--kappa", "--budget", "--time-limit", "--seed", "--trial-timeout", "--output"]
FLAGS += ["--trial-memory", "--retries", "--max-consecutive-failures"]


@MANY
@given(
    st.lists(st.tuples(st.sampled_from(FLAGS), leaves.map(str)), max_size=4),
    st.sampled_from(["digits", "branin", "hartmann6", "study.toml", "nothing", ""]) | st.text(max_size=8),
)
def test_any_command_line(words: list[tuple[str, str]], study: str) -> None:
    output = io.StringIO()
    with redirect_stderr(output), redirect_stdout(output):
        options = parse_arguments([*(word for pair in words for word in pair), "--", study], "reverie run")
    check_message(output.getvalue(), "")
    if not isinstance(options, Options):
        assert options in (0, 2)
        return
    try:
        check_study(open_study(options))
    except StudyError as error:
        check_message(str(error), "")
