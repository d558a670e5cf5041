"""What an operator allows on a server: how many runs, how much disk, how much memory.

Each limit is an environment variable; docs/operations.md explains them. A limit that is not set
does not exist, but for the number of trainings at once and of those that wait.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from splicedvae._core.errors import RunError, SplicedVAEError
from splicedvae.runs.edit import delete
from splicedvae.runs.find import all_runs
from splicedvae.runs.run import Run

PARALLEL: Final = "SPLICEDVAE_PARALLEL_RUNS"
WAITING: Final = "SPLICEDVAE_MAX_WAITING"
RUNS: Final = "SPLICEDVAE_MAX_RUNS"
DISK: Final = "SPLICEDVAE_MAX_DISK_GB"
FREE: Final = "SPLICEDVAE_MIN_FREE_GB"
MEMORY: Final = "SPLICEDVAE_RUN_MEMORY_GB"
KEEP: Final = "SPLICEDVAE_KEEP_DAYS"

#: A training takes up to so many cores.
_CORES_OF_A_RUN: Final = 8
_WAITING: Final = 20
_DAY: Final = 86_400.0


@dataclass(frozen=True)
class Limits:
    """What is allowed.

    Attributes
    ----------
    parallel
        Trainings that work at once; the others wait in a queue.
    waiting
        Trainings that may wait.
    runs
        Runs that are kept, damaged ones included; None for any number.
    disk
        Bytes that all runs and uploads may take; None for any number.
    free
        Bytes of the disk that a new run must leave free.
    memory
        Bytes of memory that a run may take; None for any number.
    keep
        Seconds after which a run at rest is removed; None keeps all.
    """

    parallel: int = 1
    waiting: int = _WAITING
    runs: int | None = None
    disk: float | None = None
    free: float = 0.0
    memory: float | None = None
    keep: float | None = None

    @classmethod
    def of_environment(cls) -> Self:
        """Read the limits.

        Raises
        ------
        RunError
            If a variable holds no number above 0.
        """
        most = max(1, (os.cpu_count() or 1) // _CORES_OF_A_RUN)
        return cls(
            parallel=int(_number(PARALLEL, 1) or most),
            waiting=_WAITING if (waiting := _number(WAITING, 0)) is None else int(waiting),
            runs=_whole(RUNS),
            disk=_times(DISK, 1e9),
            free=_times(FREE, 1e9) or 0.0,
            memory=_times(MEMORY, 1e9),
            keep=_times(KEEP, _DAY),
        )


def _number(variable: str, least: float) -> float | None:
    text = os.environ.get(variable, "").strip()
    if not text:
        return None
    with contextlib.suppress(ValueError):
        value = float(text)
        if least <= value < 2**40:
            return value
    raise RunError(
        f"The setting {variable} is {text[:40]!r}, expected a number of at least {least:g}: "
        "correct it, or leave it out."
    )


def _whole(variable: str) -> int | None:
    value = _number(variable, 1)
    return None if value is None else int(value)


def _times(variable: str, unit: float) -> float | None:
    value = _number(variable, 0)
    return None if value is None else value * unit


def need_space(folder: Path, waiting: int) -> None:
    """Refuse a new run that a limit does not allow.

    Parameters
    ----------
    folder
        The folder of runs.
    waiting
        Trainings that wait already.

    Raises
    ------
    RunError
        If a limit is reached.
    """
    limits = Limits.of_environment()
    if waiting >= limits.waiting:
        raise RunError(
            f"{waiting:,} trainings are waiting, the most that this server allows: wait until one "
            "has begun, or stop one."
        )
    if limits.runs is not None:
        readable, damaged = all_runs()
        found = len(readable) + len(damaged)
        if found >= limits.runs:
            raise RunError(
                f"There are {found:,} runs, the most that this server keeps: delete some, then "
                "start this one."
            )
    if limits.disk is not None:
        taken = size_of(folder)
        if taken >= limits.disk:
            raise RunError(
                f"Runs and files take {taken / 1e9:,.1f} GB, and this server allows "
                f"{limits.disk / 1e9:,.1f} GB: delete runs or files, then start this one."
            )
    left = shutil.disk_usage(folder).free
    if left < limits.free:
        raise RunError(
            f"The disk has {left / 1e9:,.1f} GB left, and this server needs "
            f"{limits.free / 1e9:,.1f} GB for a new run: delete runs or files, then start this one."
        )


def size_of(folder: Path) -> int:
    """Return the bytes of all files in a folder.

    Parameters
    ----------
    folder
        The folder; a worker may change it meanwhile.
    """
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_size
    return total


def limit_memory() -> None:
    """Hold this process to the memory that a run may take, where the system can do so."""
    memory = Limits.of_environment().memory
    if memory is None or sys.platform != "linux":
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = int(memory) if hard == resource.RLIM_INFINITY else min(int(memory), hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def clean(
    older_than: float, *, dry_run: bool = False, clock: Callable[[], float] = time.time
) -> list[Run]:
    """Remove runs that came to rest long ago.

    Parameters
    ----------
    older_than
        Seconds since their last status.
    dry_run
        Whether to name them alone.
    clock
        Seconds since 1970.

    Returns
    -------
    The runs that were removed, or would be; those that cannot be removed are left out.
    """
    old = []
    for run in all_runs()[0]:
        status = run.status
        if status.is_final and 0 < max(status.updated, run.created) < clock() - older_than:
            if not dry_run:
                try:
                    delete(run)
                except SplicedVAEError:
                    # It was resumed meanwhile, or the folder is read-only: it stays, and is listed.
                    continue
            old.append(run)
    return old
