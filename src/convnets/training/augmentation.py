"""Random changes of training images, computed on the device.

Each function takes images (N, C, H, W) and a generator on their device, and returns images of the
same shape, each changed independently. All randomness comes from the generator, so that a run can
be repeated.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor
from torch.nn.functional import pad

from convnets import transfer
from convnets.training.data import AnyDataset

Augmentation = Callable[[Tensor, Generator], Tensor]
CROP_PADDING = 4
COLOUR_DEVIATION = 0.1


def random_flip(images: Tensor, generator: Generator) -> Tensor:
    """Mirror each image (N, C, H, W) left to right with probability one half."""
    mirror = torch.rand(len(images), 1, 1, 1, device=images.device, generator=generator) < 0.5
    return torch.where(mirror, images.flip(-1), images)


def random_crop(images: Tensor, generator: Generator, padding: int = CROP_PADDING) -> Tensor:
    """Shift each image (N, C, H, W) by up to `padding` pixels, and repeat its border.

    He et al. (2016), section 4.2, pad with zeros instead; in Fashion-MNIST the border is black.
    """
    count, _, height, width = images.shape
    padded = pad(images, (padding,) * 4, mode="replicate")
    shifts = torch.randint(
        2 * padding + 1, (2, count, 1), device=images.device, generator=generator
    )
    rows = shifts[0] + torch.arange(height, device=images.device)  # (N, H)
    columns = shifts[1] + torch.arange(width, device=images.device)  # (N, W)
    indices = torch.arange(count, device=images.device)[:, None, None]
    crops = padded.permute(0, 2, 3, 1)[indices, rows[:, :, None], columns[:, None, :]]
    return crops.permute(0, 3, 1, 2)


def pca_colour(dataset: AnyDataset, device: torch.device | str = "cpu") -> Augmentation:
    """Add random multiples of the principal components of the pixels' colours to each image.

    Krizhevsky et al. (2012), section 4.1: the factor of each component is normal, with standard
    deviation 0.1, times the square root of the component's variance. With one channel, this changes
    the brightness.

    Args:
        dataset: the normalised images come from it; its training pixels give the components.
        device: of the images.
    """
    pixels = dataset.train.pixels().double() / 255  # (C, N * H * W)
    variances, directions = torch.linalg.eigh(torch.atleast_2d(torch.cov(pixels)))
    # Normalised images were divided by the standard deviation of their channel.
    steps = directions * variances.clamp(min=0).sqrt() / dataset.std.flatten()[:, None]
    mixing = transfer.to_device(steps.T.float(), torch.device(device))  # (C, C)

    def shift(images: Tensor, generator: Generator) -> Tensor:
        size = (len(images), len(mixing))
        factors = torch.randn(size, device=images.device, generator=generator) * COLOUR_DEVIATION
        return images + (factors @ mixing)[:, :, None, None]

    return shift


AUGMENTATIONS: dict[str, Callable[[AnyDataset, torch.device | str], Augmentation]] = {
    "flip": lambda dataset, device: random_flip,
    "crop": lambda dataset, device: random_crop,
    "pca-colour": pca_colour,
}
"""Name in a recipe -> function that makes the augmentation for a data set and a device."""


def make_augmentation(
    names: Sequence[str], dataset: AnyDataset, device: torch.device | str = "cpu"
) -> Augmentation:
    """The augmentations of these names, applied one after the other to images on `device`.

    Raises:
        ValueError: a name is unknown.
    """
    if unknown := [name for name in names if name not in AUGMENTATIONS]:
        raise ValueError(
            f"unknown augmentation {unknown[0]!r}; choose from {', '.join(AUGMENTATIONS)}"
        )
    augmentations = [AUGMENTATIONS[name](dataset, device) for name in names]

    def augment(images: Tensor, generator: Generator) -> Tensor:
        for augmentation in augmentations:
            images = augmentation(images, generator)
        return images

    return augment
