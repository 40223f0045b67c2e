"""Initialisations: functions that a network calls once, at the end of its `__init__`."""

import torch
from torch import nn


def init_he_normal_(net: nn.Module) -> None:
    """Initialise a network with ReLUs in place (He et al., 2015, equation 14).

    Convolutions get weights from N(0, 2 / fan_out), where fan_out is the number of outputs, all in
    the same group, to which one input contributes. Batch norms get scale 1, and fully connected
    layers weights from N(0, 0.01^2). All biases and shifts are 0.

    Example:
        >>> conv = nn.Conv2d(64, 128, kernel_size=3)
        >>> init_he_normal_(conv)
        >>> fan_out = 128 * 3 * 3
        >>> abs(conv.weight.std().item() * (fan_out / 2) ** 0.5 - 1) < 0.05
        True
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            with torch.no_grad():  # PyTorch counts the outputs of all groups
                module.weight.mul_(module.groups**0.5)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
        if isinstance(module, (nn.Conv2d, nn.BatchNorm2d, nn.Linear)) and module.bias is not None:
            nn.init.zeros_(module.bias)


def init_normal_(net: nn.Module, std: float = 0.01) -> None:
    """Set weights to N(0, std^2) and biases to 0 in place, as was usual before 2015.

    Example:
        >>> layer = nn.Linear(200, 100)
        >>> init_normal_(layer, std=0.01)
        >>> abs(layer.weight.std().item() - 0.01) < 0.001, layer.bias.abs().max().item()
        (True, 0.0)
    """
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.normal_(module.weight, std=std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
