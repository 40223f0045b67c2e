"""A data set in memory: images and labels, in a training and a test split."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import Tensor

DOWNLOADS = Path.home() / ".cache" / "convnets"
"""Folder for downloaded data sets."""
VALIDATION_SHARE = 0.1
"""Share of the training images that a run holds out for validation."""


@dataclass(frozen=True)
class Split:
    """Images (N, C, H, W), uint8, and labels (N,), int64."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def image_size(self) -> int:
        """The larger of height and width, in pixels."""
        return max(self.images.shape[-2:])

    def subset(self, indices: Tensor) -> "Split":
        """The images at `indices` (n,), in that order."""
        return Split(self.images[indices], self.labels[indices])

    def pixels(self) -> Tensor:
        """The pixels of all images by channel (C, N * H * W), uint8."""
        return self.images.transpose(0, 1).flatten(1)


@dataclass(frozen=True)
class Dataset:
    """A training and a test split, the class names, and the file or folder they were read from."""

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    source: str

    @property
    def in_channels(self) -> int:
        """Channels C of every image."""
        return self.train.images.shape[1]

    @cached_property
    def mean(self) -> Tensor:
        """Mean of the training pixels by channel (C, 1, 1), on the scale from 0 to 1."""
        return (self.train.images.double().mean(dim=(0, 2, 3)) / 255).float()[:, None, None]

    @cached_property
    def std(self) -> Tensor:
        """Standard deviation of the training pixels by channel (C, 1, 1), on the same scale."""
        return (self.train.images.double().std(dim=(0, 2, 3)) / 255).float()[:, None, None]
