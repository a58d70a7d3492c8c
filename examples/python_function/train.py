"""Ridge regression of a noisy curve, on polynomials or on Gaussian bumps: how many, how wide, how much penalty?"""

import numpy as np

NOISE = 0.2


def sample(count, seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1.0, 1.0, count)
    return x, np.sin(6.0 * x) * np.exp(-x) + NOISE * rng.normal(size=count)


TRAINING, VALIDATION = sample(60, seed=1), sample(200, seed=2)


def features(config, x):
    if config["basis"] == "polynomial":
        return np.polynomial.legendre.legvander(x, config["degree"])
    centres = np.linspace(-1.0, 1.0, config["bumps"])
    return np.exp(-(((x[:, None] - centres) / config["width"]) ** 2))


def fit(config):
    x, y = TRAINING
    design = features(config, x)
    return np.linalg.solve(design.T @ design + config["penalty"] * np.eye(design.shape[1]), design.T @ y)


def error(config, weights, data):
    x, y = data
    return np.sqrt(np.mean((features(config, x) @ weights - y) ** 2))


def objective(config):
    weights = fit(config)
    return {"objective": error(config, weights, VALIDATION), "training_error": error(config, weights, TRAINING)}
