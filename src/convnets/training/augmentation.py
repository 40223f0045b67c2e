"""Change training images at random, on the device where they are.

Every function takes images (N, C, H, W) and a generator on their device, and gives images of the
same shape; each image gets a chance of its own. Nothing else decides, so a run can be repeated.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor
from torch.nn.functional import pad

from convnets.training.data import AnyDataset

Augmentation = Callable[[Tensor, Generator], Tensor]
CROP_PADDING = 4
COLOUR_DEVIATION = 0.1


def flip_half(images: Tensor, generator: Generator) -> Tensor:
    """Mirror each image left to right with probability one half."""
    mirror = torch.rand(len(images), 1, 1, 1, device=images.device, generator=generator) < 0.5
    return torch.where(mirror, images.flip(-1), images)


def random_crop(images: Tensor, generator: Generator, padding: int = CROP_PADDING) -> Tensor:
    """Shift each image by up to `padding` pixels; what comes in repeats the border.

    He et al. (2016), section 4.2, pad with zeros; the border is black in Fashion-MNIST.
    """
    count, _, height, width = images.shape
    padded = pad(images, (padding,) * 4, mode="replicate")
    shifts = torch.randint(
        2 * padding + 1, (2, count, 1), device=images.device, generator=generator
    )
    rows = shifts[0] + torch.arange(height, device=images.device)  # N x H
    columns = shifts[1] + torch.arange(width, device=images.device)  # N x W
    which = torch.arange(count, device=images.device)[:, None, None]
    crops = padded.permute(0, 2, 3, 1)[which, rows[:, :, None], columns[:, None, :]]
    return crops.permute(0, 3, 1, 2)


def pca_colour(dataset: AnyDataset) -> Augmentation:
    """Add multiples of the principal components of the pixels' colours to each image.

    Krizhevsky et al. (2012), section 4.1: by a normal factor of deviation 0.1 times the root of
    the component's variance. With one channel this is brightness.
    """
    pixels = dataset.train.pixels().double() / 255  # C x (N H W)
    variances, directions = torch.linalg.eigh(torch.atleast_2d(torch.cov(pixels)))
    # The images are divided by the deviation of all pixels when they are normalised.
    steps = directions * variances.clamp(min=0).sqrt() / dataset.std.flatten()[:, None]

    def shift(images: Tensor, generator: Generator) -> Tensor:
        size = (len(images), len(steps))
        factors = torch.randn(size, device=images.device, generator=generator) * COLOUR_DEVIATION
        return images + (factors @ steps.T.to(factors))[:, :, None, None]

    return shift


def _as_it_is(augmentation: Augmentation) -> Callable[[AnyDataset], Augmentation]:
    return lambda dataset: augmentation


# Name in a recipe -> how to make it for a data set.
AUGMENTATIONS: dict[str, Callable[[AnyDataset], Augmentation]] = {
    "flip": _as_it_is(flip_half),
    "crop": _as_it_is(random_crop),
    "pca-colour": pca_colour,
}


def make_augmentation(names: Sequence[str], dataset: AnyDataset) -> Augmentation:
    """The augmentations of these names, one after the other.

    Raises:
        ValueError: unknown name.
    """
    if unknown := [name for name in names if name not in AUGMENTATIONS]:
        raise ValueError(
            f"unknown augmentation {unknown[0]!r}; choose from {', '.join(AUGMENTATIONS)}"
        )
    made = [AUGMENTATIONS[name](dataset) for name in names]

    def augment(images: Tensor, generator: Generator) -> Tensor:
        for each in made:
            images = each(images, generator)
        return images

    return augment
