"""examples/language_model: the two models against sums by hand, and that they learn."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from types import ModuleType

import pytest
import torch

from learning_objective.trial_handle import TrialHandle

EXAMPLE = Path(__file__).parent.parent / "examples" / "language_model"
CONFIG = {
    "model": "additive",
    "context": 3,
    "embedding": 8,
    "init_scale": 0.5,
    "dropout": 0.0,
    "batch": 64,
    "lr": 0.3,
    "final_lr": 0.1,
    "momentum": 0.8,
    "weight_decay": 1e-6,
}
MULTIPLICATIVE = CONFIG | {"model": "multiplicative", "factors": 10}


@pytest.fixture
def train(tmp_path: Path) -> ModuleType:
    """The example's train.py, on the beginning of its text."""
    (tmp_path / "alice.txt").write_text((EXAMPLE / "alice.txt").read_text()[:5000])
    path = tmp_path / "train.py"
    path.write_text((EXAMPLE / "train.py").read_text())
    spec = importlib.util.spec_from_file_location("language_model_train", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_text_is_the_whole_book_in_plain_characters() -> None:
    text = (EXAMPLE / "alice.txt").read_text(encoding="ascii")
    assert text.startswith("CHAPTER I\n\nDown the Rabbit-Hole\n\nAlice was beginning to get very tired")
    assert text.endswith("THE END\n")
    assert text.count("CHAPTER") == 12
    assert 140_000 < len(text) < 150_000
    assert "\r" not in text


def test_each_context_stands_before_what_follows_it(train: ModuleType) -> None:
    contexts, following = train.windows(torch.arange(7), 3)
    assert contexts.tolist() == [[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5]]
    assert following.tolist() == [3, 4, 5, 6]


@pytest.mark.parametrize("config", [CONFIG, MULTIPLICATIVE], ids=["additive", "multiplicative"])
@torch.no_grad()
def test_scores_are_the_sums_of_the_papers(train: ModuleType, config: dict[str, object]) -> None:
    torch.manual_seed(1)
    model = train.LogBilinear(config)
    assert len(list(model.parameters())) == (4 if config is CONFIG else 9)
    for weights in model.parameters():
        torch.nn.init.normal_(weights)
    context = [5, 0, 7]
    matrices = model.context.weight.split(8, dim=1)
    vectors = model.vectors.weight
    predicted = model.context.bias + sum(matrix @ vectors[c] for matrix, c in zip(matrices, context, strict=True))
    if config is MULTIPLICATIVE:
        scales = 1.0 + model.scales.weight @ vectors[7] + model.scales.bias
        predicted = model.back.weight @ (scales * (model.factors.weight @ predicted)) + model.back.bias
    agreements = [float(predicted @ vector) / math.sqrt(8) for vector in vectors]
    by_hand = torch.tensor(agreements) + model.offsets
    torch.testing.assert_close(model(torch.tensor([context]))[0], by_hand, rtol=1e-3, atol=1e-3)


def test_a_model_that_knows_nothing_needs_the_bits_of_its_alphabet(train: ModuleType) -> None:
    model = train.LogBilinear(CONFIG)
    for weights in model.parameters():
        torch.nn.init.zeros_(weights)
    assert train.bits(model, train.VALIDATION, 3) == pytest.approx(math.log2(len(train.ALPHABET)), rel=1e-5)


@pytest.mark.parametrize("config", [CONFIG, MULTIPLICATIVE], ids=["additive", "multiplicative"])
def test_it_learns_and_reports_each_epoch(train: ModuleType, tmp_path: Path, config: dict[str, object]) -> None:
    reports: list[list[float]] = [[], []]
    for losses in reports:
        trial = TrialHandle(0, 5, None, tmp_path, lambda step, value, losses=losses: losses.append((step, value)))
        result = train.objective(config, trial)
        assert not trial.stop_seen
    assert [step for step, _ in reports[0]] == list(range(1, train.EPOCHS + 1))
    assert result["objective"] == reports[0][-1][1] < math.log2(len(train.ALPHABET)) - 1.0
    assert result["weights"] == sum(weights.numel() for weights in train.LogBilinear(config).parameters())
    assert reports[0] == reports[1]


def test_a_trial_that_is_asked_to_stop_ends_with_its_latest_loss(train: ModuleType, tmp_path: Path) -> None:
    reports: list[float] = []
    trial = TrialHandle(0, 5, None, tmp_path, lambda step, value: (reports.append(value), trial.request_stop()))
    assert train.objective(CONFIG, trial)["objective"] == reports[0]
    assert len(reports) == 1
    assert trial.stop_seen
