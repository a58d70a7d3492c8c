"""A small network learns to tell two spirals apart, in NumPy; it goes on from its checkpoint with a larger budget."""

import os

import numpy as np

HIDDEN = 24
PASSES = 20
"""Passes over the data that an epoch has."""


def spirals(count, seed):
    rng = np.random.default_rng(seed)
    turn = 0.5 + 2.5 * np.sqrt(rng.random(count))
    side = rng.integers(0, 2, count)
    angle = turn * np.pi / 1.5 + np.pi * side
    x = np.column_stack([turn * np.cos(angle), turn * np.sin(angle)]) / 3.0
    return x + rng.normal(0.0, 0.03, x.shape), side


TRAINING, VALIDATION = spirals(400, seed=1), spirals(400, seed=2)


def begin(seed):
    rng = np.random.default_rng(seed)
    shapes = {"w1": (2, HIDDEN), "b1": HIDDEN, "w2": (HIDDEN, HIDDEN), "b2": HIDDEN, "w3": (HIDDEN, 1), "b3": 1}
    weights = {name: rng.normal(0.0, 0.7 * name.startswith("w"), shape) for name, shape in shapes.items()}
    return weights, {name: np.zeros(shape) for name, shape in shapes.items()}


def save(path, weights, speeds):
    """Replace the checkpoint in one step: a run that is killed leaves the old one or the new one."""
    speeds = {f"speed_{name}": speed for name, speed in speeds.items()}
    np.savez(path.with_name("new.npz"), **weights, **speeds)
    os.replace(path.with_name("new.npz"), path)


def load(path):
    with np.load(path) as file:
        weights = {name: file[name] for name in file.files if not name.startswith("speed_")}
        return weights, {name: file[f"speed_{name}"] for name in weights}


def forward(weights, x):
    first = np.tanh(x @ weights["w1"] + weights["b1"])
    second = np.tanh(first @ weights["w2"] + weights["b2"])
    return first, second, 1.0 / (1.0 + np.exp(-(second @ weights["w3"] + weights["b3"])[:, 0]))


def gradients(weights, x, side):
    first, second, probability = forward(weights, x)
    out = ((probability - side) / len(x))[:, None]
    back = out @ weights["w3"].T * (1.0 - second**2)
    inner = back @ weights["w2"].T * (1.0 - first**2)
    return {
        "w1": x.T @ inner,
        "b1": inner.sum(axis=0),
        "w2": first.T @ back,
        "b2": back.sum(axis=0),
        "w3": second.T @ out,
        "b3": out.sum(axis=0),
    }


def error(weights, data):
    x, side = data
    return np.mean((forward(weights, x)[2] > 0.5) != side)


def objective(config, trial):
    checkpoint = trial.folder / "checkpoint.npz"
    weights, speeds = load(checkpoint) if trial.resumed else begin(trial.seed)
    momentum = config.get("momentum", 0.0)
    for epoch in range(trial.previous_budget, trial.budget):
        for _ in range(PASSES):
            slopes = gradients(weights, *TRAINING)
            for name in weights:
                slope = slopes[name] + config["decay"] * weights[name]
                speeds[name] = momentum * speeds[name] - config["rate"] * slope
                weights[name] = weights[name] + speeds[name]
        print(f"epoch {epoch + 1}: {error(weights, VALIDATION):.3f}")
    save(checkpoint, weights, speeds)
    return {"objective": error(weights, VALIDATION), "training_error": error(weights, TRAINING)}
