"""Processes that run jobs: on this machine, or on the machines of a Dask cluster."""

import logging
import multiprocessing
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import forkserver
from typing import Any

import dask
from dask.distributed import Client, LocalCluster

from autograder.errors import CourseError
from autograder.grading.job import Job, NotebookResult, versions

CONNECT_SECONDS = 20
# Sets of files that the workers hold at one time; most classes need one.
FILE_SETS = 8


class WorkerPool:
    """The worker processes of a Dask client; each runs one job at a time."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._executor = client.get_executor(pure=False)
        self._files: dict[frozenset[tuple[str, str]], Any] = {}

    def submit(self, job: Job) -> Future[NotebookResult]:
        """Have a worker run a job. Files that several jobs share cross the network once."""
        digests = frozenset(job.digests.items())
        if digests not in self._files:
            # This is a task rather than scattered data, so Dask repeats it if its worker is killed.
            self._files[digests] = self._client.submit(dict, job.files, pure=False)
            if len(self._files) > FILE_SETS:
                del self._files[next(iter(self._files))]
        future: Future[NotebookResult] = self._executor.submit(
            _run, replace(job, files={}), self._files[digests], versions()
        )
        return future


def _run(job: Job, files: Mapping[str, bytes], wanted: Mapping[str, str]) -> NotebookResult:
    from autograder.grading.run_job import run_job  # it imports PyTorch, so only in a worker

    if versions() != wanted:
        raise CourseError(
            f"This worker has {versions()}, but marks are recorded for {wanted}: install both from "
            "the same requirements.lock."
        )
    return run_job(replace(job, files=files))


@contextmanager
def worker_pool(count: int | None = None, scheduler: str | None = None) -> Iterator[WorkerPool]:
    """Start workers on this machine, or use those of a Dask cluster.

    Args:
        count: the number of workers on this machine; one for each core if `None`.
        scheduler: the address of a Dask scheduler whose workers are used instead, "tcp://…".

    Raises:
        CourseError: no scheduler answers at this address, or its workers have several threads.
    """
    for name in ("distributed", "distributed.worker", "distributed.nanny"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if scheduler is None:
        # PyTorch and the tests are imported by one process, from which the workers are forked.
        multiprocessing.set_forkserver_preload(["distributed", "autograder.grading.run_job"])
        forkserver.ensure_running()
        with (
            dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}),
            LocalCluster(
                n_workers=count or os.cpu_count(),
                threads_per_worker=1,
                dashboard_address="127.0.0.1:0",
                memory_limit=0,
                silence_logs=logging.CRITICAL,
            ) as cluster,
            Client(cluster) as client,
        ):
            yield WorkerPool(client)
        return
    try:
        client = Client(scheduler, timeout=CONNECT_SECONDS)
    except (OSError, ValueError, TimeoutError) as error:
        raise CourseError(
            f"No Dask scheduler answers at {scheduler} ({error}). "
            "Start one with `dask scheduler`, and workers with `dask worker --nthreads 1`."
        ) from None
    with client:
        threads = [
            one["nthreads"] for one in client.scheduler_info(n_workers=-1)["workers"].values()
        ]
        if set(threads) != {1}:
            raise CourseError(
                f"The workers at {scheduler} have {threads or 'no'} threads; each needs one. Start "
                "them with `dask worker --nworkers -1 --nthreads 1`."
            )
        yield WorkerPool(client)
