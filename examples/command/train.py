"""Train a classifier by stochastic gradient descent. Prints its progress, and last the result as JSON."""

import argparse
import json
import os

import numpy as np

EPOCHS = 15


def read_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--decay", choices=["none", "cosine"], required=True)
    parser.add_argument("--last-rate", type=float, default=1.0, help="share of the rate left at the end of a decay")
    return parser.parse_args()


def sample(count, seed):
    """Points of two classes, on two sides of a curved border, a tenth of them mislabelled."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 6))
    labels = x[:, 0] + x[:, 1] ** 2 - 1.0 + x[:, 2] * x[:, 3] > 0.0
    pairs = x[:, :, None] * x[:, None, :]
    inputs = np.hstack([np.ones((count, 1)), x, pairs.reshape(count, -1)])
    return inputs, (labels ^ (rng.uniform(size=count) < 0.1)).astype(float)


def probability(weights, inputs):
    return 1.0 / (1.0 + np.exp(-np.clip(inputs @ weights, -50.0, 50.0)))


def rate_at(arguments, progress):
    if arguments.decay == "none":
        return arguments.rate
    share = arguments.last_rate + (1.0 - arguments.last_rate) * 0.5 * (1.0 + np.cos(np.pi * progress))
    return arguments.rate * share


def main():
    arguments = read_arguments()
    rng = np.random.default_rng(int(os.environ.get("REVERIE_SEED", "0")))
    inputs, labels = sample(500, seed=1)
    others, truth = sample(500, seed=2)
    weights = 0.01 * rng.normal(size=inputs.shape[1])
    for epoch in range(EPOCHS):
        for rows in np.array_split(rng.permutation(len(labels)), len(labels) // arguments.batch):
            slope = inputs[rows].T @ (probability(weights, inputs[rows]) - labels[rows]) / len(rows)
            weights -= rate_at(arguments, epoch / EPOCHS) * slope
        wrong = float(np.mean((probability(weights, others) > 0.5) != truth))
        print(f"epoch {epoch}: {wrong:.3f} of the other points are wrong")
    print(json.dumps({"objective": wrong, "length": float(np.linalg.norm(weights))}))


if __name__ == "__main__":
    main()
