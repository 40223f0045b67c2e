from dataclasses import replace

import pytest
import torch

from convnets.training import load
from convnets.training.augmentation import (
    AUGMENTATIONS,
    make_augmentation,
    pca_colour,
    random_crop,
    random_flip,
)
from convnets.training.data import Split


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_flipping_mirrors_about_half_of_the_images():
    images = torch.arange(4.0).expand(400, 1, 1, 4)
    flipped = random_flip(images, generator())[:, 0, 0, 0] == 3
    assert 150 < flipped.sum() < 250


def test_a_crop_shifts_each_image_independently_and_keeps_its_pixels():
    ramp = torch.arange(32.0)
    image = 100 * ramp[:, None] + ramp
    crops = random_crop(image.expand(500, 1, 32, 32), generator())
    centres = crops[:, 0, 16, 16]
    rows, columns = (centres // 100 - 16).long(), (centres % 100 - 16).long()
    assert set(rows.tolist()) == set(columns.tolist()) == set(range(-4, 5))
    for crop, row, column in zip(crops[:, 0], rows, columns, strict=True):
        inner = image[8 + row : 24 + row, 8 + column : 24 + column]
        assert torch.equal(crop[8:24, 8:24], inner)


def test_a_crop_without_padding_returns_the_image():
    images = torch.randn(3, 2, 8, 8)
    assert torch.equal(random_crop(images, generator(), padding=0), images)


def test_colours_move_along_their_principal_components():
    grey = torch.randint(256, (50, 1, 8, 8), dtype=torch.uint8).expand(50, 3, 8, 8)
    dataset = replace(load(), train=Split(grey, torch.zeros(50)))
    shifts = pca_colour(dataset)(torch.zeros(1000, 3, 2, 2), generator())
    assert torch.equal(shifts, shifts[:, :, :1, :1].expand_as(shifts))  # the whole image moves
    red, green, blue = shifts[:, :, 0, 0].T
    torch.testing.assert_close(red, green, atol=1e-5, rtol=0)  # grey pictures stay grey
    torch.testing.assert_close(red, blue, atol=1e-5, rtol=0)
    assert 0.09 < red.std() < 0.11  # in units of the pixels' standard deviation


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_all_randomness_comes_from_the_generator(name):
    augment = make_augmentation([name], load())
    images = torch.randn(20, 1, 28, 28)
    first, again, other = (augment(images, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.shape == images.shape


def test_an_unknown_augmentation_is_refused():
    with pytest.raises(ValueError, match="unknown augmentation 'blur'; choose from flip, crop"):
        make_augmentation(["blur"], load())
