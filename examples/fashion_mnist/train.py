"""A small convolutional network on 10,000 images of Fashion-MNIST; its error on 5,000 others after each epoch.

A trial that is evaluated again, since its worker was lost or it may train for longer, goes on from its last epoch, and
comes to the same result as one that was never interrupted.
"""

import math

import torch
from images import CLASSES, SIDE, read
from torch import nn
from torch.nn import functional

EPOCHS = 9
MOST_TRAINING, MOST_VALIDATION = 10_000, 5_000
BATCH = 50
MEAN, SD = 0.286, 0.353


def split():
    """Two thirds of what there is for training, where that is less than usual."""
    images, labels = read("train", MOST_TRAINING + MOST_VALIDATION)
    border = len(labels) * MOST_TRAINING // (MOST_TRAINING + MOST_VALIDATION)
    return (images[:border], labels[:border]), (images[border:], labels[border:])


TRAINING, VALIDATION = split()


def build(config):
    channels, units = config["channels"], config["units"]
    network = nn.Sequential(
        *(nn.Conv2d(1, channels, 5, stride=2, padding=2), nn.ReLU()),
        *(nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1), nn.ReLU(), nn.Dropout2d(config["dropout_maps"])),
        *(nn.Flatten(), nn.Linear(2 * channels * (SIDE // 4) ** 2, units), nn.ReLU()),
        *(nn.Dropout(config["dropout_units"]), nn.Linear(units, CLASSES)),
    )
    for layer in network:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            fan_in = layer.weight[0].numel()
            nn.init.normal_(layer.weight, std=config["init_scale"] * math.sqrt(2.0 / fan_in))
            nn.init.zeros_(layer.bias)
    return network


def warped(images, config):
    """Each image turned by up to `rotation` degrees, scaled by up to 1 + `zoom`, moved by up to `shift` pixels."""
    draws = 2.0 * torch.rand(4, len(images)) - 1.0
    angle = math.radians(config["rotation"]) * draws[0]
    scale = (1.0 + config["zoom"]) ** draws[1]
    move = 2.0 * config["shift"] / SIDE * draws[2:]
    rows = (scale * angle.cos(), -scale * angle.sin(), move[0], scale * angle.sin(), scale * angle.cos(), move[1])
    grid = functional.affine_grid(torch.stack(rows, dim=1).reshape(-1, 2, 3), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)


def normalised(images):
    return (images - MEAN) / SD


class Training:
    """A network, how far it is trained, and its validation error after each epoch."""

    def __init__(self, config, seed):
        self.config, self.seed, self.errors = config, seed, []
        torch.manual_seed(seed)
        self.network = build(config)
        self.steps = torch.optim.SGD(
            self.network.parameters(), config["lr"], config["momentum"], weight_decay=config["weight_decay"]
        )

    def epoch(self):
        """Train for one more, and return the validation error after it."""
        images, labels = TRAINING
        torch.manual_seed(self.seed + (len(self.errors) + 1 << 32))  # an epoch draws the same, whoever ran those before
        batches = torch.randperm(len(labels)).split(BATCH)
        self.network.train()
        for i, rows in enumerate(batches):
            progress = (len(self.errors) + i / len(batches)) / EPOCHS
            share = 0.5 * (1.0 + math.cos(math.pi * progress))
            final = self.config["final_lr"]
            self.steps.param_groups[0]["lr"] = self.config["lr"] * (final + (1.0 - final) * share)
            scores = self.network(normalised(warped(images[rows], self.config)))
            self.steps.zero_grad()
            functional.cross_entropy(scores, labels[rows]).backward()
            self.steps.step()
        self.errors.append(self.error(*VALIDATION))
        return self.errors[-1]

    @torch.no_grad()
    def error(self, images, labels):
        """Share of images that it takes for something else."""
        self.network.eval()
        wrong = sum(
            int((self.network(normalised(some)).argmax(dim=1) != truth).sum())
            for some, truth in zip(images.split(500), labels.split(500), strict=True)
        )
        return wrong / len(labels)

    @property
    def _made_of(self):
        """What it depends on."""
        return {"config": self.config, "seed": self.seed, "images": len(TRAINING[1])}

    def save(self, path):
        """Put it in place of what `path` holds; a process that is killed meanwhile leaves that as it was."""
        partial = path.with_suffix(".new")
        state = {"network": self.network.state_dict(), "steps": self.steps.state_dict(), "errors": self.errors}
        torch.save({**state, "made_of": self._made_of}, partial)
        partial.replace(path)

    def go_on_from(self, path):
        """Take over what `path` holds, if it is of this configuration, seed and data; whether it was."""
        if not path.exists():
            return False
        saved = torch.load(path, weights_only=True)
        if saved["made_of"] != self._made_of:
            return False
        self.network.load_state_dict(saved["network"])
        self.steps.load_state_dict(saved["steps"])
        self.errors = saved["errors"]
        return True


def objective(config, trial):
    training, checkpoint = Training(config, trial.seed), trial.folder / "checkpoint.pt"
    if training.go_on_from(checkpoint):
        print(f"goes on after epoch {len(training.errors)}")
        trial.report(len(training.errors), training.errors[-1])  # again: the request to stop may have been lost
    epochs = EPOCHS if trial.budget is None else int(trial.budget)
    while len(training.errors) < epochs and not trial.should_stop():
        error = training.epoch()
        training.save(checkpoint)
        trial.report(len(training.errors), error)
    return {"objective": training.errors[-1], "epochs": len(training.errors)}
