"""What the fuzzing of study files found, a test for each: huge, deep, endless, or a hair apart."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from learning_objective.command_line import Options, parse_arguments
from learning_objective.studies import open_study
from utilities.errors import StudyError, nearest
from utilities.grid import Grid
from utilities.space import Space
from utilities.storage.study import Study
from utilities.storage.study_file import read_study

STUDY = b'[study]\nobjective = "train.py:objective"\n'


def number(kind: str, low: float, high: float, **keys: Any) -> dict[str, Any]:
    return {"type": kind, "low": low, "high": high, **keys}


def read(folder: Path, name: str, content: bytes) -> Study:
    (folder / name).write_bytes(content)
    return read_study(folder / name)


@pytest.mark.parametrize(
    ("table", "rule"),
    [
        (number("float", 1e300, float(np.nextafter(1e300, np.inf)), log=True), "floating-point logarithms"),
        (number("int", 2**53 - 2, 2**53 - 1, log=True), "floating-point logarithms"),
        (number("int", 0, 2**53 + 1), "high must be at most 2^53 in size; got 9007199254740993"),
        (number("int", -(2**63), 0), "low must be at most 2^53 in size"),
        (number("int", 0, 10**400), "high must be at most 2^53 in size; got 1000"),
        (number("float", 0, 10**400), "high must be a number below 1e308 in size"),
        (number("float", 0, 1, grid=10**12), "grid must be at least 2 and at most 100,000"),
    ],
)
def test_numbers_that_floats_cannot_tell_apart_or_hold(table: dict[str, Any], rule: str) -> None:
    with pytest.raises(StudyError) as caught:
        Space.from_dict({"x": table})
    assert str(caught.value).startswith("[space.x] ")
    assert rule in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(("low", "high"), [(2**53 - 2, 2**53), (-(2**53), 2**53)])
def test_the_largest_integers_stay_in_their_range(low: int, high: int) -> None:
    space = Space.from_dict({"x": number("int", low, high)})
    ends = [config["x"] for config in space.from_unit([[0.0], [1.0]])]
    assert ends == [low, high]


def test_the_size_of_a_space_may_exceed_all_floats() -> None:
    space = Space.from_dict({**{f"i{k}": number("int", 0, 2**52) for k in range(30)}, "x": number("float", 0, 1)})
    assert space.cardinality == math.inf
    grid = Grid(Space.from_dict({f"x{k}": number("float", 0, 1, grid=1000) for k in range(110)}))
    assert grid.size == 10**330
    assert next(iter(grid)).shape == (110,)


def test_the_budget_of_an_endless_grid_fits_the_journal(tmp_path: Path) -> None:
    rows = "".join(f'[space.x{k}]\ntype = "float"\nlow = 0\nhigh = 1\ngrid = 1000\n' for k in range(9))
    read(tmp_path, "study.toml", STUDY + b'method = "grid"\n' + rows.encode())
    assert open_study(Options(study=str(tmp_path / "study.toml"))).budget == 2**63 - 1


def test_a_long_chain_of_conditions(tmp_path: Path) -> None:
    def chain(length: int, **first: Any) -> dict[str, Any]:
        table = {f"p{k}": {"type": "categorical", "choices": [1], "when": {f"p{k - 1}": 1}} for k in range(1, length)}
        return {**table, "p0": {"type": "categorical", "choices": [1], **first}}

    space = Space.from_dict(chain(1500))
    assert len(space.from_unit(np.zeros((1, 1500)))[0]) == 1500
    with pytest.raises(StudyError, match="must not be circular; got p1 -> p0 -> p1499 -> p1498") as caught:
        Space.from_dict(chain(1500, when={"p1499": 1}))
    assert len(str(caught.value)) < 2100


def test_very_many_choices_are_compared_in_linear_time() -> None:
    space = Space.from_dict({"x": {"type": "categorical", "choices": list(range(200_000))}})
    assert space.from_unit([[1.0]]) == [{"x": 199_999}]
    with pytest.raises(StudyError, match=r"choices must differ from each other; got 7 twice"):
        Space.from_dict({"x": {"type": "categorical", "choices": [*range(200_000), 7]}})
    assert Space.from_dict({"x": {"type": "categorical", "choices": [1, 1.0, True, "1"]}}).cardinality == 4


def test_only_names_of_a_length_to_read_are_compared() -> None:
    assert nearest("modle", ["model", "x" * 10**6]) == ' Did you mean "model"?'
    assert nearest("x" * 10**6, ["x" * 10**6 + "y"]) == ""
    assert nearest("modle", (f"n{k}" for k in range(10**6))) == ""


@pytest.mark.parametrize("depth", [50, 300, 900, 5000, 200_000])
def test_deep_nesting_is_a_sentence(tmp_path: Path, depth: int) -> None:
    tables = (
        ("study.json", b'{"study": ' + b"[" * depth + b"]" * depth + b', "space": {}}'),
        (
            "study.json",
            b'{"study": {"objective": "a:b"}, "space": {"x": ' + b'{"a":' * depth + b"1" + b"}" * depth + b"}}",
        ),
        ("study.toml", STUDY + b"[space]\nx = " + b"[" * depth + b"]" * depth),
    )
    for name, content in tables:
        with pytest.raises(StudyError) as caught:
            read(tmp_path, name, content)
        assert str(caught.value).startswith(str(tmp_path / name))


@pytest.mark.parametrize("key", ["x", "x.low", "x.when.y", "x.type"])
def test_deep_tables_of_dotted_keys_are_a_sentence(tmp_path: Path, key: str) -> None:
    rows = (
        "" if key == "x" else "".join(f"x.{k}\n" for k in ('type = "int"', "low = 1", "high = 2") if k[:4] not in key)
    )
    for value in ("1", "nan"):
        content = STUDY + f"[space]\n{rows}{key}{'.a' * 3000} = {value}\n".encode()
        with pytest.raises(StudyError) as caught:
            read(tmp_path, "study.toml", content)
        assert len(str(caught.value)) < 2100


def test_messages_stay_short_and_printable(tmp_path: Path) -> None:
    long = {"study": {"objective": "a:b"}, "space": {"x" * 10**5: number("float", 1, 0)}}
    with pytest.raises(StudyError, match="low must be below high") as caught:
        read(tmp_path, "study.json", json.dumps(long).encode())
    assert len(str(caught.value)) < 2100
    with pytest.raises(StudyError) as caught:
        read(tmp_path, "study.json", json.dumps({"study": {"\u202e\x1b[31m" * 1000: 1}, "space": {}}).encode())
    assert str(caught.value).isprintable()
    assert "\\u202e\\x1b[31m" in str(caught.value)
    assert len(str(caught.value)) < 2100


@pytest.mark.parametrize("study", ["a" * 300, "a" * 300 + ".toml", "a\0b", "a\0b.toml", "\ud800.toml", "\ud800"])
def test_no_name_of_a_file_is_a_traceback(study: str) -> None:
    with pytest.raises(StudyError) as caught:
        open_study(Options(study=study))
    assert str(caught.value).isprintable()


def test_digits_without_end_on_the_command_line() -> None:
    with pytest.raises(StudyError, match=r"--budget must be below 2\^63; got 999") as caught:
        open_study(Options(study="branin", budget="9" * 4200))
    assert len(str(caught.value)) < 200


def test_the_command_line_repeats_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    assert parse_arguments(["--\x1b[31mmethod\u202e"], "reverie run") == 2
    told = capsys.readouterr().err
    assert told.removesuffix("\n").isprintable()
    assert "--\\x1b[31mmethod" in told
