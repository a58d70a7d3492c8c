import math
import random

import numpy as np
import pytest
from sklearn.datasets import load_digits

from learning_objective.digits import CHANCE_ERROR, DATA_FILE, DIGITS, load_fold, objective
from learning_objective.trial_handle import TrialHandle

GOOD = {
    "learning_rate": 0.01,
    "weight_decay": 1e-5,
    "momentum": 0.8,
    "batch_size": 64,
    "hidden_width": 128,
    "layers": 1,
    "dropout": 0.2,
    "optimiser": "adam",
}


def handle(tmp_path, seed=1, **more):
    return TrialHandle(0, seed, None, tmp_path, **more)


def test_data_are_those_of_scikit_learn():
    digits = load_digits()
    with np.load(DATA_FILE, allow_pickle=False) as archive:
        assert archive["images"].dtype == archive["labels"].dtype == np.uint8
        np.testing.assert_array_equal(archive["images"], digits.images)
        np.testing.assert_array_equal(archive["labels"], digits.target)


def test_fold_is_a_fixed_stratified_quarter():
    fold = load_fold()
    assert fold.train_images.shape == (1347, 64)
    assert fold.validation_images.shape == (450, 64)
    assert 0.0 <= fold.train_images.min() < fold.train_images.max() == 1.0
    held, all_ = (np.bincount(labels) for labels in (fold.validation_labels, load_digits().target))
    np.testing.assert_allclose(held, all_ / 4, atol=0.5)
    # another split would change what every recorded result means
    assert int(fold.validation_labels.numpy() @ np.arange(450)) == 445723


def test_good_configuration_learns_and_its_seed_decides(tmp_path):
    first = objective(GOOD, handle(tmp_path))
    assert first["objective"] < 0.06
    assert first["train_error"] < first["objective"]
    assert 0.0 < first["validation_loss"] < 0.3
    assert objective(GOOD, handle(tmp_path)) == first
    assert objective(GOOD, handle(tmp_path, seed=2)) != first


def test_divergence_is_worth_chance(tmp_path):
    diverging = {**GOOD, "optimiser": "sgd", "nesterov": True, "learning_rate": 1.0, "momentum": 0.99, "layers": 3}
    result = objective(diverging, handle(tmp_path))
    assert result["objective"] == pytest.approx(CHANCE_ERROR, abs=0.03)
    poisoned = objective({**diverging, "learning_rate": 1e30}, handle(tmp_path))
    assert poisoned == {"objective": CHANCE_ERROR, "epochs": 1}


def test_reports_every_epoch_and_stops_when_asked(tmp_path):
    reports = []
    trial = handle(
        tmp_path, send=lambda step, value: (reports.append((step, value)), step == 3 and trial.request_stop())
    )
    result = objective(GOOD, trial)
    assert [step for step, _ in reports] == [1, 2, 3]
    assert result["epochs"] == 3
    assert result["objective"] == reports[-1][1]
    assert trial.stop_seen


def sample(rng):
    """A random point of the space, conditional parameters only where they apply."""
    config = {}
    for name, parameter in DIGITS.space.items():
        if any(config.get(key) != value for key, value in parameter.get("when", {}).items()):
            continue
        if parameter["type"] == "categorical":
            config[name] = rng.choice(parameter["choices"])
            continue
        low, high = parameter["low"], parameter["high"]
        value = math.exp(rng.uniform(math.log(low), math.log(high))) if "log" in parameter else rng.uniform(low, high)
        config[name] = round(value) if parameter["type"] == "int" else value
    return config


def test_every_corner_of_the_space_gives_a_finite_error(tmp_path):
    rng = random.Random(3)
    for number in range(8):
        config = {**sample(rng), "batch_size": 512, "hidden_width": 8}
        assert 0.0 <= objective(config, handle(tmp_path, seed=number))["objective"] <= 1.0
    assert 0.0 <= objective({**GOOD, "optimiser": "sgd", "nesterov": True, "momentum": 0.0})["objective"] <= 1.0
