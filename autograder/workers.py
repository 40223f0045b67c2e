"""Processes that do jobs: on this machine, or on those of a Dask cluster."""

import logging
import os
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

from dask.distributed import Client, LocalCluster

from autograder.errors import CourseError

CONNECT_SECONDS = 20


@contextmanager
def workers(count: int | None = None, scheduler: str | None = None) -> Iterator[Executor]:
    """Workers that take what is submitted, each one job at a time.

    Args:
        count: on this machine; one for each core if `None`.
        scheduler: address of a Dask scheduler whose workers are used instead, "tcp://…".

    Raises:
        CourseError: there is no scheduler at this address.
    """
    for name in ("distributed", "distributed.worker", "distributed.nanny"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if scheduler is None:
        with (
            LocalCluster(
                n_workers=count or os.cpu_count(),
                threads_per_worker=1,
                dashboard_address="127.0.0.1:0",
                memory_limit=0,
                silence_logs=logging.CRITICAL,
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client.get_executor(pure=False)
        return
    try:
        client = Client(scheduler, timeout=CONNECT_SECONDS)
    except (OSError, ValueError, TimeoutError) as error:
        raise CourseError(
            f"No Dask scheduler answers at {scheduler} ({error}). "
            "Start one with `dask scheduler`, and workers with `dask worker --nthreads 1`."
        ) from None
    with client:
        yield client.get_executor(pure=False)
