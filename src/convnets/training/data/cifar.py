"""CIFAR-10 and CIFAR-100 (Krizhevsky, 2009) through torchvision, as tensors."""

from pathlib import Path
from typing import Any

import torch
from torchvision import datasets

from convnets.training.data.dataset import DOWNLOADS, Dataset, Split

SETS: dict[str, Any] = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}


def load_cifar(name: str, root: Path | None) -> Dataset:
    """Load CIFAR-10 or CIFAR-100: 50,000 training and 10,000 test images (N, 3, 32, 32).

    Args:
        name: `cifar10` or `cifar100`.
        root: folder that contains `cifar-10-batches-py` or `cifar-100-python`; downloaded if
            `None`.

    Raises:
        FileNotFoundError: the files are missing or damaged.
    """
    reader = SETS[name]
    folder = DOWNLOADS if root is None else root
    try:
        train, test = (
            reader(str(folder), train=is_train, download=root is None) for is_train in (True, False)
        )
    except Exception as error:
        raise FileNotFoundError(
            f"{name} is incomplete in {folder / reader.base_folder} and could not be downloaded; "
            f"download {reader.url}, unpack it, and name the folder that contains "
            f"{reader.base_folder} (root=…, --data-root on the command line)"
        ) from error
    splits = (_split(train), _split(test))
    return Dataset(name, *splits, tuple(train.classes), str(folder))


def _split(part: Any) -> Split:
    images = torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous()
    return Split(images, torch.tensor(part.targets))
