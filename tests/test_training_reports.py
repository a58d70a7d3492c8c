"""Reports from training loops: the plain reporter, and the callbacks of both of Lightning's packages."""

from __future__ import annotations

import math
import re
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from learning_objective.communicator import Communicator
from learning_objective.results import attempt
from learning_objective.trial_handle import TrialHandle
from reverie import StudyError
from reverie.integration.torch import Reporter, TrainingStopped


class Rule:
    """A trial, and a rule that stops it at a step."""

    def __init__(self, folder: Path, last: int = sys.maxsize) -> None:
        self.reports: list[tuple[int, float]] = []
        self.last = last
        self.trial = TrialHandle(0, 1, None, folder / "0", self._take)

    def _take(self, step: int, value: float) -> None:
        self.reports.append((step, value))
        if step >= self.last:
            self.trial.request_stop()


def test_a_loop_reports_each_epoch_and_ends_when_told(tmp_path: Path) -> None:
    rule = Rule(tmp_path, last=3)

    def objective(config: dict[str, Any], trial: Any) -> float:
        report = Reporter(trial)
        for epoch in range(10):
            if report(1.0 / (epoch + 1)):
                break
        return report.value

    result = attempt(objective, {}, rule.trial)
    assert (result.state, result.objective) == ("PRUNED", 1.0 / 3.0)
    assert rule.reports == [(1, 1.0), (2, 0.5), (3, 1.0 / 3.0)]


def test_what_is_deep_within_a_loop_is_left_by_an_exception(tmp_path: Path) -> None:
    rule, said = Rule(tmp_path, last=20), []

    def objective(config: dict[str, Any], trial: Any) -> float:
        report = Reporter(trial, raises=True)
        try:
            for epoch in (10, 20, 30):
                report(epoch / 10.0, epoch)
        except TrainingStopped as stopped:
            said.append(str(stopped))
            return stopped.value
        return -1.0

    result = attempt(objective, {}, rule.trial)
    assert (result.state, result.objective) == ("PRUNED", 2.0)
    assert rule.reports == [(10, 1.0), (20, 2.0)]
    assert said == ["the trial is ended early, at 2"]


def test_a_training_by_itself_reports_to_nobody() -> None:
    report = Reporter(None, raises=True)
    assert math.isnan(report.value)
    assert [report(3.0), report(2.0)] == [False, False]
    assert (report.step, report.value, report.stopped) == (2, 2.0, False)


def test_tensors_are_taken(tmp_path: Path) -> None:
    import torch

    rule = Rule(tmp_path)
    report = Reporter(rule.trial)
    report((torch.ones(1, requires_grad=True) * 0.5).sum())
    report(torch.tensor([[0.25]]))
    assert rule.reports == [(1, 0.5), (2, 0.25)]


def test_all_ranks_of_a_trial_get_the_answer_of_the_first(tmp_path: Path) -> None:
    """The first is told to stop at step 2, the other never: both end there."""

    class Alone(Communicator):
        """A communicator whose broadcasts go through a list."""

        def __init__(self, rank: int) -> None:
            self.rank = rank

        def bcast(self, value: Any = None, root: int = 0) -> Any:
            if self.rank == root:
                sent.append(value)
                return value
            return sent.pop(0)

    sent: list[Any] = []
    rules = [Rule(tmp_path, last=2), Rule(tmp_path)]
    reporters = []
    for rank, rule in enumerate(rules):
        rule.trial.comm = Alone(rank)
        reporters.append(Reporter(rule.trial))
    ends = [[report(1.0) for report in reporters] for _ in range(2)]
    assert ends == [[False, False], [True, True]]


# --- Lightning --------------------------------------------------------------------------------------------------------

PACKAGES = {"lightning": "lightning.pytorch", "pytorch_lightning": "pytorch_lightning"}


@pytest.fixture(params=PACKAGES)
def package(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """Module of the trainers, and our callback class for them."""
    library = pytest.importorskip(PACKAGES[request.param])
    return library, import_module(f"reverie.integration.{request.param}").ReverieReportCallback


def module_of(library: Any, losses: list[float]) -> Any:
    """A module that logs these losses, one a validation."""
    import torch

    class Falling(library.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)
            self.validations = 0

        def training_step(self, batch: Any, batch_index: int) -> Any:
            return self.layer(batch).mean()

        def validation_step(self, batch: Any, batch_index: int) -> None:
            if not self.trainer.sanity_checking:
                self.log("val_loss", losses[self.validations])
                self.validations += 1

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.1)

        def train_dataloader(self) -> Any:
            return torch.utils.data.DataLoader(torch.zeros(4, 1))

        val_dataloader = _one = lambda self: torch.utils.data.DataLoader(torch.zeros(1, 1))

    return Falling()


def train(library: Any, callback: Any, losses: list[float], folder: Path, **settings: Any) -> Any:
    trainer = library.Trainer(
        max_epochs=len(losses),
        callbacks=[callback],
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        **settings,
    )
    trainer.fit(module_of(library, losses))
    return trainer


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_trainer_reports_and_is_stopped(package: Any, tmp_path: Path) -> None:
    library, callback_class = package
    rule = Rule(tmp_path, last=3)
    callback = callback_class(rule.trial)
    trainer = train(library, callback, [0.5, 0.25, 0.125, 0.0625, 0.03125], tmp_path)
    assert rule.reports == [(1, 0.5), (2, 0.25), (3, 0.125)]
    assert (trainer.current_epoch, callback.stopped, callback.value) == (3, True, 0.125)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_only_the_first_validation_of_an_epoch_is_reported(package: Any, tmp_path: Path) -> None:
    library, callback_class = package
    rule = Rule(tmp_path)
    train(library, callback_class(rule.trial), [0.5, 0.25, 0.125, 0.0625], tmp_path, val_check_interval=2, max_steps=8)
    assert rule.reports == [(1, 0.5), (2, 0.125)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_metric_that_is_not_logged_is_named(package: Any, tmp_path: Path) -> None:
    library, callback_class = package
    with pytest.raises(StudyError, match=r"\(val_loss\); got 'val_los'. Did you mean .val_loss.\?"):
        train(library, callback_class(Rule(tmp_path).trial, "val_los"), [0.5], tmp_path)


def trainer_of(epoch: int, metrics: dict[str, Any], **settings: Any) -> Any:
    """What the callback asks a trainer for."""
    strategy = SimpleNamespace(reduce_boolean_decision=lambda decision, all: decision)
    state = SimpleNamespace(fn=SimpleNamespace(value="fit"))
    known = {"sanity_checking": False, "should_stop": False, "state": state, "strategy": strategy, **settings}
    return SimpleNamespace(current_epoch=epoch, callback_metrics=metrics, **known)


def test_the_hook_alone_reports_and_stops(tmp_path: Path) -> None:
    """Without Lightning: what its trainers are asked for, by name."""
    from reverie.integration.lightning_reports import Reports

    rule = Rule(tmp_path, last=2)
    callback = Reports(rule.trial, "loss")
    checking, testing = trainer_of(0, {"loss": 9.0}, sanity_checking=True), trainer_of(0, {"loss": 9.0})
    testing.state.fn.value = "validate"
    for trainer in (checking, testing):
        callback.on_validation_end(trainer, None)
    assert rule.reports == []
    first, second = trainer_of(0, {"loss": 1.0}), trainer_of(1, {"loss": 0.5})
    for trainer in (first, first, second):
        callback.on_validation_end(trainer, None)
    assert rule.reports == [(1, 1.0), (2, 0.5)]
    assert (first.should_stop, second.should_stop, callback.stopped) == (False, True, True)
    with pytest.raises(StudyError, match=r"that the module logs \(accuracy, los\); got 'loss'. Did you mean .los.\?"):
        callback.on_validation_end(trainer_of(2, {"los": 1.0, "accuracy": 1.0}), None)


@pytest.mark.parametrize(
    ("module", "library", "install"),
    [
        ("optuna", "optuna", r"needs Optuna: pip install 'reverie\[optuna\]'"),
        ("sklearn", "sklearn", r"needs scikit-learn: pip install 'reverie\[sklearn\]'"),
        ("joblib", "joblib", "needs joblib: pip install 'joblib'"),
        ("lightning", "lightning", "needs Lightning: pip install 'lightning'"),
        ("pytorch_lightning", "pytorch_lightning", "needs Lightning: pip install 'pytorch-lightning'"),
    ],
)
def test_a_library_that_is_missing_is_named(
    module: str, library: str, install: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [*sys.modules]:
        if name == library or name.startswith((f"{library}.", "reverie.integration.")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=f"reverie.integration.{module} {install}"):
        import_module(f"reverie.integration.{module}")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_objective_on_the_page_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = pytest.importorskip("lightning.pytorch")
    page = (Path(__file__).parent.parent / "docs" / "integrations.md").read_text()
    (source,) = re.findall(r"^```py\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {"build": lambda config: module_of(library, config["losses"])}
    exec(source, names)
    rule = Rule(tmp_path, last=2)
    monkeypatch.chdir(tmp_path)
    result = attempt(names["objective"], {"losses": [0.5, 0.25, 0.125]}, rule.trial)
    assert (result.state, result.objective) == ("PRUNED", 0.25)
