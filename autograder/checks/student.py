"""Call a student's block or function, and turn its errors into sentences.

No other module of the checks calls student code. Arguments and results are strings, numbers and
tensors, so a block or function can also live in another process (`AnswerProxy`). Every error of the
student's code becomes a `StudentError`, whose message is a sentence for the student.
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
# Libraries that an answer must not be taken from.
LIBRARIES = frozenset(
    ("torchvision", "timm", "convnets", "autograder", "pytorchcv", "transformers", "keras", "d2l")
)
# Ready-made activations: names in PyTorch's operator library, without underscores at either end.
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


class AnswerProxy(ABC):
    """An answer in another process, where the student's code runs."""

    @abstractmethod
    def block(self, *arguments: Any, **options: Any) -> "Block":
        """Build the module there, and return an object with the methods of `Block`."""

    @abstractmethod
    def function(self, name: str, forbidden: frozenset[str]) -> "Function":
        """Return an object with the methods of `Function` for the function there."""

    @abstractmethod
    def define(self, name: str, source: str) -> "AnswerProxy":
        """Run a source text of the course there, and return a proxy of what it defines.

        The student's code may read this text, so it must not be an answer.
        """

    @abstractmethod
    def replacing(self, versions: Mapping[str, tuple[str, str]]) -> AbstractContextManager[bool]:
        """Replace the student's definitions by reference versions, for the time of the context.

        Args:
            versions: for each of the student's names, the name and the source of the reference.

        Returns:
            A context manager; its value says whether any of the names was defined.
        """


def defined_from(name: str, source: str) -> Any:
    """Run a source text and return what it defines under a name.

    The text may use `torch`, `nn`, `functional` and `Tensor`.
    """
    names = {"torch": torch, "nn": nn, "functional": functional, "Tensor": Tensor}
    space: dict[str, Any] = {**names, "__name__": "earlier_answer"}
    exec(source, space)
    return space[name]


def open_block(answer: Any, *arguments: Any, **options: Any) -> "Block":
    """Build a module with an answer, in this process or in the answer's own.

    Raises:
        StudentError: the answer raises an error or does not build a module.
    """
    if isinstance(answer, AnswerProxy):
        return answer.block(*arguments, **options)
    return Block(answer, *arguments, **options)


def open_function(answer: Any, name: str, forbidden: frozenset[str] = frozenset()) -> "Function":
    """Wrap an answer that is a function, in this process or in the answer's own."""
    if isinstance(answer, AnswerProxy):
        return answer.function(name, forbidden)
    return Function(answer, name, forbidden)


@contextmanager
def student_code(
    action: str, forbidden: frozenset[str] = frozenset(), *, computes: bool = True
) -> Iterator[None]:
    """Run student code silently, and turn its errors into `StudentError`.

    Output is discarded: nbgrader gives no marks to a test cell that writes a warning to stderr.

    Args:
        action: what the code does, for the sentence, such as "BasicBlock(4, 8)".
        forbidden: operators of PyTorch that the exercise forbids.
        computes: whether the code computes the answer, which must not come from another library.

    Raises:
        StudentError: the code raised an error, or used what it must not.
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
        lines = str(error).splitlines()
        reason = f": {lines[0]}" if lines else "."
        raise StudentError(f"{action} raised {type(error).__name__}{reason}") from None
    refuse(action, borrowed, operators.found)


def refuse(action: str, borrowed: Iterable[str], operators: Iterable[str]) -> None:
    """Raise a `StudentError` if an answer uses other libraries or forbidden operators.

    Args:
        action: what the student's code did, for the sentence.
        borrowed: the libraries that it called.
        operators: the forbidden operators that it called.
    """
    if borrowed:
        raise StudentError(
            f"{action} gets its answer from {', '.join(sorted(borrowed))}: code from another "
            "library earns no marks, so write your own."
        )
    if operators:
        raise StudentError(
            f"{action} calls PyTorch's ready-made {', '.join(sorted(operators))}, which this "
            "exercise asks you to write."
        )


@contextmanager
def _watching_calls(borrowed: set[str]) -> Iterator[None]:
    """Add the libraries among `LIBRARIES` whose functions are called to `borrowed`."""
    seen = {__file__}

    def note(frame: Any, event: str, argument: object) -> None:
        # Returning None restricts the trace to calls; lines are not traced.
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
    """Collects the forbidden operators that are called, under any name in Python."""

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
    """A student's function.

    Args:
        function: the function.
        name: its name in messages.
        forbidden: operators of PyTorch that it must not call.
    """

    def __init__(self, function: Any, name: str, forbidden: frozenset[str] = frozenset()) -> None:
        self._function = function
        self.name = name
        self.forbidden = forbidden

    def label(self, arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> str:
        """Return the call as a student would write it: "conv_macs(3, 8, 5, 10, groups=1)"."""
        words = [_shown(value) for value in arguments]
        words += [f"{name}={_shown(value)}" for name, value in keywords.items()]
        return f"{self.name}({', '.join(words)})"

    def call(self, *arguments: Any, **keywords: Any) -> Any:
        """Call the function and return its result.

        Raises:
            ValueError: the student's function raised it.
            StudentError: the function raised another error, or changed a tensor that it was given.
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
                raise StudentError(f"{label} changes its input tensor, which other code may need.")
        if refused is not None:
            raise refused
        return result

    def gradients(self, *arguments: Any, **keywords: Any) -> dict[str, Tensor]:
        """Call the function and return gradients of a fixed weighted sum of its result.

        Returns:
            The gradient by each floating-point tensor among the arguments, by its position ("0").

        Raises:
            ValueError: the student's function raised it.
            StudentError: as in `call`, or the result has no gradient.
        """
        leaves = [
            value.detach().requires_grad_(value.is_floating_point())
            if isinstance(value, Tensor)
            else value
            for value in arguments
        ]
        label = self.label(arguments, keywords)
        result = self.call(*leaves, **keywords)
        if not isinstance(result, Tensor) or not result.requires_grad:
            raise StudentError(
                f"{label} passes no gradient back to its input: look for detach, .data, .item() "
                "or numpy."
            )
        named = {
            str(place): value
            for place, value in enumerate(leaves)
            if isinstance(value, Tensor) and value.requires_grad
        }
        return self._differentiated(label, result, named)

    def _differentiated(
        self, label: str, result: Tensor, leaves: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        with student_code(f"the backward pass of {label}"):
            return gradients_of(result, leaves)


def _shown(value: object) -> str:
    return f"tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)


class Block:
    """A module that a student's class or function has built, in float64.

    Args:
        build: the student's class or function.
        arguments: its positional arguments.
        options: its keyword arguments.

    Raises:
        StudentError: building failed, or the result is not a `torch.nn.Module`.
    """

    def __init__(self, build: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        #: The call as a student would write it, for messages: "BasicBlock(4, 8, stride=2)".
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
        """Return the module's layers and the shapes of their tensors, by name."""
        with student_code(f"the state_dict of {self.label}", computes=False):
            return layers_of(self._module)

    def convolutions(self) -> list[tuple[tuple[int, ...], int]]:
        """Return weight shape and largest stride of every `nn.Conv2d`; for hints, not for marks."""
        with student_code(f"reading the convolutions of {self.label}", computes=False):
            return [
                (tuple(module.weight.shape), max(module.stride))
                for module in self._module.modules()
                if isinstance(module, nn.Conv2d)
            ]

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Load tensors into the `state_dict` by name; names that are missing stay as they are."""
        with student_code(f"loading weights into {self.label}", computes=False):
            self._module.load_state_dict(weights, strict=False)

    def state(self) -> dict[str, Tensor]:
        """Return a copy of the `state_dict`."""
        with student_code(f"the state_dict of {self.label}", computes=False):
            return {name: tensor.clone() for name, tensor in self._module.state_dict().items()}

    def change(self, function: Callable[[nn.Module], Any], name: str) -> bool:
        """Call a student's function that changes the module in place.

        Args:
            function: the function; the module is its only argument.
            name: the name of the function in messages.

        Returns:
            Whether the function returned the module.
        """
        with student_code(f"{name} on {self.label}"):
            return function(self._module) is self._module

    def forward(self, x: Tensor, *, training: bool = False) -> Tensor:
        """Return the output for the input `x` (N, C, H, W), float64, without gradients.

        Sets `changed_its_input` where the module changes the tensor that it is given.
        """
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
        """Return the outputs of several inputs, one after the other.

        Args:
            inputs: tensors (N, C, H, W).
            training: run in train mode.
            weights: tensors to load first.
        """
        if weights is not None:
            self.load(weights)
        return [self.forward(x, training=training) for x in inputs]

    def after_training(
        self, batches: Sequence[Tensor], weights: Mapping[str, Tensor]
    ) -> tuple[list[Tensor], dict[str, Tensor], Tensor]:
        """Run batches in train mode, then the first one in eval mode.

        Args:
            batches: tensors (N, C, H, W).
            weights: tensors to load first.

        Returns:
            The train-mode outputs, the state after them, and the eval-mode output of the first
            batch.
        """
        outputs = self.forwards(batches, training=True, weights=weights)
        return outputs, self.state(), self.forward(batches[0])

    def forward_in_float32(self, x: Tensor) -> Tensor:
        """Return the output for input and weights in float32; the weights return to float64."""
        with student_code(f"{self.label} in other number formats", computes=False):
            self._module.float().eval()
            try:
                with student_code(f"{self.label} in float32"), torch.no_grad():
                    return self._module(x.float())
            finally:
                self._module.double()

    def multiplications(self, x: Tensor) -> int:
        """Count the multiplications of convolutions and matrix products for the input `x`."""
        action = f"{self.label} on an input of shape {tuple(x.shape)}"
        with student_code(action, computes=False):
            return multiplications(self._module.eval(), x)

    def gradients(self, x: Tensor, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return train-mode gradients of a fixed weighted sum of the output.

        Args:
            x: the input (N, C, H, W).
            weights: tensors to load first.

        Returns:
            Gradients by parameter name; the input's has the name "".
        """
        self.load(weights)
        leaf = x.clone().requires_grad_()
        self._switch(training=True)
        with student_code(f"the backward pass of {self.label}"), torch.enable_grad():
            # Autograd forbids in-place changes of a leaf, so the module gets a copy of it.
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
    """Return a call as a student would write it: "BasicBlock(4, 8, stride=2)"."""
    words = [*map(str, arguments), *(f"{key}={value}" for key, value in options.items())]
    return f"{name}({', '.join(words)})"


def layers_of(module: nn.Module) -> Layers:
    """Return the layers that own a module's tensors, and the shapes of these, by name."""
    layers: Layers = defaultdict(dict)
    for name, tensor in module.state_dict().items():
        owner, _, leaf = name.rpartition(".")
        layers[owner][leaf] = tuple(tensor.shape)
    return dict(layers)


def multiplications(module: nn.Module, x: Tensor) -> int:
    """Count the multiplications of convolutions and matrix products, half of PyTorch's FLOPs.

    Args:
        module: the module, in the mode in which it is to run.
        x: its input (N, C, H, W).
    """
    counter = _Flops()
    with torch.no_grad(), counter:
        module(x)
    return counter.total // 2


class _Flops(TorchDispatchMode):
    """Counts as PyTorch's `FlopCounterMode` does, but skips its table by module, which is slow."""

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
    """Return gradients of a fixed weighted sum of a tensor.

    Args:
        output: a tensor of any shape.
        named: tensors by name.

    Returns:
        A gradient for each name, zero where `output` does not depend on the tensor.
    """
    weights = torch.cos(torch.arange(output.numel(), dtype=output.dtype)).reshape(output.shape)
    gradients = torch.autograd.grad(
        (output * weights).sum(), list(named.values()), allow_unused=True, materialize_grads=True
    )
    return dict(zip(named, gradients, strict=True))
