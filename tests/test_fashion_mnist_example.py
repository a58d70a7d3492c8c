"""examples/fashion_mnist: it reads the files, trains, and goes on from a checkpoint as if nothing had happened."""

from __future__ import annotations

import gzip
import importlib
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from fashion_images import PACKAGE, PARTS, generated, small_fashion_mnist, write_idx

from learning_objective.trial_handle import TrialHandle

EXAMPLE = Path(__file__).parent.parent / "examples" / "fashion_mnist"
CONFIG = {
    "lr": 0.05,
    "final_lr": 0.1,
    "momentum": 0.8,
    "weight_decay": 1e-4,
    "init_scale": 1.0,
    "dropout_maps": 0.1,
    "dropout_units": 0.2,
    "shift": 1.0,
    "rotation": 5.0,
    "zoom": 0.1,
    "channels": 4,
    "units": 16,
}


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Imports a module of the example, which finds its images in tmp_path."""
    monkeypatch.syspath_prepend(EXAMPLE)
    monkeypatch.setenv("FASHION_MNIST", str(tmp_path / "images"))
    kept = {name: sys.modules.pop(name) for name in ("images", "train") if name in sys.modules}
    yield importlib.import_module
    for name in ("images", "train"):
        sys.modules.pop(name, None)
    sys.modules.update(kept)


@pytest.fixture
def train(load: Callable[[str], ModuleType], tmp_path: Path) -> ModuleType:
    small_fashion_mnist(tmp_path / "images")
    return load("train")


class Bench(TrialHandle):
    """A trial that notes what is reported, and is asked to stop once a step is reached."""

    def __init__(self, folder: Path, *, seed: int = 3, budget: float | None = None, stop_at: int = 99) -> None:
        self.reports: list[tuple[int, float]] = []
        super().__init__(0, seed, budget, folder, self._note)
        self._stop_at = stop_at

    def _note(self, step: int, value: float) -> None:
        self.reports.append((step, value))
        if step >= self._stop_at:
            self.request_stop()


# --- the files --------------------------------------------------------------------------------------------------------


def test_what_was_written_is_read(load: Callable[[str], ModuleType], tmp_path: Path) -> None:
    images, labels = generated(30, seed=1)
    (tmp_path / "images").mkdir()
    write_idx(tmp_path / "images" / "train-images-idx3-ubyte.gz", images)
    write_idx(tmp_path / "images" / "train-labels-idx1-ubyte.gz", labels)
    for count, least in ((30, 30), (7, 7), (50, 30)):
        read_images, read_labels = load("images").read("train", count)
        assert read_images.shape == (least, 1, 28, 28)
        np.testing.assert_allclose(255.0 * read_images[:, 0].numpy(), images[:least], rtol=1e-6)
        assert read_labels.tolist() == labels[:least].tolist()


@pytest.mark.skipif(not PACKAGE.is_dir(), reason="dataset-fashion-mnist is not installed")
def test_the_real_files_are_read(load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FASHION_MNIST")
    images, labels = load("images").read("train", 10_000)
    assert torch.bincount(labels).tolist() == [942, 1027, 1016, 1019, 974, 989, 1021, 1022, 990, 1000]
    assert images.mean().item() == pytest.approx(0.2868, abs=1e-3)  # 0.2860 over all 60,000
    assert float(images.min()) == 0.0
    assert float(images.max()) == 1.0


def test_missing_data_are_one_sentence_that_says_how_to_get_them(
    load: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        load("train")
    said = str(caught.value)
    assert said.startswith(f"Fashion-MNIST is not in {tmp_path / 'images'}: ")
    assert "apt-get install dataset-fashion-mnist" in said
    assert "https://github.com/zalandoresearch/fashion-mnist" in said
    assert "\n" not in said


def test_a_file_of_another_kind_is_named(load: Callable[[str], ModuleType], tmp_path: Path) -> None:
    path = tmp_path / "floats.gz"
    path.write_bytes(gzip.compress(bytes([0, 0, 0x0D, 1, 0, 0, 0, 1]) + b"\0\0\0\0"))
    with pytest.raises(ValueError, match=r"floats\.gz is no IDX file of bytes: .* type 13"):
        load("images").read_idx(path, 1)


def test_the_set_is_split_without_an_overlap(train: ModuleType) -> None:
    total = PARTS["train"]
    assert (len(train.TRAINING[1]), len(train.VALIDATION[1])) == (total * 2 // 3, total - total * 2 // 3)
    joined = torch.cat([train.TRAINING[0], train.VALIDATION[0]])
    assert torch.equal(joined, sys.modules["images"].read("train", total)[0])


# --- training ---------------------------------------------------------------------------------------------------------


def test_an_image_is_moved_by_whole_pixels_as_indexing_does(train: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    image = train.TRAINING[0][:1]
    still = {"shift": 0.0, "rotation": 0.0, "zoom": 0.0}
    torch.testing.assert_close(train.warped(image, still), image, rtol=1e-4, atol=1e-4)
    monkeypatch.setattr(torch, "rand", lambda *shape: torch.ones(*shape))  # all draws at the upper end of their range
    moved = train.warped(image, still | {"shift": 2.0})
    torch.testing.assert_close(moved[..., :-2, :-2], image[..., 2:, 2:], rtol=1e-4, atol=1e-4)
    turned = train.warped(image, still | {"rotation": 90.0})
    assert any(torch.allclose(turned, torch.rot90(image, k, (2, 3)), atol=1e-4) for k in (1, 3))


def test_initial_weights_have_the_scale_that_was_asked_for(train: ModuleType) -> None:
    torch.manual_seed(1)
    network = train.build(CONFIG | {"init_scale": 3.0, "channels": 24, "units": 128})
    for layer in network:
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            expected = 3.0 * math.sqrt(2.0 / layer.weight[0].numel())
            assert layer.weight.std().item() == pytest.approx(expected, rel=4.0 / math.sqrt(2 * layer.weight.numel()))
            assert not layer.bias.any()


def test_it_learns_and_the_same_seed_gives_the_same(train: ModuleType, tmp_path: Path) -> None:
    plain = CONFIG | {"dropout_maps": 0.0, "dropout_units": 0.0, "shift": 0.0, "rotation": 0.0, "zoom": 0.0}
    first, again, other = Bench(tmp_path / "a"), Bench(tmp_path / "b"), Bench(tmp_path / "c", seed=4)
    result = train.objective(plain, first)
    assert result == {"objective": first.reports[-1][1], "epochs": 9}
    assert [step for step, _ in first.reports] == list(range(1, 10))
    assert result["objective"] < 0.5 < first.reports[0][1] + 0.3  # of ten classes, so 0.9 is chance
    assert train.objective(plain, again) == result
    train.objective(plain, other)
    assert first.reports == again.reports != other.reports


@pytest.mark.parametrize("cut", [1, 4, 8])
def test_an_interrupted_trial_comes_to_the_same_as_one_that_was_not(
    train: ModuleType, tmp_path: Path, cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Bench(tmp_path / "whole")
    result = train.objective(CONFIG, whole)
    epoch = train.Training.epoch

    def dies(training: object) -> float:
        if len(training.errors) == cut:
            raise KeyboardInterrupt
        return epoch(training)

    with monkeypatch.context() as patch:
        patch.setattr(train.Training, "epoch", dies)
        with pytest.raises(KeyboardInterrupt):
            train.objective(CONFIG, Bench(tmp_path / "cut"))
    torch.manual_seed(999)
    again = Bench(tmp_path / "cut")
    assert train.objective(CONFIG, again) == result
    assert again.reports == whole.reports[cut - 1 :]  # its last epoch is told once more
    saved = [torch.load(tmp_path / name / "checkpoint.pt") for name in ("whole", "cut")]
    assert all(torch.equal(value, saved[1]["network"][key]) for key, value in saved[0]["network"].items())


def test_a_larger_budget_goes_on_where_a_smaller_one_ended(train: ModuleType, tmp_path: Path) -> None:
    whole = Bench(tmp_path / "whole")
    train.objective(CONFIG, whole)
    errors = dict(whole.reports)
    for budget in (1, 3, 9):
        result = train.objective(CONFIG, Bench(tmp_path / "rungs", budget=budget))
        assert result == {"objective": errors[budget], "epochs": budget}


def test_a_trial_that_is_asked_to_stop_ends_with_its_latest_error(train: ModuleType, tmp_path: Path) -> None:
    trial = Bench(tmp_path / "a", stop_at=3)
    assert train.objective(CONFIG, trial) == {"objective": trial.reports[-1][1], "epochs": 3}
    assert trial.stop_seen
    again = Bench(tmp_path / "a", stop_at=3)  # the request was lost with the worker: it is made again
    assert train.objective(CONFIG, again)["epochs"] == 3
    assert again.reports == trial.reports[-1:]
    at_the_end = Bench(tmp_path / "b", stop_at=9)
    train.objective(CONFIG, at_the_end)
    assert not at_the_end.stop_seen  # it is complete


def test_a_checkpoint_of_something_else_is_not_taken(train: ModuleType, tmp_path: Path) -> None:
    train.objective(CONFIG, Bench(tmp_path / "a", budget=2))
    path = tmp_path / "a" / "checkpoint.pt"
    assert not train.Training(CONFIG | {"lr": 0.04}, 3).go_on_from(path)
    assert not train.Training(CONFIG, 4).go_on_from(path)
    assert train.Training(CONFIG, 3).go_on_from(path)
    assert not train.Training(CONFIG, 3).go_on_from(tmp_path / "none.pt")


def test_a_process_that_dies_as_it_saves_leaves_the_last_checkpoint(
    train: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training, path = train.Training(CONFIG, 3), tmp_path / "checkpoint.pt"
    training.epoch()
    training.save(path)
    before = path.read_bytes()
    training.epoch()

    def torn(state: object, to: Path) -> None:
        to.write_bytes(b"half")
        raise OSError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", torn)
        with pytest.raises(OSError, match="killed"):
            training.save(path)
    assert path.read_bytes() == before
    fresh = train.Training(CONFIG, 3)
    assert fresh.go_on_from(path)
    assert len(fresh.errors) == 1
