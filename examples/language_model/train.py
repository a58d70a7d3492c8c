"""Log-bilinear language models of characters (Mnih and Hinton 2007) on Alice's Adventures in Wonderland.

Each character has a vector. From those of the context a vector is predicted, and the next character is likely by how
well its own vector agrees. The additive model predicts the sum over the context's vectors, each times a matrix of its
place; in the multiplicative one the latest character also scales that sum, factor by factor (Kiros et al. 2014).
"""

import math
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

EPOCHS = 6
TEXT = Path(__file__).with_name("alice.txt").read_text(encoding="ascii")
ALPHABET = sorted(set(TEXT))
CODES = torch.tensor([ALPHABET.index(character) for character in TEXT])
TRAINING, VALIDATION = CODES[: len(CODES) * 9 // 10], CODES[len(CODES) * 9 // 10 :]
MOST_NORM = 1.0


class LogBilinear(nn.Module):
    def __init__(self, config):
        super().__init__()
        size = config["embedding"]
        self.vectors = nn.Embedding(len(ALPHABET), size)
        self.dropout = nn.Dropout(config["dropout"])
        self.context = nn.Linear(config["context"] * size, size)
        self.offsets = nn.Parameter(torch.zeros(len(ALPHABET)))
        self.factors = None
        if config["model"] == "multiplicative":
            self.factors = nn.Linear(size, config["factors"], bias=False)
            self.scales = nn.Linear(size, config["factors"])
            self.back = nn.Linear(config["factors"], size)
        for name, weights in self.named_parameters():
            if weights.dim() == 2:
                fan_in = 1 if name == "vectors.weight" else weights.shape[1]
                nn.init.normal_(weights, std=config["init_scale"] / math.sqrt(fan_in))

    def forward(self, contexts):
        """Scores of each next character, (n, characters), after contexts (n, context)."""
        known = self.dropout(self.vectors(contexts))
        predicted = self.context(known.flatten(1))
        if self.factors is not None:
            predicted = self.back(self.factors(predicted) * (1.0 + self.scales(known[:, -1])))
        return predicted @ self.vectors.weight.T / math.sqrt(predicted.shape[1]) + self.offsets


def windows(codes, length):
    """Contexts (n, length) of codes, and what follows each, (n,)."""
    return codes[:-1].unfold(0, length, 1), codes[length:]


@torch.no_grad()
def bits(model, codes, length):
    """Bits per character that the model needs for a text."""
    model.eval()
    contexts, following = windows(codes, length)
    return float(functional.cross_entropy(model(contexts), following)) / math.log(2.0)


def train(model, steps, config, epoch):
    model.train()
    contexts, following = windows(TRAINING, config["context"])
    batches = torch.randperm(len(following)).split(config["batch"])
    for i, rows in enumerate(batches):
        progress = (epoch + i / len(batches)) / EPOCHS
        steps.param_groups[0]["lr"] = config["lr"] * (1.0 - (1.0 - config["final_lr"]) * progress)
        steps.zero_grad()
        functional.cross_entropy(model(contexts[rows]), following[rows]).backward()
        nn.utils.clip_grad_norm_(model.parameters(), MOST_NORM)
        steps.step()


def objective(config, trial):
    torch.manual_seed(trial.seed)
    model = LogBilinear(config)
    steps = torch.optim.SGD(model.parameters(), config["lr"], config["momentum"], weight_decay=config["weight_decay"])
    for epoch in range(EPOCHS):
        train(model, steps, config, epoch)
        loss = bits(model, VALIDATION, config["context"])
        trial.report(epoch + 1, loss)
        if epoch + 1 < EPOCHS and trial.should_stop():
            break
    return {"objective": loss, "weights": sum(weights.numel() for weights in model.parameters())}
