"""Data sets of images: small ones as tensors in memory, large ones as files.

`load` reads one of `NAMES`; `"fashion-mnist-small"` comes with the course. `load_folder` reads
folders in ImageNet's layout.
"""

from pathlib import Path

from convnets.training.data.checks import check_for_testing, check_for_training
from convnets.training.data.cifar import SETS, load_cifar
from convnets.training.data.dataset import VALIDATION_SHARE, Dataset, Split
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
    "VALIDATION_SHARE",
    "AnyDataset",
    "AnySplit",
    "Dataset",
    "FolderDataset",
    "FolderSplit",
    "Split",
    "check_for_testing",
    "check_for_training",
    "load",
    "load_folder",
    "read_original",
    "subset_path",
]


def load(name: str = "fashion-mnist-small", root: Path | str | None = None) -> Dataset:
    """Load the data set called `name` into memory.

    Args:
        name: `fashion-mnist-small` (10,000 training and 2,000 test images, included in the course),
            `fashion-mnist` (60,000 and 10,000), `cifar10` or `cifar100` (50,000 and 10,000).
        root: folder of the files: the four originals of Fashion-MNIST, compressed or not, or the
            folder that contains CIFAR's. The files are downloaded if `None`.

    Raises:
        ValueError: the name is unknown, or `fashion-mnist-small` is asked for with a root.
        FileNotFoundError: a file is missing; the message says where to get it.
        RuntimeError: a file is damaged.

    Example:
        >>> data = load("fashion-mnist-small")
        >>> len(data.train), len(data.test), data.classes[0]
        (10000, 2000, 'T-shirt/top')
    """
    folder = Path(root) if root is not None else None
    if name == "fashion-mnist-small":
        if root is not None:
            raise ValueError(
                "fashion-mnist-small is part of the course and read from nowhere else; omit root "
                "(--data-root), or choose fashion-mnist for the files of a folder"
            )
        return load_subset()
    if name == "fashion-mnist":
        return load_full(folder)
    if name in SETS:
        return load_cifar(name, folder)
    raise ValueError(
        f"unknown data set {name!r}; choose one of {', '.join(NAMES)}, or read a folder of images "
        "with load_folder (--data image-folder)"
    )
