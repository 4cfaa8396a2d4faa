"""All people and seeds of a study, on local cores or a Dask cluster; interrupted and continued at will."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, TypeVar

from biotrain.evaluate.job import Job, identity, read_result, run_job
from biotrain.evaluate.settings import StudySettings
from biotrain.evaluate.stream_job import needs_two_sessions
from device_agent.sources.dataset import Dataset
from schemas.errors import UserError

T = TypeVar("T")
_ANSWER_TIMEOUT_S = 10.0
"""For a Dask scheduler."""
OnDone = Callable[[int, int, str], None]
"""Jobs done, jobs in all, and the name of the one that has ended."""


def make_jobs(
    dataset: Dataset,
    settings: Sequence[StudySettings],
    subjects: Sequence[str],
    seeds: Sequence[int],
    modes: Sequence[str],
    results: Path,
    cache: Path,
) -> list[Job]:
    """Those of one seed stand together: a study that is cut short has whole seeds. Raises UserError."""
    for subject in subjects:
        dataset.sessions(subject)
        if any(chosen.study == "longitudinal" for chosen in settings):
            needs_two_sessions(dataset, subject)
    place = dataset.place.resolve()
    return [
        Job(place, subject, seed, tuple(modes), chosen, results, cache)
        for chosen in settings
        for seed in seeds
        for subject in subjects
    ]


def run_study(
    jobs: Sequence[Job], *, workers: int = 1, scheduler: str | None = None, on_done: OnDone = lambda n, of, name: None
) -> None:
    """Returns when every job has its results. Raises what a job raised."""
    run_jobs(
        run_job,
        jobs,
        lambda job: f"{job.settings.study} {job.subject} seed {job.seed}",
        workers=workers,
        scheduler=scheduler,
        on_done=on_done,
    )


def collect(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """The results of all jobs and modes, those that are missing left out."""
    found = []
    for job in jobs:
        key = identity(job)
        found += [result for mode in job.modes if (result := read_result(job.path(mode), key)) is not None]
    return found


def run_jobs(
    work: Callable[[T], object],
    jobs: Sequence[T],
    name: Callable[[T], str],
    *,
    workers: int = 1,
    scheduler: str | None = None,
    on_done: OnDone = lambda n, of, name: None,
) -> None:
    """Any kind of job; otherwise as `run_study`."""
    for done, job in enumerate(_map(work, jobs, workers, scheduler), 1):
        on_done(done, len(jobs), name(job))


def _map(work: Callable[[T], object], jobs: Sequence[T], workers: int, scheduler: str | None) -> Iterator[T]:
    """Each job as it ends."""
    if scheduler is not None:
        yield from _on_cluster(work, jobs, scheduler)
    elif workers <= 1:
        for job in jobs:
            work(job)
            yield job
    else:
        # spawned: a fork would copy torch's threads in whatever state they are
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context, initializer=_one_thread) as pool:
            futures: dict[Future[object], T] = {pool.submit(work, job): job for job in jobs}
            try:
                yield from _ended(futures, as_completed(futures))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def _on_cluster(work: Callable[[T], object], jobs: Sequence[T], scheduler: str) -> Iterator[T]:
    try:
        import distributed
    except ModuleNotFoundError:
        raise UserError("--scheduler needs Dask, which is not installed: pip install 'biotrain[dask]'") from None
    try:
        client = distributed.Client(scheduler, timeout=_ANSWER_TIMEOUT_S)
    except (OSError, ValueError, TimeoutError) as error:
        raise UserError(f"--scheduler {scheduler}: no Dask scheduler answers there ({error})") from None
    with client:
        futures = {client.submit(work, job, pure=False): job for job in jobs}
        try:
            yield from _ended(futures, distributed.as_completed(futures))
        except BaseException:
            client.cancel(list(futures))
            raise


def _ended(futures: dict[Any, T], as_they_end: Iterable[Any]) -> Iterator[T]:
    for future in as_they_end:
        future.result()
        yield futures[future]


def _one_thread() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"


def default_workers() -> int:
    """One for each core that this process may use."""
    return max(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 1)
