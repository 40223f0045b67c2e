"""Is a student's module the same function as ours, whatever its parts are called?

The student chooses names, registration order and style. So we read only names and shapes, look for
a layer of the student's for each layer of the reference, copy the reference's weights over, and
compare what comes out. `Block` is the one place that touches student code: it exchanges strings,
numbers and tensors, so that the module behind it may later live in another process.

Everything is computed in float64. In float32 two right implementations can differ by a rounding
error just where a ReLU has its kink, and then their gradients differ by much more.
"""

import copy
import io
import itertools
import math
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import torch
from torch import Tensor, nn

# Layer name -> {tensor name -> shape}, e.g. {"conv1": {"weight": (8, 4, 3, 3)}}.
Layers = dict[str, dict[str, tuple[int, ...]]]
# Reference layer -> the student's layer that plays its part.
Assignment = dict[str, str]

# Right blocks made of the same layers agree exactly; with sums in another order (convolutions as
# matrix products, channels last) they differ by at most 3e-15 of the largest value, and the mildest
# known mistake by 4e-2 (20 seeds, 1 and 2 threads).
TOLERANCE = 1e-9
# A right block needs a few dozen tries; the limit stops blocks with absurdly many layers.
MAX_TRIES = 200


class StudentError(Exception):
    """The student's code failed; the message is a sentence for the student."""


@contextmanager
def student_code(action: str) -> Iterator[None]:
    """Run student code quietly, and turn whatever it raises into a `StudentError`.

    Quietly, because nbgrader gives no marks to a test cell that writes a warning to stderr.
    """
    swallow = io.StringIO()
    try:
        with redirect_stdout(swallow), redirect_stderr(swallow), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except StudentError:
        raise
    except NotImplementedError:
        raise StudentError(f"{action} is not written yet.") from None
    except (Exception, SystemExit) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise StudentError(f"{action} raised {type(error).__name__}: {reason}") from None


class Block:
    """A student's module: its layers, its weights, and what it computes."""

    def __init__(self, block_class: Any, *channels: int, stride: int) -> None:
        name = getattr(block_class, "__name__", "The class")
        #: How the student would write it, for messages: "BasicBlock(4, 8, stride=2)".
        self.label = f"{name}({', '.join(map(str, channels))}, stride={stride})"
        self.changed_its_input = False
        with student_code(self.label):
            self._module = block_class(*channels, stride=stride)
            if not isinstance(self._module, nn.Module):
                raise StudentError(
                    f"{self.label} is a {type(self._module).__name__}, not a torch.nn.Module."
                )
            self._module.double()

    def layers(self) -> Layers:
        with student_code(f"the state_dict of {self.label}"):
            return layers_of(self._module)

    def convolutions(self) -> list[tuple[tuple[int, ...], int]]:
        """(weight shape, stride) of every nn.Conv2d; for hints only, never for marks."""
        return [
            (tuple(module.weight.shape), max(module.stride))
            for module in self._module.modules()
            if isinstance(module, nn.Conv2d)
        ]

    def load(self, weights: Mapping[str, Tensor]) -> None:
        with student_code(f"loading weights into {self.label}"):
            self._module.load_state_dict(weights, strict=False)

    def state(self) -> dict[str, Tensor]:
        with student_code(f"the state_dict of {self.label}"):
            return {name: tensor.clone() for name, tensor in self._module.state_dict().items()}

    def forward(self, x: Tensor, *, training: bool = False) -> Tensor:
        given = x.clone()
        with student_code(f"{self.label} on an input of shape {tuple(x.shape)}"), torch.no_grad():
            output = self._module.train(training)(given)
        self._check_tensor(output)
        self.changed_its_input |= not torch.equal(given, x)
        return output

    def gradients(self, x: Tensor) -> dict[str, Tensor]:
        """Train-mode gradients of `probe_loss` by parameter name; "" is the input's."""
        leaf = x.clone().requires_grad_()
        with student_code(f"the backward pass of {self.label}"), torch.enable_grad():
            # The extra step lets a module that works in place run: autograd forbids it on a leaf.
            output = self._module.train()(leaf * 1)
            self._check_tensor(output)
            named = {"": leaf, **dict(self._module.named_parameters())}
            return gradients_of(output, named)

    def _check_tensor(self, output: object) -> None:
        if not isinstance(output, Tensor):
            raise StudentError(f"{self.label} returns a {type(output).__name__}, not a tensor.")


def layers_of(module: nn.Module) -> Layers:
    """The layers that own a module's tensors, by name."""
    layers: Layers = defaultdict(dict)
    for name, tensor in module.state_dict().items():
        owner, _, leaf = name.rpartition(".")
        layers[owner][leaf] = tuple(tensor.shape)
    return dict(layers)


def without_free_bias(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """A convolution's tensors less its bias: batch norm follows and takes any bias away again."""
    if len(shapes.get("weight", ())) == 4:
        return {name: shape for name, shape in shapes.items() if name != "bias"}
    return dict(shapes)


def randomize_(module: nn.Module, generator: torch.Generator) -> nn.Module:
    """Give a reference weights and batch norm statistics under which every layer matters."""

    def normal(tensor: Tensor, scale: float) -> None:
        tensor.normal_(0, scale, generator=generator)

    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d):
                normal(layer.weight, math.sqrt(2 / layer.weight[0].numel()))
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
            weights[_join(theirs, leaf)] = state.get(_join(ours, leaf), torch.zeros(shape))
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
    return all(close(theirs[b], ours[a]) for a, b in pairs) and same_values(
        trained, block, batches[0]
    )


def same_gradients(reference: nn.Module, block: Block, assignment: Assignment, x: Tensor) -> bool:
    """Whether train-mode gradients agree, by the input and by every parameter of the reference."""
    copy_weights(reference, block, assignment)
    twin = copy.deepcopy(reference).train()
    leaf = x.clone().requires_grad_()
    parameters = dict(twin.named_parameters())
    ours = gradients_of(twin(leaf), {"": leaf, **parameters})
    theirs = block.gradients(x)
    pairs = [pair for pair in _tensor_pairs(reference, assignment) if pair[0] in parameters]
    return all(b in theirs and close(theirs[b], ours[a]) for a, b in [("", ""), *pairs])


def reference_forward(reference: nn.Module, x: Tensor, *, training: bool = False) -> Tensor:
    with torch.no_grad():
        return reference.train(training)(x)


def gradients_of(output: Tensor, named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Gradients of a fixed weighted sum of `output`; zero for what it does not depend on."""
    weights = torch.cos(torch.arange(output.numel(), dtype=output.dtype)).reshape(output.shape)
    gradients = torch.autograd.grad(
        (output * weights).sum(), list(named.values()), allow_unused=True, materialize_grads=True
    )
    return dict(zip(named, gradients, strict=True))


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
        if without_free_bias(their_shapes) == shapes:
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
