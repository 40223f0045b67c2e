"""Folders of images as ImageNet has them: `train/CLASS/*.jpg` and `val/CLASS/*.jpg`.

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

SIDE = 224
"""Pixels of the crop that a network sees."""
RESIZED = 256 / 224
"""The shorter side before the centre crop, in crops (Krizhevsky et al., 2012, section 2)."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's training pixels, as torchvision's and timm's networks expect them."""
DAMAGED = ("stop", "skip")
SAMPLE = 500
"""Images whose pixels stand for all where a recipe needs colours."""


@dataclass(frozen=True)
class FolderSplit:
    """Image files with labels (N,), int64; all are cropped to a square.

    Args:
        paths: the files.
        labels: numbers of their classes.
        side: pixels of the square.
        damaged: "stop" at a file that cannot be read, or "skip" it with a warning.
    """

    paths: tuple[Path, ...]
    labels: Tensor
    side: int
    damaged: str

    def __len__(self) -> int:
        return len(self.paths)

    def chosen(self, which: Tensor) -> "FolderSplit":
        """The images at these places (n,)."""
        return replace(
            self, paths=tuple(self.paths[i] for i in which.tolist()), labels=self.labels[which]
        )

    def image(self, place: int, at_random: bool = False) -> Tensor | None:
        """A crop of an image (3, side, side), uint8; `None` for a damaged one that is skipped.

        Args:
            place: number of the image.
            at_random: of any size and place (Szegedy et al., 2015, section 6), by torch's default
                generator; else from the centre.

        Raises:
            RuntimeError: it cannot be read, and `damaged` is "stop".
        """
        path = self.paths[place]
        try:
            return self._crop(at_random)(v2.functional.pil_to_tensor(pil_loader(path)))
        except (OSError, ValueError, SyntaxError) as error:  # what Pillow raises
            if self.damaged == "skip":
                return None
            raise RuntimeError(
                f"{path} cannot be read ({error}); repair or delete it, or leave such images out "
                "with damaged='skip' (--damaged skip)"
            ) from None

    def _crop(self, at_random: bool) -> Callable[[Tensor], Tensor]:
        if at_random:
            return v2.RandomResizedCrop(self.side)
        return v2.Compose([v2.Resize(round(self.side * RESIZED)), v2.CenterCrop(self.side)])

    def pixels(self) -> Tensor:
        """Pixels (3, n) of some images spread over all, uint8."""
        spread = torch.linspace(0, len(self) - 1, min(SAMPLE, len(self))).long().tolist()
        images = [image for place in spread if (image := self.image(place)) is not None]
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
        return len(MEAN)

    @property
    def mean(self) -> Tensor:
        """ImageNet's, on the scale 0 to 1, by channel (3, 1, 1)."""
        return torch.tensor(MEAN)[:, None, None]

    @property
    def std(self) -> Tensor:
        """ImageNet's, on the scale 0 to 1, by channel (3, 1, 1)."""
        return torch.tensor(STD)[:, None, None]


def load_folder(root: Path | str, damaged: str = "stop", side: int = SIDE) -> FolderDataset:
    """The images under `root`/train and `root`/val (or `root`/test), an ImageNet-style folder.

    Args:
        root: the folder.
        damaged: "stop" at an image that cannot be read, or "skip" it with a warning; in training
            the next image in the list takes its place, so that batches stay full.
        side: pixels of the square crop.

    Raises:
        ValueError: an unknown value of `damaged`.
        FileNotFoundError: a folder or images are missing.
    """
    root = Path(root)
    if damaged not in DAMAGED:
        raise ValueError(f"unknown damaged={damaged!r}; choose one of {', '.join(DAMAGED)}")
    held_out = next((name for name in ("val", "test") if (root / name).is_dir()), None)
    if held_out is None or not (root / "train").is_dir():
        raise FileNotFoundError(
            f"{root} needs the folders train and val (or test), each with a folder a class"
        )
    train, test = _found(root / "train"), _found(root / held_out)
    if train.classes != test.classes:
        odd = sorted({*train.classes} ^ {*test.classes})
        raise FileNotFoundError(
            f"train and {held_out} in {root} have different classes ({', '.join(odd[:5])}); "
            "give both the same folders"
        )
    splits = [FolderSplit(*_listed(part), side, damaged) for part in (train, test)]
    return FolderDataset("image-folder", splits[0], splits[1], tuple(train.classes), str(root))


def warn_of_damaged(paths: list[Path]) -> None:
    """Name the images that were left out."""
    for path in paths:
        warnings.warn(f"{path} cannot be read and is left out", stacklevel=2)


def _found(folder: Path) -> ImageFolder:
    try:
        return ImageFolder(str(folder))
    except FileNotFoundError as error:  # no class, or a class without images
        raise FileNotFoundError(f"{error} Put images there, or delete the folder.") from None


def _listed(found: ImageFolder) -> tuple[tuple[Path, ...], Tensor]:
    return tuple(Path(path) for path, _ in found.samples), torch.tensor(found.targets)
