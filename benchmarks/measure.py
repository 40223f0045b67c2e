"""Time and memory of alternatives that run in turn in one process.

A busy machine slows all of them, so what counts is the ratio of two times that were measured one
after the other; the times themselves depend on the machine.
"""

import platform
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import torch
import torchvision
from scipy.stats import quantile_test
from torch.profiler import ProfilerActivity, profile

from convnets.experiments.running import commit_of
from convnets.models.speed import has_fast_bfloat16
from convnets.training import describe

Work = Callable[[], object]


def interleaved(works: dict[str, Work], rounds: int) -> dict[str, list[float]]:
    """Seconds of each work in each round, in an order that alternates from round to round.

    With one thread this is CPU time, which other processes disturb less; with several threads,
    which wait for each other, it is wall-clock time.
    """
    for work in works.values():
        work()
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for round_number in range(rounds):
        for name in list(works)[:: -1 if round_number % 2 else 1]:
            start = clock()
            works[name]()
            seconds[name].append(clock() - start)
    return seconds


def interval(values: list[float]) -> tuple[float, float]:
    """Where the median lies, with a confidence of 95 %; six values are needed at least."""
    found = quantile_test(values, p=0.5).confidence_interval(0.95)
    return found.low, found.high


def until_sure(
    works: dict[str, Work], width: float = 0.005, rounds: int = 20, limit: int = 400
) -> list[float]:
    """The time of the first work by that of the second, in each round.

    Args:
        works: two of them.
        width: half the interval of the median at which the measurement ends.
        rounds: between two looks at the interval.
        limit: the most rounds.
    """
    ratios: list[float] = []
    while len(ratios) < limit:
        ours, theirs = interleaved(works, rounds).values()
        ratios += [our / their for our, their in zip(ours, theirs, strict=True)]
        low, high = interval(ratios)
        if high - low <= 2 * width:
            break
    return ratios


def ratio(ours: list[float], theirs: list[float]) -> float:
    """Median over the rounds of our time divided by theirs."""
    return statistics.median(our / their for our, their in zip(ours, theirs, strict=True))


def peak_bytes(work: Work) -> int:
    """The most bytes of tensors that `work` holds at once, beyond those allocated before it."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        work()
    events = profiler.profiler.kineto_results.events()
    changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    held = highest = 0
    for _, change in changes:
        held += change
        highest = max(highest, held)
    return highest


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Let PyTorch use this many threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def machine() -> str:
    """Date, device, versions and commit, for the heading of a table."""
    fast = "with" if has_fast_bfloat16(torch.device("cpu")) else "without"
    return (
        f"{date.today().isoformat()}, {platform.machine()} "
        f"({torch.cpu.get_capabilities()['cpu_name']}, {fast} fast bfloat16), {describe()}, "
        f"torchvision {torchvision.__version__}, commit {commit_of(Path(__file__))}"
    )
