"""Small sets of images in the files of Fashion-MNIST: of the real ones where they are installed, else generated."""

import gzip
from pathlib import Path

import numpy as np

PACKAGE = Path("/usr/share/datasets/fashion-mnist")
PARTS = {"train": 600, "t10k": 200}


def write_idx(path: Path, array: np.ndarray) -> None:
    """Write bytes as the format has them (LeCun, Cortes and Burges, The MNIST database)."""
    head = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(gzip.compress(head + array.astype(np.uint8).tobytes()))


def generated(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images (count, 28, 28) with a bright bar, whose height tells the class, on dim noise."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, count)
    images = rng.integers(0, 100, (count, 28, 28))
    for image, label in zip(images, labels, strict=True):
        image[4 + 2 * label : 7 + 2 * label, 6:22] = 250
    return images, labels


def real(part: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """First of the installed ones."""
    with gzip.open(PACKAGE / f"{part}-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(16 + count * 784)[16:], np.uint8).reshape(count, 28, 28)
    with gzip.open(PACKAGE / f"{part}-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(8 + count)[8:], np.uint8)
    return images, labels


def small_fashion_mnist(folder: Path, share: float = 1.0) -> Path:
    """Write such files, or a share of each, into a folder, which is made; returns it."""
    folder.mkdir()
    for seed, (part, most) in enumerate(PARTS.items()):
        count = round(share * most)
        images, labels = real(part, count) if PACKAGE.is_dir() else generated(count, seed)
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz", labels)
    return folder
