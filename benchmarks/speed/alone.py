"""Calls in a process of their own, so that no measurement warms up or burdens the next one."""

from __future__ import annotations

import importlib
import json
import logging
import os
import resource
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import psutil

from splicedvae.jobs.control import SPIN_COUNT

REPOSITORY = Path(__file__).resolve().parents[2]
#: A process is ended when the machine has less memory left than this, in bytes.
LEAST_MEMORY = 1.5e9


class StoppedError(Exception):
    """A measurement that took too long, or too much memory."""


def alone(function: Any, *arguments: Any, seconds: float | None = None) -> Any:
    """Call a function in a new interpreter.

    Parameters
    ----------
    function
        A function of a module of this package.
    arguments
        Its arguments: what JSON can hold, and paths, which arrive as text.
    seconds
        The process is ended after so long; None waits for its end.

    Returns
    -------
    What the function gave, through JSON.

    Raises
    ------
    StoppedError
        If it took longer, or the memory of the machine came to its end.
    RuntimeError
        If it failed.
    """
    words = json.dumps([function.__module__, function.__name__, arguments], default=str)
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.speed.alone", words],
        cwd=REPOSITORY,
        # As the worker of a run has it: other work on the machine disturbs threads less.
        env={"GOMP_SPINCOUNT": SPIN_COUNT, **os.environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    start = time.perf_counter()
    while True:
        try:
            given, errors = process.communicate(timeout=0.5)
            break
        except subprocess.TimeoutExpired:
            spent = time.perf_counter() - start
            if seconds is not None and spent > seconds:
                reason = f"stopped after {seconds:.0f} s"
            elif psutil.virtual_memory().available < LEAST_MEMORY:
                reason = "stopped: memory"
            else:
                continue
            process.kill()
            process.communicate()
            raise StoppedError(reason) from None
    if process.returncode:
        raise RuntimeError(errors[-4000:])
    return json.loads(given.splitlines()[-1])


def forget_peak() -> None:
    """Let `peak` count from now on, where the system can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak() -> float:
    """Peak resident memory of this process, in GB."""
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage would count what the parent had before this program was loaded.
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024 / 1e9
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / (1e9 if sys.platform == "darwin" else 1e6)


def quiet() -> None:
    """Hold back what libraries warn of and log."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)


def threads() -> int:
    """Cores that this process may use, at most two, so that machines can be compared."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(2, cores or 1)


if __name__ == "__main__":
    quiet()
    module, name, given = json.loads(sys.argv[1])
    print("\n" + json.dumps(getattr(importlib.import_module(module), name)(*given)))
