"""The door to what a student wrote: a block or a function, called with data, answering with data.

Only this file touches student code. Strings, numbers and tensors cross, so that the student's side
may live in another process. Whatever goes wrong there becomes a sentence, a `StudentError`.
"""

import sys
import warnings
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import (
    AbstractContextManager,
    contextmanager,
    nullcontext,
    redirect_stderr,
    redirect_stdout,
)
from io import StringIO
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

# Layer name -> {tensor name -> shape}, e.g. {"conv1": {"weight": (8, 4, 3, 3)}}.
Layers = dict[str, dict[str, tuple[int, ...]]]
# What an exercise asks for must not come from here.
LIBRARIES = frozenset(
    ("torchvision", "timm", "convnets", "autograder", "pytorchcv", "transformers", "keras", "d2l")
)
# Ready-made activations, by their names in PyTorch's operator library less underscores at the ends.
# fmt: off
ACTIVATIONS = frozenset((
    "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "prelu", "prelu_kernel", "rrelu",
    "rrelu_with_noise", "threshold", "hardtanh", "softplus", "gelu", "silu", "mish",
    "hardswish", "hardsigmoid", "log_sigmoid", "log_sigmoid_forward"
))
CONVOLUTIONS = frozenset((
    "convolution", "convolution_overrideable", "conv1d", "conv2d", "mkldnn_convolution",
    "slow_conv2d_forward", "thnn_conv2d"
))
# fmt: on


class StudentError(Exception):
    """The student's code failed; the message is a sentence for the student."""


class Elsewhere(ABC):
    """An answer that lives in another process, where the student's code runs."""

    @abstractmethod
    def block(self, *arguments: Any, **options: Any) -> "Block":
        """The module that it builds there, with the methods of `Block`."""

    @abstractmethod
    def function(self, name: str, forbidden: frozenset[str]) -> "Function":
        """The function there, with the methods of `Function`."""

    @abstractmethod
    def define(self, name: str, source: str) -> "Elsewhere":
        """Something of ours, defined there; it is no answer, which others may know."""

    @abstractmethod
    def replacing(self, versions: Mapping[str, tuple[str, str]]) -> AbstractContextManager[bool]:
        """Ours (name and text) for the student's names; says whether any was there."""


def defined_from(name: str, source: str) -> Any:
    """What a right version's text defines."""
    names = {"torch": torch, "nn": nn, "functional": functional, "Tensor": Tensor}
    space: dict[str, Any] = {**names, "__name__": "earlier_answer"}
    exec(source, space)
    return space[name]


def open_block(answer: Any, *arguments: Any, **options: Any) -> "Block":
    """The module that an answer builds, wherever it lives."""
    if isinstance(answer, Elsewhere):
        return answer.block(*arguments, **options)
    return Block(answer, *arguments, **options)


def open_function(answer: Any, name: str, forbidden: frozenset[str] = frozenset()) -> "Function":
    """An answer that is a function, wherever it lives."""
    if isinstance(answer, Elsewhere):
        return answer.function(name, forbidden)
    return Function(answer, name, forbidden)


@contextmanager
def student_code(
    action: str, forbidden: frozenset[str] = frozenset(), *, computes: bool = True
) -> Iterator[None]:
    """Run student code quietly, and turn whatever it raises into a `StudentError`.

    Quietly, because nbgrader gives no marks to a test cell that writes a warning to stderr.

    Args:
        action: what is done, for the sentence: "BasicBlock(4, 8)".
        forbidden: PyTorch's operators that the exercise is about.
        computes: whether the answer comes of it, which then must not come from another library.
    """
    swallow = StringIO()
    borrowed: set[str] = set()
    operators = _Operators(forbidden)
    try:
        with redirect_stdout(swallow), redirect_stderr(swallow), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with (
                operators if forbidden else nullcontext(),
                _watching_calls(borrowed) if computes else nullcontext(),
            ):
                yield
    except StudentError:
        raise
    except NotImplementedError:
        raise StudentError(f"{action} is not written yet.") from None
    except (Exception, SystemExit) as error:
        refuse(action, borrowed, operators.found)
        reason = (str(error).splitlines() or [""])[0]
        raise StudentError(f"{action} raised {type(error).__name__}: {reason}") from None
    refuse(action, borrowed, operators.found)


def refuse(action: str, borrowed: Iterable[str], operators: Iterable[str]) -> None:
    """Raise the sentence for what an answer must not use, if it uses any."""
    if borrowed:
        raise StudentError(
            f"{action} gets its answer from {', '.join(sorted(borrowed))}: a block that another "
            "library made earns nothing, write your own."
        )
    if operators:
        raise StudentError(
            f"{action} calls PyTorch's ready-made {', '.join(sorted(operators))}, which this "
            "exercise asks you to write."
        )


@contextmanager
def _watching_calls(borrowed: set[str]) -> Iterator[None]:
    """Note which of `LIBRARIES` have a function called."""

    seen = {__file__}

    def note(frame: Any, event: str, argument: object) -> None:
        # It returns nothing, so that it hears of calls alone, not of lines.
        file = frame.f_code.co_filename
        if file not in seen:
            seen.add(file)
            package = str(frame.f_globals.get("__name__")).partition(".")[0]
            if package in LIBRARIES:
                borrowed.add(package)

    before = sys.gettrace()
    sys.settrace(note)
    try:
        yield
    finally:
        sys.settrace(before)


class _Operators(TorchDispatchMode):
    """Notes which of the forbidden operators are called, by whatever name in Python."""

    def __init__(self, forbidden: frozenset[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.forbidden = forbidden
        self.found: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        name = func._schema.name.rpartition("::")[2].strip("_")
        if name in self.forbidden:
            self.found.add(name)
        return func(*args, **(kwargs or {}))


class Function:
    """A student's function."""

    def __init__(self, function: Any, name: str, forbidden: frozenset[str] = frozenset()) -> None:
        self._function = function
        self.name = name
        self.forbidden = forbidden

    def label(self, arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> str:
        """The call as the student would write it: "conv_macs(3, 8, 5, 10, groups=1)"."""
        words = [_shown(value) for value in arguments]
        words += [f"{name}={_shown(value)}" for name, value in keywords.items()]
        return f"{self.name}({', '.join(words)})"

    def call(self, *arguments: Any, **keywords: Any) -> Any:
        """The result; a tensor that was given must not be changed.

        Raises:
            ValueError: the student's function raised it.
            StudentError: it raised anything else, or changed what it was given.
        """
        label = self.label(arguments, keywords)
        copies = [
            value.detach().clone() if isinstance(value, Tensor) else value for value in arguments
        ]
        refused: ValueError | None = None
        with student_code(label, self.forbidden):
            try:
                result = self._function(*arguments, **keywords)
            except ValueError as error:
                refused = error
        for value, copy in zip(arguments, copies, strict=True):
            if isinstance(value, Tensor) and not torch.equal(value.detach(), copy):
                raise StudentError(f"{label} changes its input tensor, which others may need.")
        if refused is not None:
            raise refused
        return result

    def gradients(self, *arguments: Any, **keywords: Any) -> dict[str, Tensor]:
        """Gradients of a fixed weighted sum, by the places of floating-point tensors.

        Raises:
            ValueError, StudentError: as `call`, and where no gradient comes through.
        """
        given = [
            value.detach().requires_grad_(value.is_floating_point())
            if isinstance(value, Tensor)
            else value
            for value in arguments
        ]
        label = self.label(arguments, keywords)
        result = self.call(*given, **keywords)
        if not isinstance(result, Tensor) or not result.requires_grad:
            raise StudentError(
                f"{label} lets no gradient through to its input: look for detach, .data, .item() "
                "or numpy."
            )
        leaves = {
            str(place): value
            for place, value in enumerate(given)
            if isinstance(value, Tensor) and value.requires_grad
        }
        return self._differentiated(label, result, leaves)

    def _differentiated(
        self, label: str, result: Tensor, leaves: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        with student_code(f"the backward pass of {label}"):
            return gradients_of(result, leaves)


def _shown(value: object) -> str:
    return f"x of shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)


class Block:
    """A student's module: its layers, its weights, and what it computes."""

    def __init__(self, build: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        #: How the student would write it, for messages: "BasicBlock(4, 8, stride=2)".
        self.label = labelled(getattr(build, "__name__", "The class"), arguments, options)
        self.changed_its_input = False
        with student_code(self.label):
            module = build(*arguments, **options)
            if not isinstance(module, nn.Module):
                raise StudentError(
                    f"{self.label} is a {type(module).__name__}, not a torch.nn.Module."
                )
        with student_code(f"double precision for {self.label}", computes=False):
            self._module = module.double()

    def layers(self) -> Layers:
        with student_code(f"the state_dict of {self.label}", computes=False):
            return layers_of(self._module)

    def convolutions(self) -> list[tuple[tuple[int, ...], int]]:
        """(weight shape, stride) of every nn.Conv2d; for hints only, never for marks."""
        with student_code(f"a look at the convolutions of {self.label}", computes=False):
            return [
                (tuple(module.weight.shape), max(module.stride))
                for module in self._module.modules()
                if isinstance(module, nn.Conv2d)
            ]

    def load(self, weights: Mapping[str, Tensor]) -> None:
        with student_code(f"loading weights into {self.label}", computes=False):
            self._module.load_state_dict(weights, strict=False)

    def state(self) -> dict[str, Tensor]:
        with student_code(f"the state_dict of {self.label}", computes=False):
            return {name: tensor.clone() for name, tensor in self._module.state_dict().items()}

    def change(self, function: Callable[[nn.Module], Any], name: str) -> bool:
        """Hand the module to a function of the student's that works in place.

        Returns:
            Whether the function returned the module.
        """
        with student_code(f"{name} on {self.label}"):
            return function(self._module) is self._module

    def forward(self, x: Tensor, *, training: bool = False) -> Tensor:
        given = x.clone()
        self._switch(training=training)
        with student_code(f"{self.label} on an input of shape {tuple(x.shape)}"), torch.no_grad():
            output = self._module(given)
        self._check_tensor(output)
        self.changed_its_input |= not torch.equal(given, x)
        return output

    def forwards(
        self,
        inputs: Sequence[Tensor],
        *,
        training: bool = False,
        weights: Mapping[str, Tensor] | None = None,
    ) -> list[Tensor]:
        """The outputs of several inputs, one after the other; with these weights, if any."""
        if weights is not None:
            self.load(weights)
        return [self.forward(x, training=training) for x in inputs]

    def after_training(
        self, batches: Sequence[Tensor], weights: Mapping[str, Tensor]
    ) -> tuple[list[Tensor], dict[str, Tensor], Tensor]:
        """Train-mode outputs of one batch after the other, with these weights to begin with; then
        the state, and the first batch's output in eval mode."""
        outputs = self.forwards(batches, training=True, weights=weights)
        return outputs, self.state(), self.forward(batches[0])

    def forward_in_float32(self, x: Tensor) -> Tensor:
        """The output for a float32 input and weights; they are float64 again afterwards."""
        with student_code(f"{self.label} in other number formats", computes=False):
            self._module.float().eval()
            try:
                with student_code(f"{self.label} in float32"), torch.no_grad():
                    return self._module(x.float())
            finally:
                self._module.double()

    def multiplications(self, x: Tensor) -> int:
        """Multiplications of all convolutions and matrix products, for the input `x`."""
        action = f"{self.label} on an input of shape {tuple(x.shape)}"
        with student_code(action, computes=False):
            return multiplications(self._module.eval(), x)

    def gradients(self, x: Tensor, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Train-mode gradients with these weights, by parameter name; "" is the input's."""
        self.load(weights)
        leaf = x.clone().requires_grad_()
        self._switch(training=True)
        with student_code(f"the backward pass of {self.label}"), torch.enable_grad():
            # The extra step lets a module that works in place run: autograd forbids it on a leaf.
            output = self._module(leaf * 1)
            self._check_tensor(output)
            named = {"": leaf, **dict(self._module.named_parameters())}
            return gradients_of(output, named)

    def _switch(self, *, training: bool) -> None:
        with student_code(f"the modes of {self.label}", computes=False):
            self._module.train(training)

    def _check_tensor(self, output: object) -> None:
        if not isinstance(output, Tensor):
            raise StudentError(f"{self.label} returns a {type(output).__name__}, not a tensor.")


def labelled(name: str, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> str:
    """A call as the student would write it."""
    words = [*map(str, arguments), *(f"{key}={value}" for key, value in options.items())]
    return f"{name}({', '.join(words)})"


def layers_of(module: nn.Module) -> Layers:
    """The layers that own a module's tensors, by name."""
    layers: Layers = defaultdict(dict)
    for name, tensor in module.state_dict().items():
        owner, _, leaf = name.rpartition(".")
        layers[owner][leaf] = tuple(tensor.shape)
    return dict(layers)


def multiplications(module: nn.Module, x: Tensor) -> int:
    """Multiplications of all convolutions and matrix products, half of PyTorch's count of FLOPs."""
    counter = _Flops()
    with torch.no_grad(), counter:
        module(x)
    return counter.total // 2


class _Flops(TorchDispatchMode):
    """Counts as PyTorch's `FlopCounterMode` does, less its table by module, which takes long."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        count = flop_registry.get(func._overloadpacket)
        if count is None and func is not torch.ops.prim.device.default:
            with self:
                parts = func.decompose(*args, **(kwargs or {}))
            if parts is not NotImplemented:
                return parts
        result = func(*args, **(kwargs or {}))
        if count is not None:
            self.total += int(count(*args, **(kwargs or {}), out_val=result))
        return result


def gradients_of(output: Tensor, named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Gradients of a fixed weighted sum of `output`; zero for what it does not depend on."""
    weights = torch.cos(torch.arange(output.numel(), dtype=output.dtype)).reshape(output.shape)
    gradients = torch.autograd.grad(
        (output * weights).sum(), list(named.values()), allow_unused=True, materialize_grads=True
    )
    return dict(zip(named, gradients, strict=True))
