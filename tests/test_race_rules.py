"""The keys of a study with instances: what they may be, and what every mistake in them is told as."""

from pathlib import Path

import pytest

from utilities.errors import StudyError
from utilities.storage.study import Study
from utilities.storage.study_file import read_study

LEAST = '[study]\nobjective = "branin"\n{}\n[space.x]\ntype = "float"\nlow = 0.0\nhigh = 1.0\n'


def read(folder: Path, keys: str, text: str = LEAST) -> Study:
    (folder / "study.toml").write_text(text.format(keys))
    return read_study(folder / "study.toml")


def test_instances_are_listed_or_counted(tmp_path: Path) -> None:
    assert read(tmp_path, "instances = 4").instances == [0, 1, 2, 3]
    assert read(tmp_path, 'instances = ["a", 1, 2.5]').instances == ["a", 1, 2.5]
    assert read(tmp_path, "").instances is None
    whole = read(tmp_path, "instances = 4\nfirst_instances = 2\nrace_alpha = 0")
    assert (whole.first_instances, whole.race_alpha) == (2, 0.0)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("instances = 1", "instances must be from 2 to 10,000 instances, or how many there are; got 1. With one alone"),
        ("instances = []", "instances must be from 2 to 10,000"),
        ('instances = ["a"]', "instances must be from 2 to 10,000"),
        ("instances = 99999999", "instances must be from 2 to 10,000"),
        ('instances = ["a", "a"]', 'instances must differ from each other; got "a" twice'),
        ('instances = ["1", 1]', "instances must differ from each other; got 1 twice"),
        ("instances = [1, true]", "instances[1] must be text or a number; got true"),
        ('instances = ["a", ["b"]]', "instances[1] must be text or a number"),
        ('instances = ["a", ""]', "instances[1] must be printable text, not empty"),
        ('instances = "five"', "instances must be a list of text and numbers, or how many there are; got"),
        ("first_instances = 3", "first_instances is of a study with instances; set instances, or leave it out"),
        ("race_alpha = 0.1", "race_alpha is of a study with instances"),
        ("instances = 4\nfirst_instances = 5", "first_instances must be at most 4, as many as there are; got 5"),
        ("instances = 4\nfirst_instances = 1", "first_instances must be at least 2; got 1"),
        ("instances = 4\nrace_alpha = 1.0", "race_alpha must be a probability from 0 to less than 1; got 1.0"),
        ("instances = 4\nrace_alpha = nan", "race_alpha must be"),
        (
            'instances = 4\n[early_stopping]\nrule = "asha"',
            "[early_stopping] must be left out in a study with instances",
        ),
        (
            "instances = 4\n[fidelity]\nlow = 1\nhigh = 9",
            "[fidelity] must be left out in a study with instances; got 4 instances: a race gives up what is worse",
        ),
        (
            'instances = 4\nmetric_constraints = ["seconds < 5"]',
            "metric_constraints must be left out in a study with instances: a race compares configurations by one",
        ),
        ("instances = 4\nobjectives = ['a', 'b']", "objectives must be left out in a study with instances"),
        ("instancs = 4", 'Did you mean "instances"?'),
    ],
)
def test_mistakes(tmp_path: Path, keys: str, message: str) -> None:
    with pytest.raises(StudyError) as error:
        read(tmp_path, keys)
    assert message in str(error.value)


def test_a_command_names_the_instance(tmp_path: Path) -> None:
    command = LEAST.replace('objective = "branin"', 'command = ["train", "{{instance}}", "{{x}}"]')
    assert read(tmp_path, "instances = 2", command).command == ["train", "{instance}", "{x}"]
    with pytest.raises(StudyError, match=r"\{instance\} must name a parameter"):
        read(tmp_path, "", command)
    with pytest.raises(StudyError, match=r"\[space.instance\] must have another name"):
        read(tmp_path, "instances = 2", command.replace("space.x", "space.instance").replace("{{x}}", "x"))
