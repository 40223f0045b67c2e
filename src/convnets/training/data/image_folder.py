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
from torchvision.datasets.folder import IMG_EXTENSIONS
from torchvision.transforms import v2

from convnets.training.data.image_file import read_image

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
        """One image (3, image_size, image_size) from 0 to 255; `None` for a corrupt file to skip.

        It is uint8, or float32 where the file has more than 8 bits (see `read_image`).

        Args:
            index: position in `paths`.
            random_crop: take a crop of random size and position from torch's default generator
                (Szegedy et al., 2015, section 6) instead of the centre crop.

        Raises:
            RuntimeError: the file cannot be read, and `on_corrupt` is "stop".
        """
        path = self.paths[index]
        try:
            image = read_image(path)
        except ValueError as error:
            if self.on_corrupt == "skip":
                return None
            raise RuntimeError(
                f"{path} cannot be read ({error}); repair or delete it, or skip such files with "
                "on_corrupt='skip' (--on-corrupt skip)"
            ) from None
        return self._crop(random_crop)(image)

    def unreadable(self) -> RuntimeError:
        """The error of a split of which no image can be read."""
        return RuntimeError(
            f"none of {len(self)} images can be read, such as {self.paths[0]}; check the files"
        )

    def _crop(self, random_crop: bool) -> Callable[[Tensor], Tensor]:
        if random_crop:
            return v2.RandomResizedCrop(self.image_size)
        resize = v2.Resize(round(self.image_size * RESIZE_RATIO))
        return v2.Compose([resize, v2.CenterCrop(self.image_size)])

    def pixels(self) -> Tensor:
        """Pixels (3, n) of at most `SAMPLE_SIZE` images, evenly spaced over the split.

        Raises:
            RuntimeError: none of them can be read.
        """
        indices = torch.linspace(0, len(self) - 1, min(SAMPLE_SIZE, len(self))).long().tolist()
        images = [image for index in indices if (image := self.image(index)) is not None]
        if not images:
            raise self.unreadable()
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
        ValueError: `on_corrupt` has another value, or `image_size` is below 1.
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
    if not isinstance(image_size, int) or image_size < 1:
        raise ValueError(
            f"image_size (--image-size) must be a whole number of at least 1, got {image_size!r}"
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
        found = ImageFolder(str(folder), allow_empty=True)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{folder} has no folders; put the images of each class into a folder with its name"
        ) from None
    full = {found.classes[label] for label in found.targets}
    if empty := [name for name in found.classes if name not in full]:
        raise FileNotFoundError(
            f"{folder} has no images of {', '.join(empty[:5])} (files that end in "
            f"{', '.join(IMG_EXTENSIONS)}). Put images there, or delete the folder."
        )
    return found
