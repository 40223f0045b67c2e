"""Test whether a student's module computes the same function as a reference module.

Students choose the names of their layers, the order of registration and their style, so the test
relies on shapes alone. It searches for an assignment of the student's layers to those of the
reference under which the shapes agree, copies the reference's weights over, and compares outputs.

Everything is computed in float64. In float32, two correct implementations can differ by a rounding
error exactly where a ReLU has its kink, and then their gradients differ by much more.
"""

import copy
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from autograder.checks.student import (
    Block,
    Layers,
    StudentError,
    gradients_of,
    layers_of,
    multiplications,
)

# Name of a reference layer -> name of the student's layer that takes its weights.
Assignment = dict[str, str]

# Relative to the largest value. Correct blocks made of the same layers agree exactly. Where sums
# are taken in another order (convolutions as matrix products, channels last) they differ by at most
# 3e-15, and the mildest known mistake differs by 4e-2 (20 seeds, 1 and 2 threads).
TOLERANCE = 1e-9
# A correct block needs a few dozen tries; the limits stop blocks with absurdly many layers.
MAX_TRIES, MAX_STEPS = 200, 20_000


def kind_of(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Return a layer's shapes, with a fully connected layer written as a 1x1 convolution.

    Args:
        shapes: the layer's tensors by name; a weight (out, in) becomes (out, in, 1, 1).
    """
    weight = shapes.get("weight", ())
    return {**shapes, "weight": (*weight, 1, 1)} if len(weight) == 2 else dict(shapes)


def without_bias(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Return `kind_of` a layer without the bias of a convolution.

    A tensor called `bias` whose shape is not (out_channels,) is kept: it is not a bias.
    """
    kind = kind_of(shapes)
    weight = kind.get("weight", ())
    if len(weight) == 4 and kind.get("bias") == weight[:1]:
        del kind["bias"]
    return kind


def fits(student: Mapping[str, tuple[int, ...]], reference: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether a student's layer can take a reference layer's weights.

    The student's layer may have a bias where the reference has none.
    """
    return kind_of(reference) in (kind_of(student), without_bias(student))


def randomize_(module: nn.Module, generator: torch.Generator) -> nn.Module:
    """Draw weights and batch norm statistics under which every layer matters, in place.

    Args:
        module: a reference.
        generator: the source of all random numbers.

    Returns:
        The module, in float64.
    """

    def normal(tensor: Tensor, scale: float) -> None:
        tensor.normal_(0, scale, generator=generator)

    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                normal(layer.weight, math.sqrt(2 / layer.weight[0].numel()))
                if layer.bias is not None:
                    normal(layer.bias, 0.5)
            elif isinstance(layer, nn.BatchNorm2d):
                assert layer.running_mean is not None
                assert layer.running_var is not None
                layer.weight.uniform_(0.5, 1.5, generator=generator)
                layer.running_var.uniform_(0.5, 1.5, generator=generator)
                normal(layer.bias, 0.5)
                normal(layer.running_mean, 0.5)
    return module.double()


class Reference:
    """A reference module with fixed weights; each of its results is computed once and kept.

    Args:
        module: the module, in float64.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.layers = layers_of(module)
        self.state = module.state_dict()
        self._known: dict[tuple[str, int], tuple[Any, Any]] = {}

    def values(self, x: Tensor) -> Tensor:
        """Return the output in eval mode for the input `x` (N, C, H, W)."""
        with torch.no_grad():
            return self._once("values", x, lambda: self.module.eval()(x))

    def multiplications(self, x: Tensor) -> int:
        """Count the multiplications of convolutions and matrix products for the input `x`."""
        return self._once("multiplications", x, lambda: multiplications(self.module.eval(), x))

    def gradients(self, x: Tensor) -> dict[str, Tensor]:
        """Return train-mode gradients by parameter name; the input's has the name ""."""

        def computed() -> dict[str, Tensor]:
            twin, leaf = copy.deepcopy(self.module).train(), x.clone().requires_grad_()
            return gradients_of(twin(leaf), {"": leaf, **dict(twin.named_parameters())})

        return self._once("gradients", x, computed)

    def training(self, batches: list[Tensor]) -> tuple[list[Tensor], "Reference"]:
        """Run batches in train mode, one after the other.

        Args:
            batches: inputs (N, C, H, W).

        Returns:
            The outputs, and the module with the statistics that the batches left in it.
        """

        def computed() -> tuple[list[Tensor], Reference]:
            twin = copy.deepcopy(self.module).train()
            with torch.no_grad():
                return [twin(x) for x in batches], Reference(twin)

        return self._once("training", batches, computed)

    def _once(self, what: str, argument: Any, compute: Callable[[], Any]) -> Any:
        key = what, id(argument)
        if key not in self._known:
            # The argument is kept alive, so that no other object gets its id.
            self._known[key] = argument, compute()
        return self._known[key][1]


@dataclass(frozen=True)
class Match:
    """A block that computes what a reference computes, once it has the reference's weights.

    Args:
        reference: the reference.
        block: the student's block.
        layers: the block's layers.
        parts: the block's layer for each layer of the reference.
    """

    reference: Reference
    block: Block
    layers: Layers
    parts: Assignment

    @cached_property
    def weights(self) -> dict[str, Tensor]:
        """The reference's weights by the block's names; biases that only the block has are zero."""
        weights = {}
        for name, student_name in self.parts.items():
            for leaf, shape in self.layers[student_name].items():
                weight = self.reference.state.get(_join(name, leaf))
                weights[_join(student_name, leaf)] = (
                    torch.zeros(shape) if weight is None else weight.reshape(shape)
                )
        return weights

    def wrong_values(self, inputs: Sequence[Tensor]) -> Tensor | None:
        """Return the first input (N, C, H, W) whose eval-mode outputs disagree, or `None`."""
        outputs = self.block.forwards(inputs, weights=self.weights)
        for x, output in zip(inputs, outputs, strict=True):
            if not close(output, self.reference.values(x)):
                return x
        return None

    def same_training(self, batches: list[Tensor]) -> bool:
        """Whether train-mode outputs and statistics agree, and eval-mode outputs afterwards."""
        expected, trained = self.reference.training(batches)
        outputs, state, after = self.block.after_training(batches, self.weights)
        return (
            all(map(close, outputs, expected))
            and all(_agrees(state, b, trained.state[a]) for a, b in self._tensors())
            and close(after, trained.values(batches[0]))
        )

    def same_gradients(self, x: Tensor) -> bool:
        """Whether train-mode gradients by the input and by all shared parameters agree."""
        reference, student = self.reference.gradients(x), self.block.gradients(x, self.weights)
        pairs = [("", ""), *(pair for pair in self._tensors() if pair[0] in reference)]
        return all(_agrees(student, b, reference[a]) for a, b in pairs)

    def _tensors(self) -> list[tuple[str, str]]:
        """The reference's name and the student's for each tensor that affects the output."""
        return [
            (_join(name, leaf), _join(self.parts[name], leaf))
            for name, shapes in self.reference.layers.items()
            for leaf in shapes
            if leaf != "num_batches_tracked"
        ]


def find_match(reference: Reference, block: Block, layers: Layers, x: Tensor) -> Match | None:
    """Assign the reference's layers to layers of `block` so that both compute the same.

    A match leaves the block with the reference's weights.

    Args:
        reference: the reference.
        block: the student's block.
        layers: the block's layers.
        x: the input (N, C, H, W) on which eval-mode outputs are compared.

    Returns:
        The first match, or `None` if there is none or the block fails.
    """
    try:
        for parts in itertools.islice(_assignments(reference.layers, layers), MAX_TRIES):
            match = Match(reference, block, layers, parts)
            if match.wrong_values([x]) is None:
                return match
    except StudentError:
        pass
    return None


def close(student: Tensor, reference: Tensor) -> bool:
    """Whether shapes agree, and values to within `TOLERANCE` times the largest one."""
    if student.shape != reference.shape or student.is_complex():
        return False
    scale = reference.abs().max().clamp(min=1).item() if reference.numel() else 1.0
    return torch.allclose(student.double(), reference.double(), rtol=0, atol=TOLERANCE * scale)


def _agrees(student: Mapping[str, Tensor], name: str, reference: Tensor) -> bool:
    """Whether the student has a tensor of this name that agrees, dimensions of size 1 aside."""
    tensor = student.get(name)
    if tensor is None or tensor.numel() != reference.numel():
        return False
    return close(tensor, reference.reshape(tensor.shape))


def _assignments(reference: Layers, student: Layers) -> Iterator[Assignment]:
    """Yield one-to-one assignments of the student's layers to the reference's, by shape.

    Stops after `MAX_STEPS` steps; yields nothing where the student has too few layers of a kind.
    """
    by_kind: dict[_Kind, list[str]] = defaultdict(list)
    for name, shapes in student.items():
        for kind in {_key(kind_of(shapes)), _key(without_bias(shapes))}:
            by_kind[kind].append(name)
    kinds = {name: _key(kind_of(shapes)) for name, shapes in reference.items()}
    if any(len(by_kind[kind]) < count for kind, count in Counter(kinds.values()).items()):
        return
    steps = iter(range(MAX_STEPS))

    def completed(parts: Assignment, waiting: list[str]) -> Iterator[Assignment]:
        if not waiting:
            yield parts
            return
        name, *others = waiting
        for student_name in by_kind[kinds[name]]:
            if next(steps, None) is None:
                return
            if student_name not in parts.values():
                yield from completed({**parts, name: student_name}, others)

    yield from completed({}, list(kinds))


_Kind = frozenset[tuple[str, tuple[int, ...]]]


def _key(kind: Mapping[str, tuple[int, ...]]) -> _Kind:
    return frozenset(kind.items())


def _join(owner: str, leaf: str) -> str:
    return f"{owner}.{leaf}" if owner else leaf
