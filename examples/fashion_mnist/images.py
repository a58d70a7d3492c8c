"""Reads Fashion-MNIST (Xiao, Rasul and Vollgraf 2017): gzipped IDX files, the original ones or of Debian's package."""

import gzip
import math
import os
from pathlib import Path

import numpy as np
import torch

PACKAGE = "/usr/share/datasets/fashion-mnist"
FOLDER = Path(os.environ.get("FASHION_MNIST", PACKAGE))
HOW = (
    "on Debian and Ubuntu, apt-get install dataset-fashion-mnist; elsewhere, put the four .gz files of "
    "https://github.com/zalandoresearch/fashion-mnist into a folder and name it in the variable FASHION_MNIST"
)
SIDE, CLASSES = 28, 10


def read_idx(path, count):
    """The first `count` entries of a file, or all where it has fewer: two zero bytes, 8 for bytes, the number of
    dimensions, each of them in four bytes, then the entries."""
    with gzip.open(path) as file:
        zeros, kind, dimensions = np.frombuffer(file.read(4), dtype=">u2,u1,u1").tolist()[0]
        shape = np.frombuffer(file.read(4 * dimensions), dtype=">u4").tolist()
        if (zeros, kind) != (0, 8):
            raise ValueError(f"{path} is no IDX file of bytes: it begins with {zeros:#06x}, type {kind}")
        shape[0] = min(count, shape[0])
        return np.frombuffer(file.read(math.prod(shape)), dtype=np.uint8).reshape(shape).copy()


def read(part, count):
    """The first `count` images of a part, `train` or `t10k`, (n, 1, 28, 28) from 0 to 1, and their classes."""
    if not (FOLDER / f"{part}-images-idx3-ubyte.gz").exists():
        raise FileNotFoundError(f"Fashion-MNIST is not in {FOLDER}: {HOW}")
    images = torch.from_numpy(read_idx(FOLDER / f"{part}-images-idx3-ubyte.gz", count))
    labels = torch.from_numpy(read_idx(FOLDER / f"{part}-labels-idx1-ubyte.gz", count))
    return images[:, None].float() / 255.0, labels.long()
