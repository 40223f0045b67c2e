"""Whether images and labels can be right, so that a run is refused before its first step."""

from collections.abc import Sequence
from itertools import count

import torch
from torch import Tensor, nn

from convnets.tables import counted
from convnets.training.data.dataset import VALIDATION_SHARE, Dataset, Split
from convnets.training.data.image_folder import FolderDataset, FolderSplit

FEWEST_TO_TRAIN = next(n for n in count(1) if round(VALIDATION_SHARE * n))
MOST_CHANNELS = 4
"""Channels of images as files store them: grey, colour, or either with transparency."""


def check_for_training(dataset: Dataset | FolderDataset, net: nn.Module | str) -> None:
    """Check that `net` can be trained, validated and tested on `dataset`.

    Raises:
        ValueError: images or labels cannot be right, or there are too few of them.
    """
    _check_type(dataset)
    for part, split in (("training", dataset.train), ("test", dataset.test)):
        _check_images(split, f"{part} images of {dataset.name}", [net])
        _check_labels(split, f"{part} labels of {dataset.name}", dataset.classes)
    if len(dataset.train) < FEWEST_TO_TRAIN:
        raise ValueError(
            f"{dataset.name} has {counted(len(dataset.train), 'training image')}, too few to hold "
            f"out a tenth of them for validation; give it at least {FEWEST_TO_TRAIN}"
        )
    if isinstance(dataset, Dataset):
        _check_constant_channels(dataset)
        train, test = dataset.train.images.shape[1], dataset.test.images.shape[1]
        if train != test:
            raise ValueError(
                f"the training images of {dataset.name} have {counted(train, 'channel')}, its test "
                f"images {test}; give both the same"
            )
        _check_scales(dataset)


def check_for_testing(dataset: Dataset | FolderDataset, nets: Sequence[nn.Module]) -> None:
    """Check that `nets` can be tested on `dataset`.

    Raises:
        ValueError: test images or labels cannot be right, or the training images, which give the
            mean and the standard deviation of the pixels, cannot.
    """
    _check_type(dataset)
    _check_images(dataset.test, f"test images of {dataset.name}", nets)
    _check_labels(dataset.test, f"test labels of {dataset.name}", dataset.classes)
    if isinstance(dataset, Dataset):
        _check_images(dataset.train, f"training images of {dataset.name}", nets)
        _check_constant_channels(dataset)
        _check_scales(dataset)


def _check_type(dataset: object) -> None:
    if not isinstance(dataset, Dataset | FolderDataset):
        raise ValueError(
            f"data must be the name of a data set or what load and load_folder return, got "
            f"{type(dataset).__name__}"
        )


def _check_images(split: Split | FolderSplit, where: str, nets: Sequence[nn.Module | str]) -> None:
    if isinstance(split, Split):
        _check_pixels(split.images, where, nets)
    images = len(split.images if isinstance(split, Split) else split.paths)
    if images == 0:
        raise ValueError(f"there are no {where}; give it some")
    if isinstance(split.labels, Tensor) and split.labels.ndim and images != len(split.labels):
        raise ValueError(
            f"there are {images} {where}, but {counted(len(split.labels), 'label')}; each image "
            "needs one"
        )


def _check_pixels(images: Tensor, where: str, nets: Sequence[nn.Module | str]) -> None:
    """Check the shape of images that should be (N, C, H, W), and that their pixels are numbers."""
    if not isinstance(images, Tensor):
        raise ValueError(
            f"the {where} must be a tensor (N, C, H, W), got {type(images).__name__}; convert them "
            "with torch.as_tensor"
        )
    shape = tuple(images.shape)
    if images.ndim != 4 or 0 in shape[1:]:
        hint = "; a channel is added by .unsqueeze(1)" if images.ndim == 3 else ""
        raise ValueError(f"the {where} must have the shape (N, C, H, W), got {shape}{hint}")
    if shape[3] <= MOST_CHANNELS < min(shape[1:3]) and shape[1] not in map(_channels, nets):
        raise ValueError(
            f"the {where} have the shape {shape}, which looks like channels last (N, H, W, C); "
            "bring them to (N, C, H, W) with .permute(0, 3, 1, 2)"
        )
    if images.is_complex():
        raise ValueError(f"the pixels of the {where} are complex; give real numbers")
    if images.is_floating_point() and images.numel():
        ends = torch.stack(images.aminmax()).float()  # both are NaN where one pixel is
        if not ends.isfinite().all():
            raise ValueError(
                f"the {where} contain pixels that are infinite or not a number; replace them, for "
                "example with torch.nan_to_num, or leave these images out"
            )


def _channels(net: nn.Module | str) -> int | None:
    """Channels that the first convolution of `net` takes; `None` for a name, which adapts."""
    if isinstance(net, str):
        return None
    first = next((layer for layer in net.modules() if isinstance(layer, nn.Conv2d)), None)
    return None if first is None else first.in_channels


def _check_labels(split: Split | FolderSplit, where: str, classes: Sequence[str]) -> None:
    labels = split.labels
    if not isinstance(labels, Tensor):
        raise ValueError(
            f"the {where} must be a tensor (N,), got {type(labels).__name__}; convert them with "
            "torch.as_tensor"
        )
    if labels.ndim != 1:
        hint = ".flatten()" if labels.numel() == len(split) else ".argmax(dim=1)"
        raise ValueError(
            f"the {where} must be one class index for each image, got the shape "
            f"{tuple(labels.shape)}; bring them to the shape (N,) with {hint}"
        )
    if labels.is_floating_point() or labels.is_complex():
        raise ValueError(
            f"the {where} must be whole numbers, got {labels.dtype}; convert them with .long()"
        )
    low, high = (int(end) for end in labels.long().aminmax())
    numbered = f"from 0 to {len(classes) - 1}" if classes else "from 0"
    if low < 0 or (classes and high >= len(classes)):
        shifted = (low, high) == (1, len(classes))
        raise ValueError(
            f"the {where} run from {low} to {high}, but its classes are numbered {numbered}; "
            + ("subtract 1" if shifted else "correct them, or leave these images out")
        )


def _check_constant_channels(dataset: Dataset) -> None:
    """Check that every channel of the training images can be divided by its deviation."""
    images = dataset.train.images
    flat = (images[0] == images[0, :, :1, :1]).all(dim=(1, 2))
    for channel in flat.nonzero().flatten().tolist():
        value = images[0, channel, 0, 0]
        if (images[:, channel] == value).all():
            raise ValueError(
                f"channel {channel} of the training images of {dataset.name} is constant (every "
                f"pixel is {value.item():g}) and cannot be normalised; leave it out, or give the "
                "images that it should hold"
            )


def _check_scales(dataset: Dataset) -> None:
    """Check that both splits have the same scale, as mean and deviation of one are used for both.

    Only scales that are recognised are compared: images may be dark, bright or noisy.
    """
    train, test = _scale(dataset.train.images), _scale(dataset.test.images)
    if train and test and train != test:
        raise ValueError(
            f"the pixels of the test images of {dataset.name} have another scale than those of its "
            f"training images ({test}, and {train}); give both the same"
        )


def _scale(images: Tensor) -> str | None:
    """The usual scale that these pixels have, or `None` where they could have several."""
    values = images.int() if images.dtype == torch.uint16 else images
    low, high = (float(end) for end in values.aminmax())
    if low < 0:
        deviation, mean = torch.std_mean(values.double())
        if max(abs(mean), abs(deviation - 1)) < 0.2:
            return "mean 0 and deviation 1"
        return "from -1 to 1" if low == -1 and high <= 1 else None
    if 0 < high <= 1:
        return "from 0 to 1" if low == 0 else None
    if 16 < high <= 255:
        return "from 0 to 255"
    return "from 0 to 65535" if 4096 < high <= 65535 else None
