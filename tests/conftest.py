"""What all tests share."""

import gc
from functools import cache

import pytest
import torch

import convnets
from convnets.analysis import Trace, trace
from convnets.layers import ImageClassifier
from tests.meta_device import meta_machine, refusing_trainer  # noqa: F401  fixtures


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Every test starts from the same random numbers."""
    torch.manual_seed(0)


def on_meta(name: str) -> ImageClassifier:
    """The network as published, without numbers."""
    with torch.device("meta"):
        return convnets.create_model(name)


def pytest_collection_finish() -> None:
    """Spare the garbage collector what was imported: it would search it again and again."""
    gc.freeze()


@cache
def traced(name: str) -> Trace:
    """Its layers at the input size of its card, traced once in each test process."""
    return trace(on_meta(name))


HEAVY_FAMILIES = {"vgg11", "inception_v4", "se_googlenet", "zfnet_paper"}
"""The lightest networks of families in which even these take seconds in most tests."""


def lightest_of_each_family() -> list[str]:
    """One network of each family, the one with the fewest MACs."""
    lightest: dict[str, str] = {}
    for name in sorted(convnets.list_models(), key=lambda name: convnets.card(name).macs):
        lightest.setdefault(convnets.card(name).family, name)
    return list(lightest.values())


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group tests that share an expensive fixture, trace or ledger, and mark repetitions.

    Without a GPU, the tests for one run on the CPU, in the sweep.

    A test that takes a network's name is slow for all but the lightest of each family, and for
    those of `HEAVY_FAMILIES`; one that is marked slow already is a sweep for them. Slow are also
    tests of a shared fixture or the ledger, and the examples in docstrings.
    """
    names = set(convnets.list_models())
    heavier = names - set(lightest_of_each_family()) | HEAVY_FAMILIES
    for item in items:
        if isinstance(item, pytest.DoctestItem):
            item.add_marker("slow")
        for fixture in ("graded", "bundle"):
            if fixture in item.fixturenames:
                item.add_marker(pytest.mark.xdist_group(fixture))
                item.add_marker("slow")
        if "/lecture/" in item.nodeid or "ledger" in item.name:
            item.add_marker(pytest.mark.xdist_group("ledger"))
            item.add_marker("slow")
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker("sweep")
        parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
        networks = {value for value in parameters if isinstance(value, str)} & names
        if len(networks) == 1:
            item.add_marker(pytest.mark.xdist_group(*networks))
        if networks & heavier:
            item.add_marker("sweep" if item.get_closest_marker("slow") else "slow")
