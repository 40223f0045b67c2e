"""The activation functions that the lecture compares, by name."""

from collections.abc import Callable

from torch import nn

# Lecture slides 9 to 12. Each call makes a new module, since a PReLU has a parameter.
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "ReLU": nn.ReLU,
    "leaky ReLU": lambda: nn.LeakyReLU(0.01),
    "PReLU": lambda: nn.PReLU(init=0.25),
    "ELU": nn.ELU,
    "SELU": nn.SELU,
}
