from collections.abc import Callable

import torch
from torch import Tensor


def flip_half(images, generator):
    mirror = torch.rand(len(images), 1, 1, 1, device=images.device, generator=generator) < 0.5
    return torch.where(mirror, images.flip(-1), images)


def make_augmentation(names, dataset) -> Callable[[Tensor, torch.Generator], Tensor]:
    def f(images, generator):
        for n in names:
            images = flip_half(images, generator)
        return images

    return f
