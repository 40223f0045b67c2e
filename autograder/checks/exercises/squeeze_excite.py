"""Hidden tests of squeeze-and-excitation (slides 49 and 50)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from autograder.checks.blocks import BlockExercise, Build, Mistake, case
from autograder.checks.exercises.parts import (
    ALL_BUT_SHAPES,
    WrongBranch,
    conv,
    norm,
    residual_exercise,
    shortcut,
)
from autograder.checks.exercises.residual import WRONG_BRANCHES, two_convolutions


class SqueezeExcite(nn.Module):
    """The reference that other exercises may use: (N, C, H, W) -> (N, C, H, W).

    Its source is run on the student's side, so it uses no names of this module.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, channels // reduction, 1, bias=False)
        self.expand = nn.Conv2d(channels // reduction, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        squeezed = x.mean(dim=(2, 3), keepdim=True)
        return x * torch.sigmoid(self.expand(torch.relu(self.reduce(squeezed))))


def _mean(x: Tensor) -> Tensor:
    return x.mean(dim=(2, 3), keepdim=True)


def _max(x: Tensor) -> Tensor:
    return x.amax(dim=(2, 3), keepdim=True)


class _Gated(SqueezeExcite):
    """Squeeze-and-excitation with some functions replaced."""

    def __init__(
        self,
        channels: int,
        reduction: int = 16,
        squeeze: Callable[[Tensor], Tensor] = _mean,
        between: Callable[[Tensor], Tensor] = torch.relu,
        gate: Callable[[Tensor], Tensor] = torch.sigmoid,
        join: Callable[[Tensor, Tensor], Tensor] = torch.mul,
    ) -> None:
        super().__init__(channels, reduction)
        self.squeeze, self.between, self.gate, self.join = squeeze, between, gate, join

    def forward(self, x: Tensor) -> Tensor:
        excited = self.expand(self.between(self.reduce(self.squeeze(x))))
        return self.join(x, self.gate(excited))


def _gated(sentence: str, **parts: Callable[..., Tensor]) -> Mistake:
    def build(channels: int, reduction: int = 16) -> nn.Module:
        return _Gated(channels, reduction, **parts)

    return Mistake(sentence, frozenset({"values"}), build)


def _unchanged(x: Tensor) -> Tensor:
    return x


SQUEEZE_EXCITE = BlockExercise(
    "squeeze_excite",
    "SqueezeExcite",
    (case(32), case(16, reduction=4), case(6, reduction=2)),
    (0.25, 0.25, 1, 0.25, 0.25),
    references=(SqueezeExcite,),
    mistakes=(
        _gated(
            "The gate has no sigmoid, which keeps the factors between 0 and 1 (slide 49).",
            gate=_unchanged,
        ),
        _gated(
            "The gate is a softmax, so channels compete: several may matter at once, which is why "
            "each has its own sigmoid (slide 49).",
            gate=lambda x: x.softmax(dim=1),
        ),
        _gated(
            "The squeeze takes the maximum of each map: it should be the average over all "
            "positions (slide 49).",
            squeeze=_max,
        ),
        _gated(
            "There is no ReLU between reduction and expansion: without it, a single layer could "
            "replace both (slide 49).",
            between=_unchanged,
        ),
        _gated(
            "There is a sigmoid between reduction and expansion as well: it should be a ReLU "
            "(slide 49).",
            between=torch.sigmoid,
        ),
        _gated(
            "The gate is added to the maps: the excitation multiplies them, channel by channel "
            "(slide 49).",
            join=torch.add,
        ),
        _gated(
            "The sigmoid is applied to the scaled maps: it belongs to the gate alone (slide 49).",
            gate=_unchanged,
            join=lambda x, gate: torch.sigmoid(x * gate),
        ),
    ),
)


def _branch(in_channels: int, width: int, stride: int = 1, reduction: int = 16) -> nn.Module:
    return nn.Sequential(
        two_convolutions(in_channels, width, stride), SqueezeExcite(width, reduction)
    )


def _then_gated(branch: Build) -> Build:
    def build(*arguments: int, reduction: int = 16, **options: int) -> nn.Module:
        width = arguments[1]
        return nn.Sequential(branch(*arguments, **options), SqueezeExcite(width, reduction))

    return build


def _ungated(in_channels: int, width: int, stride: int = 1, reduction: int = 16) -> nn.Module:
    return two_convolutions(in_channels, width, stride)


def _gate_before_last_norm(
    in_channels: int, width: int, stride: int = 1, reduction: int = 16
) -> nn.Module:
    return nn.Sequential(
        conv(in_channels, width, 3, stride),
        norm(width),
        nn.ReLU(),
        conv(width, width, 3),
        SqueezeExcite(width, reduction),
        norm(width),
    )


class _GatedElsewhere(nn.Module):
    """A block with its gate after the addition ("sum"), after the last ReLU or on the shortcut."""

    def __init__(
        self, where: str, in_channels: int, width: int, stride: int = 1, reduction: int = 16
    ) -> None:
        super().__init__()
        self.branch = two_convolutions(in_channels, width, stride)
        self.shortcut = shortcut(in_channels, width, stride)
        self.gate = SqueezeExcite(width, reduction)
        self.where = where

    def forward(self, x: Tensor) -> Tensor:
        branch, path = self.branch(x), self.shortcut(x)
        if self.where == "shortcut":
            return relu(branch + self.gate(path))
        if self.where == "sum":
            return relu(self.gate(branch + path))
        return self.gate(relu(branch + path))


def _elsewhere(where: str, sentence: str) -> Mistake:
    def build(*arguments: int, **options: int) -> nn.Module:
        return _GatedElsewhere(where, *arguments, **options)

    return Mistake(sentence, frozenset({"values", "gradients", "modes"}), build)


AFTER_ADDITION = (
    "The gate comes after the addition, so it also scales the shortcut: only the residual branch "
    "is gated (slide 50)."
)
SE_BASIC_BLOCK = residual_exercise(
    "se_basic_block",
    "SEBasicBlock",
    (
        case(8, 8, reduction=4),
        case(32, 32),
        case(4, 6, reduction=2),
        case(3, 8, stride=2, reduction=2),
    ),
    (0.25, 0.5, 1.25, 0.5, 0.5),
    (_branch,),
    (
        *(
            WrongBranch(wrong.sentence, wrong.costs, _then_gated(wrong.build))
            for wrong in WRONG_BRANCHES
        ),
        WrongBranch(
            "The gate comes before the last batch norm, which removes the scale again: apply it to "
            "the output of the branch (slide 50).",
            frozenset({"values", "gradients", "modes"}),
            _gate_before_last_norm,
        ),
        WrongBranch(
            "There is no gate: this is the residual block without squeeze-and-excitation (slide "
            "50).",
            ALL_BUT_SHAPES,
            _ungated,
        ),
    ),
    others=(
        _elsewhere("sum", AFTER_ADDITION),
        _elsewhere("end", AFTER_ADDITION),
        _elsewhere(
            "shortcut",
            "The gate is on the shortcut, which should pass unchanged: the residual branch is "
            "gated (slide 50).",
        ),
    ),
    builds_on={"SqueezeExcite": SqueezeExcite},
)
EXERCISES = (SQUEEZE_EXCITE, SE_BASIC_BLOCK)
