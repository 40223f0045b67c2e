"""The device of this machine, and the budget of an experiment that suits it."""

import multiprocessing
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

from convnets.tables import counted

T = TypeVar("T")
CUBLAS_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
"""With fixed workspaces, cuBLAS computes the same bits each time; PyTorch asks for this setting."""


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


@contextmanager
def algorithms(deterministic: bool) -> Iterator[None]:
    """Choose how operations are computed inside the block; afterwards the settings are as before.

    Without `deterministic`, cuDNN tries its algorithms on the first batch and keeps the fastest.

    Args:
        deterministic: use algorithms that give the same bits in each run, even if they are slower.
            An operation that has none on this device raises a `RuntimeError` with its name.
    """
    before = torch.get_deterministic_debug_mode(), torch.backends.cudnn.benchmark
    workspace = os.environ.get(CUBLAS_WORKSPACE)
    if deterministic:
        torch.use_deterministic_algorithms(True)
        os.environ.setdefault(CUBLAS_WORKSPACE, ":4096:8")
    torch.backends.cudnn.benchmark = not torch.are_deterministic_algorithms_enabled()
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(before[0])
        torch.backends.cudnn.benchmark = before[1]
        if workspace is None:
            os.environ.pop(CUBLAS_WORKSPACE, None)


def cpus_of_this_process() -> int:
    """CPUs that this process may use: its share of those that are allowed to it and its siblings.

    `torchrun` and `accelerate launch` say how many processes they start on a machine.
    """
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
    cpus = len(allowed) or os.cpu_count() or 1
    return max(1, cpus // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def default_workers() -> int:
    """One process for each CPU where Python forks them.

    Elsewhere none, because a script would have to be written with them in mind.
    """
    return cpus_of_this_process() if multiprocessing.get_start_method() == "fork" else 0


def seed_default_generator(device: torch.device, seed: int) -> None:
    """Start the random numbers that layers such as dropout draw on `device` from `seed`.

    For the CPU, this takes a hundredth of the time of `torch.manual_seed`, which seeds all devices.
    """
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


def make_generator(device: torch.device, seed: int) -> torch.Generator:
    """A generator of random numbers on `device` that starts from `seed`."""
    return torch.Generator(device).manual_seed(seed)


def describe(device: torch.device | str | None = None) -> str:
    """One line about this machine, to print next to a measurement.

    Args:
        device: that was measured; the GPU if there is one, otherwise the CPU.

    Example:
        >>> describe("cpu").startswith("CPU, ") and torch.__version__ in describe("cpu")
        True
    """
    target = default_device() if device is None else torch.device(device)
    name = (
        torch.cuda.get_device_name(target)
        if target.type == "cuda"
        else f"{target.type.upper()}, {counted(torch.get_num_threads(), 'thread')}"
    )
    return f"{name}; PyTorch {torch.__version__}; Python {platform.python_version()}"
