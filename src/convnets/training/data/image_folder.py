"""Folders of images in ImageNet's layout: `train/CLASS/*.jpg` and `val/CLASS/*.jpg`.

The images stay on disk; worker processes decode and crop them when a batch needs them.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torchvision.datasets import ImageFolder
from torchvision.datasets.folder import pil_loader
from torchvision.transforms import v2

IMAGE_SIZE = 224
"""Height and width in pixels of the crop that a network sees."""
RESIZE_RATIO = 256 / 224
"""Shorter side of the resized image by the side of its centre crop (Krizhevsky et al., 2012,
section 2)."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's training pixels, as torchvision's and timm's networks expect them."""
ON_CORRUPT = ("stop", "skip")
SAMPLE_SIZE = 500
"""Images whose pixels represent the whole split where a recipe needs statistics of colours."""


@dataclass(frozen=True)
class FolderSplit:
    """Image files and their labels (N,), int64; every image is cropped to a square.

    Args:
        paths: the files.
        labels: index of each file's class.
        image_size: height and width of the crop, in pixels.
        on_corrupt: "stop" at a file that cannot be read, or "skip" it with a warning.
    """

    paths: tuple[Path, ...]
    labels: Tensor
    image_size: int
    on_corrupt: str

    def __len__(self) -> int:
        return len(self.paths)

    def subset(self, indices: Tensor) -> "FolderSplit":
        """The images at `indices` (n,), in that order."""
        paths = tuple(self.paths[i] for i in indices.tolist())
        return replace(self, paths=paths, labels=self.labels[indices])

    def image(self, index: int, random_crop: bool = False) -> Tensor | None:
        """One image (3, image_size, image_size), uint8; `None` for a corrupt file to be skipped.

        Args:
            index: position in `paths`.
            random_crop: take a crop of random size and position from torch's default generator
                (Szegedy et al., 2015, section 6) instead of the centre crop.

        Raises:
            RuntimeError: the file cannot be read, and `on_corrupt` is "stop".
        """
        path = self.paths[index]
        try:
            return self._crop(random_crop)(v2.functional.pil_to_tensor(pil_loader(path)))
        except (OSError, ValueError, SyntaxError) as error:  # what Pillow raises
            if self.on_corrupt == "skip":
                return None
            raise RuntimeError(
                f"{path} cannot be read ({error}); repair or delete it, or skip such files with "
                "on_corrupt='skip' (--on-corrupt skip)"
            ) from None

    def _crop(self, random_crop: bool) -> Callable[[Tensor], Tensor]:
        if random_crop:
            return v2.RandomResizedCrop(self.image_size)
        resize = v2.Resize(round(self.image_size * RESIZE_RATIO))
        return v2.Compose([resize, v2.CenterCrop(self.image_size)])

    def pixels(self) -> Tensor:
        """Pixels (3, n), uint8, of at most `SAMPLE_SIZE` images, evenly spaced over the split."""
        indices = torch.linspace(0, len(self) - 1, min(SAMPLE_SIZE, len(self))).long().tolist()
        images = [image for index in indices if (image := self.image(index)) is not None]
        return torch.stack(images, dim=1).flatten(1)


@dataclass(frozen=True)
class FolderDataset:
    """A training and a test split, the class names, and the folder."""

    name: str
    train: FolderSplit
    test: FolderSplit
    classes: tuple[str, ...]
    source: str

    @property
    def in_channels(self) -> int:
        """Channels of every image: 3."""
        return len(MEAN)

    @property
    def mean(self) -> Tensor:
        """ImageNet's mean by channel (3, 1, 1), on the scale from 0 to 1."""
        return torch.tensor(MEAN)[:, None, None]

    @property
    def std(self) -> Tensor:
        """ImageNet's standard deviation by channel (3, 1, 1), on the scale from 0 to 1."""
        return torch.tensor(STD)[:, None, None]


def load_folder(
    root: Path | str, on_corrupt: str = "stop", image_size: int = IMAGE_SIZE
) -> FolderDataset:
    """Find the images under `root`/train and `root`/val (or `root`/test) in ImageNet's layout.

    Args:
        root: the folder.
        on_corrupt: "stop" at an image that cannot be read, or "skip" it with a warning; in training
            the next readable image of the list replaces it, so that batches stay full.
        image_size: height and width of the crops, in pixels.

    Raises:
        ValueError: `on_corrupt` has another value.
        FileNotFoundError: a folder or images are missing, or the splits have different classes.

    Example:
        >>> load_folder("no/such/folder")
        Traceback (most recent call last):
        ...
        FileNotFoundError: ...
    """
    root = Path(root)
    if on_corrupt not in ON_CORRUPT:
        raise ValueError(
            f"unknown on_corrupt={on_corrupt!r}; choose one of {', '.join(ON_CORRUPT)}"
        )
    held_out = next((name for name in ("val", "test") if (root / name).is_dir()), None)
    if held_out is None or not (root / "train").is_dir():
        raise FileNotFoundError(
            f"{root} needs the folders train and val (or test), each with one folder for each class"
        )
    train, test = _find_images(root / "train"), _find_images(root / held_out)
    if train.classes != test.classes:
        different = sorted({*train.classes} ^ {*test.classes})
        raise FileNotFoundError(
            f"train and {held_out} in {root} have different classes ({', '.join(different[:5])}); "
            "give both the same folders"
        )
    train_split, test_split = (
        FolderSplit(
            tuple(Path(path) for path, _ in part.samples),
            torch.tensor(part.targets),
            image_size,
            on_corrupt,
        )
        for part in (train, test)
    )
    return FolderDataset("image-folder", train_split, test_split, tuple(train.classes), str(root))


def warn_about_corrupt(paths: list[Path]) -> None:
    """Warn about each image that is left out."""
    for path in paths:
        warnings.warn(f"{path} cannot be read and is left out", stacklevel=2)


def _find_images(folder: Path) -> ImageFolder:
    try:
        return ImageFolder(str(folder))
    except FileNotFoundError as error:  # without classes, or a class without images
        raise FileNotFoundError(f"{error} Put images there, or delete the folder.") from None
