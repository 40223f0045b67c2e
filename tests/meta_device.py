"""A machine whose only accelerator is the meta device, which computes shapes but no numbers.

What fails here would make a GPU wait, or fail there: numbers that are read, and operations on
tensors of two devices. PyTorch itself refuses the first on the meta device, but only some of the
second: it multiplies by weights on the CPU, and indexes with numbers on the CPU, without a word.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from accelerate import PartialState
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from convnets import transfer
from convnets.training import device, engine, trainer

META = torch.device("meta")


class CrossingError(AssertionError):
    """A tensor passed between the CPU and the device outside of `convnets.transfer`."""


class _OneDevice(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        leaves = tree_leaves((args, kwargs, result))
        devices = {leaf.device.type for leaf in leaves if isinstance(leaf, Tensor)}
        if len(devices) > 1:
            raise CrossingError(f"{func} mixes tensors on {' and '.join(sorted(devices))}")
        return result


class _NoCopiedNumbers(TorchFunctionMode):
    """Refuses `torch.tensor(numbers, device=…)`, which copies them and waits."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if (
            func in (torch.tensor, torch.as_tensor, torch.asarray)
            and result.is_meta
            and result.numel()
        ):
            raise CrossingError(f"{func.__name__} copies numbers to the device")
        return result


@contextmanager
def crossings_refused() -> Iterator[None]:
    """Refuse all operations inside the block that involve two devices or read a number."""
    with _OneDevice(), _NoCopiedNumbers():
        yield


@contextmanager
def _allowed() -> Iterator[None]:
    """Allow crossings again: what the functions of `convnets.transfer` do."""
    with torch.utils._python_dispatch._disable_current_modes():
        yield


def to_device(values: Any, device: torch.device) -> Any:
    with _allowed():
        return values.to(device)


def to_cpu(tensor: Tensor) -> Tensor:
    """Ones in place of the numbers that the meta device does not have."""
    with _allowed():
        return torch.ones(tensor.shape, dtype=tensor.dtype)


@pytest.fixture
def refusing_trainer(meta_machine: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train on the meta device and refuse crossings in all epochs, steps and evaluations."""
    for name in ("train", "evaluate"):
        method = crossings_refused()(getattr(trainer.Trainer, name))
        monkeypatch.setattr(trainer.Trainer, name, method)


@pytest.fixture
def meta_machine(monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """Let training and analyses use the meta device, as they would use a GPU."""
    make_accelerator, make_generator = engine.make_accelerator, device.make_generator

    def on_meta(where: Any, precision: str | None) -> Any:
        accelerator = make_accelerator("cpu", "no")
        accelerator.state.device = PartialState().device = META
        return accelerator

    def no_generator(where: torch.device, seed: int) -> torch.Generator | None:
        return None if where.type == "meta" else make_generator(where, seed)

    monkeypatch.setattr(engine, "make_accelerator", on_meta)
    monkeypatch.setattr(trainer, "make_generator", no_generator)
    monkeypatch.setattr(transfer, "to_device", to_device)
    monkeypatch.setattr(transfer, "to_cpu", to_cpu)
    monkeypatch.setattr(device, "default_device", lambda: META)
    return META
