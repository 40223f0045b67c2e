"""Slides 38 to 41: the degradation of deep plain networks, and the residual block."""

import torch
from torch import Tensor, nn

from convnets.lecture.measure import top1_error
from convnets.lecture.papers import PLAIN34_TRAINS_WORSE
from convnets.lecture.rows import Claim
from convnets.models.resnet import BasicBlock, PlainBlock
from convnets.registry import card


def image() -> Tensor:
    """A batch (1, 4, 6, 6) of values above 0, as after a ReLU."""
    return torch.rand(1, 4, 6, 6, generator=torch.Generator().manual_seed(0))


def deeper_by_identity_is_equal() -> bool:
    """Whether a plain block gives the same followed by a block of two identity convolutions."""
    with torch.no_grad():
        shallow, added = PlainBlock(4, 4).eval(), PlainBlock(4, 4).eval()
        for module in added.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.dirac_(module.weight)
        return torch.allclose(added(shallow(image())), shallow(image()), rtol=1e-4)


def zero_weights_make_the_identity() -> bool:
    with torch.no_grad():
        block = BasicBlock(4, 4).eval()
        for module in block.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.zeros_(module.weight)
        return torch.equal(block(image()), image())


def fits_the_difference() -> bool:
    """Whether the block's convolutions compute H(x) - x, with H(x) before the last ReLU."""
    with torch.no_grad():
        block = BasicBlock(4, 4).eval()
        block.add_module("relu", nn.Identity())
        return torch.allclose(block.residual(image()), block(image()) - image(), atol=1e-5)


CLAIMS = (
    Claim(
        38,
        "More plain layers reduce the accuracy",
        True,
        lambda: top1_error("plain34") > top1_error("plain18"),
        lambda: (
            f"The top-1 error is {top1_error('plain34')}% with 34 plain layers and "
            f"{top1_error('plain18')}% with 18: {card('plain18').error_source}."
        ),
    ),
    Claim(
        38,
        "It is not overfitting: the training error increases too",
        True,
        lambda: PLAIN34_TRAINS_WORSE,
        "He et al., 2016, section 4.1 and figure 4.",
    ),
    Claim(
        39,
        "A deep network made of a shallow one and identity layers gives identical results",
        True,
        deeper_by_identity_is_equal,
        "Checked on random values with such a network.",
    ),
    Claim(40, "A block fits F(x) = H(x) - x", True, fits_the_difference),
    Claim(
        41,
        "A block becomes the identity when its weights go to zero",
        True,
        zero_weights_make_the_identity,
        "For inputs that are not negative, as after a ReLU.",
    ),
)
