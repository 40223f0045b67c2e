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
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from autograder.checks.student import Block, Layers, StudentError, gradients_of, layers_of

# Reference layer -> the student's layer that plays its part.
Assignment = dict[str, str]

# Right blocks made of the same layers agree exactly; with sums in another order (convolutions as
# matrix products, channels last) they differ by at most 3e-15 of the largest value, and the mildest
# known mistake by 4e-2 (20 seeds, 1 and 2 threads).
TOLERANCE = 1e-9
# A right block needs a few dozen tries; the limit stops blocks with absurdly many layers.
MAX_TRIES = 200


def kind_of(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """A layer's shapes, where a fully connected layer counts as a 1x1 convolution."""
    weight = shapes.get("weight", ())
    return {**shapes, "weight": (*weight, 1, 1)} if len(weight) == 2 else dict(shapes)


def without_bias(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """The kind of a layer less a convolution's bias."""
    kind = kind_of(shapes)
    return {key: kind[key] for key in kind if key != "bias" or len(kind.get("weight", ())) != 4}


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


def find_assignment(reference: nn.Module, block: Block, x: Tensor) -> Assignment | None:
    """Layers of `block` that make it compute, in eval mode on `x`, what `reference` computes.

    Leaves the block with the reference's weights. None if there are none, or if the block fails.
    """
    expected = reference_forward(reference, x)
    try:
        candidates = _assignments(layers_of(reference), block.layers())
        for assignment in itertools.islice(candidates, MAX_TRIES):
            copy_weights(reference, block, assignment)
            if close(block.forward(x), expected):
                return assignment
    except StudentError:
        pass
    return None


def copy_weights(reference: nn.Module, block: Block, assignment: Assignment) -> None:
    """Load the reference's weights into the block; biases that the reference lacks become zero."""
    weights = {}
    shapes = block.layers()
    state = reference.state_dict()
    for ours, theirs in assignment.items():
        for leaf, shape in shapes[theirs].items():
            weight = state.get(_join(ours, leaf), torch.zeros(shape))
            weights[_join(theirs, leaf)] = weight.reshape(shape)
    block.load(weights)


def same_values(reference: nn.Module, block: Block, x: Tensor) -> bool:
    """Whether eval-mode outputs agree, given that weights were copied."""
    return close(block.forward(x), reference_forward(reference, x))


def same_training(
    reference: nn.Module, block: Block, assignment: Assignment, batches: list[Tensor]
) -> bool:
    """Whether train mode gives the same outputs and statistics, and eval mode after it too."""
    copy_weights(reference, block, assignment)
    trained = copy.deepcopy(reference)
    for x in batches:
        if not close(block.forward(x, training=True), reference_forward(trained, x, training=True)):
            return False
    ours, theirs = trained.state_dict(), block.state()
    pairs = _tensor_pairs(trained, assignment)
    return all(
        close(theirs[b], ours[a].reshape(theirs[b].shape)) for a, b in pairs
    ) and same_values(trained, block, batches[0])


def same_gradients(reference: nn.Module, block: Block, assignment: Assignment, x: Tensor) -> bool:
    """Whether train-mode gradients agree, by the input and by every parameter of the reference."""
    copy_weights(reference, block, assignment)
    twin = copy.deepcopy(reference).train()
    leaf = x.clone().requires_grad_()
    parameters = dict(twin.named_parameters())
    ours = gradients_of(twin(leaf), {"": leaf, **parameters})
    theirs = block.gradients(x)
    pairs = [pair for pair in _tensor_pairs(reference, assignment) if pair[0] in parameters]
    return all(
        b in theirs and close(theirs[b], ours[a].reshape(theirs[b].shape))
        for a, b in [("", ""), *pairs]
    )


def reference_forward(reference: nn.Module, x: Tensor, *, training: bool = False) -> Tensor:
    with torch.no_grad():
        return reference.train(training)(x)


def close(theirs: Tensor, ours: Tensor) -> bool:
    """Same shape, and values that agree to `TOLERANCE` of the largest."""
    if theirs.shape != ours.shape:
        return False
    scale = ours.abs().max().clamp(min=1).item() if ours.numel() else 1.0
    return torch.allclose(theirs.double(), ours.double(), rtol=0, atol=TOLERANCE * scale)


def _assignments(reference: Layers, student: Layers) -> Iterator[Assignment]:
    """Every one-to-one choice of a student's layer, of the right shapes, for each of ours."""
    if not reference:
        yield {}
        return
    (ours, shapes), *rest = reference.items()
    for theirs, their_shapes in student.items():
        if fits(their_shapes, shapes):
            others = {name: layer for name, layer in student.items() if name != theirs}
            for assignment in _assignments(dict(rest), others):
                yield {ours: theirs, **assignment}


def _tensor_pairs(reference: nn.Module, assignment: Assignment) -> list[tuple[str, str]]:
    return [
        (_join(ours, leaf), _join(assignment[ours], leaf))
        for ours, shapes in layers_of(reference).items()
        for leaf in shapes
        if leaf != "num_batches_tracked"
    ]


def _join(owner: str, leaf: str) -> str:
    return f"{owner}.{leaf}" if owner else leaf
