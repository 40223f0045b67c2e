"""Is a student's module the same function as ours, whatever its parts are called?

The student chooses names, registration order and style. So we read only names and shapes, look for
a layer of the student's for each layer of the reference, copy the reference's weights over, and
compare what comes out.

Everything is computed in float64. In float32 two right implementations can differ by a rounding
error just where a ReLU has its kink, and then their gradients differ by much more.
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

# Reference layer -> the student's layer that plays its part.
Assignment = dict[str, str]

# Right blocks made of the same layers agree exactly; with sums in another order (convolutions as
# matrix products, channels last) they differ by at most 3e-15 of the largest value, and the mildest
# known mistake by 4e-2 (20 seeds, 1 and 2 threads).
TOLERANCE = 1e-9
# A right block needs a few dozen tries; the limits stop blocks with absurdly many layers.
MAX_TRIES, MAX_STEPS = 200, 20_000


def kind_of(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """A layer's shapes, where a fully connected layer counts as a 1x1 convolution."""
    weight = shapes.get("weight", ())
    return {**shapes, "weight": (*weight, 1, 1)} if len(weight) == 2 else dict(shapes)


def without_bias(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """The kind of a layer less a convolution's bias; one of another shape is no bias."""
    kind = kind_of(shapes)
    weight = kind.get("weight", ())
    if len(weight) == 4 and kind.get("bias") == weight[:1]:
        del kind["bias"]
    return kind


def fits(theirs: Mapping[str, tuple[int, ...]], ours: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether a student's layer can play the part of ours; a bias that ours lacks is free."""
    return kind_of(ours) in (kind_of(theirs), without_bias(theirs))


def randomize_(module: nn.Module, generator: torch.Generator) -> nn.Module:
    """Give a reference weights and batch norm statistics under which every layer matters."""

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
    """One of our modules with fixed weights, and what it computes; each thing is computed once."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.layers = layers_of(module)
        self.state = module.state_dict()
        self._known: dict[tuple[str, int], tuple[Any, Any]] = {}

    def values(self, x: Tensor) -> Tensor:
        """What it makes of `x` in eval mode."""
        with torch.no_grad():
            return self._once("values", x, lambda: self.module.eval()(x))

    def multiplications(self, x: Tensor) -> int:
        return self._once("multiplications", x, lambda: multiplications(self.module.eval(), x))

    def gradients(self, x: Tensor) -> dict[str, Tensor]:
        """In train mode, by parameter name; "" is the input's."""

        def computed() -> dict[str, Tensor]:
            twin, leaf = copy.deepcopy(self.module).train(), x.clone().requires_grad_()
            return gradients_of(twin(leaf), {"": leaf, **dict(twin.named_parameters())})

        return self._once("gradients", x, computed)

    def training(self, batches: list[Tensor]) -> tuple[list[Tensor], "Reference"]:
        """Train-mode outputs of one batch after the other, and the module that is left."""

        def computed() -> tuple[list[Tensor], Reference]:
            twin = copy.deepcopy(self.module).train()
            with torch.no_grad():
                return [twin(x) for x in batches], Reference(twin)

        return self._once("training", batches, computed)

    def _once(self, what: str, given: Any, compute: Callable[[], Any]) -> Any:
        key = what, id(given)
        if key not in self._known:
            # What was given is kept, so that nothing else gets its identity.
            self._known[key] = given, compute()
        return self._known[key][1]


@dataclass(frozen=True)
class Match:
    """A block that computes what a reference computes, once it has its weights.

    Args:
        layers: of the block.
        parts: the block's layer for each of the reference's.
    """

    reference: Reference
    block: Block
    layers: Layers
    parts: Assignment

    @cached_property
    def weights(self) -> dict[str, Tensor]:
        """The reference's weights by the block's names; biases that it lacks are zero."""
        weights = {}
        for ours, theirs in self.parts.items():
            for leaf, shape in self.layers[theirs].items():
                weight = self.reference.state.get(_join(ours, leaf))
                weights[_join(theirs, leaf)] = (
                    torch.zeros(shape) if weight is None else weight.reshape(shape)
                )
        return weights

    def wrong_values(self, inputs: Sequence[Tensor]) -> Tensor | None:
        """The first input for which eval-mode outputs disagree."""
        outputs = self.block.forwards(inputs, weights=self.weights)
        for x, output in zip(inputs, outputs, strict=True):
            if not close(output, self.reference.values(x)):
                return x
        return None

    def same_training(self, batches: list[Tensor]) -> bool:
        """Whether train mode gives the same outputs and statistics, and eval mode after it too."""
        outputs, trained = self.reference.training(batches)
        theirs, state, after = self.block.after_training(batches, self.weights)
        return (
            all(map(close, theirs, outputs))
            and all(_agrees(state, b, trained.state[a]) for a, b in self._tensors())
            and close(after, trained.values(batches[0]))
        )

    def same_gradients(self, x: Tensor) -> bool:
        """Whether train-mode gradients agree, by the input and by the reference's parameters."""
        ours, theirs = self.reference.gradients(x), self.block.gradients(x, self.weights)
        pairs = [("", ""), *(pair for pair in self._tensors() if pair[0] in ours)]
        return all(_agrees(theirs, b, ours[a]) for a, b in pairs)

    def _tensors(self) -> list[tuple[str, str]]:
        """Our name and the student's for each tensor that decides what comes out."""
        return [
            (_join(ours, leaf), _join(self.parts[ours], leaf))
            for ours, shapes in self.reference.layers.items()
            for leaf in shapes
            if leaf != "num_batches_tracked"
        ]


def find_match(reference: Reference, block: Block, layers: Layers, x: Tensor) -> Match | None:
    """Layers of `block` that make it compute, in eval mode on `x`, what `reference` computes.

    Leaves the block with the reference's weights. None if there are none, or if the block fails.
    """
    try:
        for parts in itertools.islice(_assignments(reference.layers, layers), MAX_TRIES):
            match = Match(reference, block, layers, parts)
            if match.wrong_values([x]) is None:
                return match
    except StudentError:
        pass
    return None


def close(theirs: Tensor, ours: Tensor) -> bool:
    """Same shape, and values that agree to `TOLERANCE` of the largest."""
    if theirs.shape != ours.shape or theirs.is_complex():
        return False
    scale = ours.abs().max().clamp(min=1).item() if ours.numel() else 1.0
    return torch.allclose(theirs.double(), ours.double(), rtol=0, atol=TOLERANCE * scale)


def _agrees(theirs: Mapping[str, Tensor], name: str, ours: Tensor) -> bool:
    """Whether a tensor is there and agrees with ours, as a layer's weights do with another's."""
    there = theirs.get(name)
    if there is None or there.numel() != ours.numel():
        return False
    return close(there, ours.reshape(there.shape))


def _assignments(reference: Layers, student: Layers) -> Iterator[Assignment]:
    """One-to-one choices of a student's layer, of the right shapes, for each of ours.

    None where the student has too few layers of a kind, and the first `MAX_STEPS` steps only.
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
        ours, *others = waiting
        for theirs in by_kind[kinds[ours]]:
            if next(steps, None) is None:
                return
            if theirs not in parts.values():
                yield from completed({**parts, ours: theirs}, others)

    yield from completed({}, list(kinds))


_Kind = frozenset[tuple[str, tuple[int, ...]]]


def _key(kind: Mapping[str, tuple[int, ...]]) -> _Kind:
    return frozenset(kind.items())


def _join(owner: str, leaf: str) -> str:
    return f"{owner}.{leaf}" if owner else leaf
