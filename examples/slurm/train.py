"""A small neural network that tells two spirals apart; a trial that was cut off goes on from its last checkpoint."""

import math

import torch

EPOCHS = 400


def spirals(count, seed):
    generator = torch.Generator().manual_seed(seed)
    label = torch.arange(count) % 2
    turn = 0.25 + 2.5 * torch.rand(count, generator=generator)
    angle = 2.0 * math.pi * turn + math.pi * label
    points = torch.stack([turn * torch.cos(angle), turn * torch.sin(angle)], dim=1)
    return points + 0.1 * torch.randn(count, 2, generator=generator), label.float()


TRAINING, VALIDATION = spirals(400, seed=1), spirals(1000, seed=2)


def optimiser(config, parameters):
    if config["optimiser"] == "adam":
        return torch.optim.Adam(parameters, lr=config["lr"])
    return torch.optim.SGD(parameters, lr=config["lr"], momentum=config["momentum"])


def objective(config, trial):
    torch.manual_seed(trial.seed % 2**31)
    width = config["width"]
    model = torch.nn.Sequential(
        *(torch.nn.Linear(2, width), torch.nn.Tanh(), torch.nn.Linear(width, width), torch.nn.Tanh()),
        torch.nn.Linear(width, 1),
    )
    steps = optimiser(config, model.parameters())
    checkpoint, first = trial.folder / "checkpoint.pt", 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(saved["model"])
        steps.load_state_dict(saved["steps"])
        first = saved["epoch"] + 1
        print(f"goes on from epoch {first}")
    x, label = TRAINING
    for epoch in range(first, EPOCHS):
        steps.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(x)[:, 0], label)
        loss.backward()
        steps.step()
        if epoch % 100 == 99:
            trial.report(epoch, float(loss))
            partial = checkpoint.with_suffix(".new")
            torch.save({"model": model.state_dict(), "steps": steps.state_dict(), "epoch": epoch}, partial)
            partial.replace(checkpoint)
    with torch.no_grad():
        wrong = (model(VALIDATION[0])[:, 0] > 0) != VALIDATION[1].bool()
    return {"objective": float(wrong.float().mean()), "training_loss": float(loss) if first < EPOCHS else 0.0}
