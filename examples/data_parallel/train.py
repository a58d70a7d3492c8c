"""A small network that two ranks train together: each has half of every batch, and all add up their gradients."""

import numpy as np

EPOCHS, BATCH = 30, 64


def waves(count, seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1.0, 1.0, (count, 2))
    return x, np.sin(4.0 * x[:, :1]) * np.cos(3.0 * x[:, 1:])


TRAINING, VALIDATION = waves(1024, seed=1), waves(512, seed=2)


class Network:
    """One hidden layer of tanh; its weights are views of one array, so that one call adds up all gradients."""

    def __init__(self, width, rng):
        self.flat = np.zeros(4 * width + 1)
        self.parts = self.split(self.flat)
        for part in self.parts[:3:2]:
            part[...] = rng.normal(size=part.shape) / np.sqrt(len(part))

    def split(self, flat):
        width = (len(flat) - 1) // 4
        shapes = [(2, width), (width,), (width, 1), (1,)]
        ends = np.cumsum([np.prod(shape) for shape in shapes])
        return [part.reshape(shape) for part, shape in zip(np.split(flat, ends[:-1]), shapes, strict=True)]

    def __call__(self, x):
        first, shift, last, offset = self.parts
        hidden = np.tanh(x @ first + shift)
        return hidden @ last + offset, hidden

    def gradient(self, x, y):
        """Of the sum of squared errors."""
        output, hidden = self(x)
        slope = 2.0 * (output - y)
        inner = (slope @ self.parts[2].T) * (1.0 - hidden**2)
        flat = np.empty_like(self.flat)
        for part, value in zip(
            self.split(flat), (x.T @ inner, inner.sum(0), hidden.T @ slope, slope.sum(0)), strict=True
        ):
            part[...] = value
        return flat


def objective(config, trial):
    comm = trial.comm
    rng = np.random.default_rng(trial.seed)  # the same on every rank: all start alike, and draw the same batches
    network = Network(config["width"], rng)
    velocity, second = np.zeros_like(network.flat), np.zeros_like(network.flat)
    x, y = TRAINING
    for step in range(EPOCHS * len(x) // BATCH):
        mine = rng.permutation(len(x))[:BATCH][comm.rank :: comm.size]
        gradient = network.gradient(x[mine], y[mine])
        comm.Allreduce(gradient, gradient)
        gradient /= max(BATCH, np.linalg.norm(gradient))  # of unit length at most: no step size diverges
        if config["optimiser"] == "adam":
            velocity += 0.1 * (gradient - velocity)
            second += 0.001 * (gradient**2 - second)
            scale = np.sqrt(second / (1.0 - 0.999 ** (step + 1))) + 1e-8
            network.flat -= config["lr"] * velocity / (1.0 - 0.9 ** (step + 1)) / scale
        else:
            velocity = config["momentum"] * velocity + gradient
            network.flat -= config["lr"] * velocity
    if comm.rank == 0:
        np.save(trial.folder / "weights.npy", network.flat)
    part = slice(comm.rank, None, comm.size)
    errors = comm.allreduce(np.sum((network(VALIDATION[0][part])[0] - VALIDATION[1][part]) ** 2))
    return {"objective": errors / len(VALIDATION[1]), "weight_norm": float(np.linalg.norm(network.flat))}
