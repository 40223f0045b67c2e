"""Find the activation functions that a network calls, as modules or as functions.

Every activation module of `torch.nn` calls a function of PyTorch, and so do modules that a network
defines itself, such as LeNet's scaled tanh. So the functions are observed, not classes of modules.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from convnets.analysis.observing import observe

Bounds = tuple[float, float]
"""Lower and upper bound of a function's values."""

# The pointwise functions of "Non-linear activation functions" in the reference of
# torch.nn.functional. A name in `torch`, `torch.nn.functional` and `Tensor` is the same function;
# underscores around it mark variants, such as in place.
UNBOUNDED = {
    *("celu", "elu", "gelu", "hardshrink", "hardswish", "leaky_relu", "log_sigmoid", "mish"),
    *("prelu", "relu", "rrelu", "selu", "silu", "softplus", "softshrink", "tanhshrink"),
    "threshold",
}
BOUNDED: dict[str, Bounds] = {
    "hardsigmoid": (0.0, 1.0),
    "hardtanh": (-1.0, 1.0),  # unless the call gives others
    "relu6": (0.0, 6.0),
    "sigmoid": (0.0, 1.0),
    "softsign": (-1.0, 1.0),
    "tanh": (-1.0, 1.0),
}


@dataclass(frozen=True)
class ActivationCall:
    """One call of an activation function while a network runs."""

    name: str
    """The module that makes the call; if it has submodules, with the function: "block1.relu"."""
    input: Tensor
    """(N, C, H, W) or (N, C), as it was before the call, even if the call overwrites it."""
    output: Tensor
    """Shaped like the input."""
    bounds: Bounds | None
    """`None` if the function has no upper or no lower bound."""


class _ActivationMode(TorchFunctionMode):
    """While active, calls `see(function, input, output, bounds)` for each activation function."""

    def __init__(self, see: Callable[[str, Tensor, Tensor, Bounds | None], None]) -> None:
        super().__init__()
        self.see = see

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "").strip("_")
        if name not in UNBOUNDED and name not in BOUNDED:
            return func(*args, **kwargs)
        before = (args[0] if args else kwargs["input"]).clone()
        output = func(*args, **kwargs)
        if before.ndim >= 2:  # so it is not a scalar parameter or one for each channel
            bounds = _hardtanh(*args, **kwargs) if name == "hardtanh" else BOUNDED.get(name)
            self.see(name, before, output, bounds)
        return output


def _hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Bounds:
    return min_val, max_val


def observe_activations(
    net: nn.Module,
    images: Tensor,
    see: Callable[[ActivationCall], None],
    leave: Callable[[str, Any], None] = lambda name, output: None,
) -> None:
    """Run `net` once and call `see` for each call of an activation function, in order.

    Functions that a network composes of arithmetic, such as `x.clamp(min=0)`, are not found. The
    network runs in its own mode and is unchanged afterwards.

    Args:
        net: any network.
        images: a batch (N, C, H, W).
        see: must copy what it wants to keep.
        leave: called after each run of any module with its name and its output.

    Raises:
        ValueError: the batch is empty.
    """
    modules = dict(net.named_modules())
    running: list[str] = []

    def back(name: str, output: Any) -> None:
        running.pop()
        leave(name, output)

    def note(function: str, before: Tensor, output: Tensor, bounds: Bounds | None) -> None:
        caller = running[-1]
        path = [caller, function] if any(modules[caller].children()) else [caller]
        see(ActivationCall(".".join(filter(None, path)), before, output, bounds))

    with _ActivationMode(note):
        observe(net, images, modules, back, running.append, tensors_only=False)
