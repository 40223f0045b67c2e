"""The device of this machine, and the budget of an experiment that suits it."""

import platform
from typing import TypeVar

import torch

T = TypeVar("T")


def default_device() -> torch.device:
    """The GPU if there is one, otherwise the CPU.

    Example:
        >>> default_device().type in ("cpu", "cuda", "mps")
        True
    """
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def resolve_device(device: torch.device | str | None) -> torch.device:
    """The device that is asked for, or `default_device` for `None`.

    Raises:
        ValueError: there is no such device on this machine.

    Example:
        >>> resolve_device("cpu")
        device(type='cpu')
    """
    if device is None:
        return default_device()
    try:
        target = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"unknown device {device!r}; choose cpu or cuda (--device)") from error
    if target.type == "cpu":
        return target
    present = torch.accelerator.current_accelerator(check_available=True)
    if present is None or present.type != target.type:
        usable = "cpu" if present is None else f"cpu or {present.type}"
        raise ValueError(
            f"PyTorch finds no device {str(target)!r} on this machine; choose {usable} (--device), "
            "or omit the option"
        )
    number = torch.accelerator.device_count()
    if target.index is not None and target.index >= number:
        raise ValueError(
            f"there is no device {str(target)!r}: this machine has {number} of this kind, numbered "
            "from 0"
        )
    return target


def choose(*, cpu: T, gpu: T) -> T:
    """The value for this machine: `gpu` if it has a GPU, otherwise `cpu`.

    Example:
        >>> seeds = choose(cpu=2, gpu=5)
        >>> seeds == (5 if torch.cuda.is_available() else 2)
        True
    """
    return gpu if default_device().type == "cuda" else cpu


def describe() -> str:
    """One line about this machine, to print next to a measurement.

    Example:
        >>> torch.__version__ in describe()
        True
    """
    device, threads = default_device(), torch.get_num_threads()
    name = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"CPU, {threads} thread{'s' if threads > 1 else ''}"
    )
    return f"{name}; PyTorch {torch.__version__}; Python {platform.python_version()}"
