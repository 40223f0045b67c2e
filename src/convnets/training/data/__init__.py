"""Images to train on: small ones as tensors in memory, large ones as files.

`load("fashion-mnist-small")` reads the subset that comes with the course; the other names of
`NAMES` are one option away. `load_folder` takes ImageNet-style folders.
"""

from pathlib import Path

from convnets.training.data.cifar import SETS, load_cifar
from convnets.training.data.dataset import Dataset, Split
from convnets.training.data.fashion_mnist import (
    CLASSES,
    load_full,
    load_subset,
    read_original,
    subset_path,
)
from convnets.training.data.image_folder import ON_CORRUPT, FolderDataset, FolderSplit, load_folder

AnyDataset = Dataset | FolderDataset
AnySplit = Split | FolderSplit
NAMES = ("fashion-mnist-small", "fashion-mnist", *SETS)

__all__ = [
    "CLASSES",
    "NAMES",
    "ON_CORRUPT",
    "AnyDataset",
    "AnySplit",
    "Dataset",
    "FolderDataset",
    "FolderSplit",
    "Split",
    "load",
    "load_folder",
    "read_original",
    "subset_path",
]


def load(name: str = "fashion-mnist-small", root: Path | str | None = None) -> Dataset:
    """The data set called `name`, in memory; `load_folder` is for files that stay on disk.

    Args:
        name: `fashion-mnist-small` (10,000 + 2,000 images, comes with the course),
            `fashion-mnist` (60,000 + 10,000), `cifar10` or `cifar100` (50,000 + 10,000).
        root: where the files are: the four originals of Fashion-MNIST, `.gz` or unpacked, or the
            folder that holds CIFAR's. Downloaded if `None`.

    Raises:
        ValueError: unknown name.
        FileNotFoundError: a file is missing; the sentence says where it may come from.
        RuntimeError: a file is damaged.
    """
    folder = Path(root) if root is not None else None
    if name == "fashion-mnist-small":
        return load_subset()
    if name == "fashion-mnist":
        return load_full(folder)
    if name in SETS:
        return load_cifar(name, folder)
    raise ValueError(f"unknown data set {name!r}; choose one of {', '.join(NAMES)}")
