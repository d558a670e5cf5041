"""Real workers for tests that look at a run while it is running."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path

import anndata
import psutil

from splicedvae.jobs import stop
from splicedvae.runs import Run, list_runs
from splicedvae.runs.worker import read_worker

#: Seconds after which something never happens.
NEVER = 300.0


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + NEVER
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.01)


def held_at_first_streams(run: Run) -> psutil.Process:
    """Let the worker go on until streams are there, and hold it there."""

    def there() -> bool:
        assert run.has_streams or not run.status.is_final, run.log_tail(30)
        return run.has_streams

    wait_until(there, "streams")
    worker = read_worker(run.path)
    assert worker is not None
    process = worker.process()
    assert process is not None
    process.suspend()
    assert run.status.state == "running"
    return process


def stop_all() -> None:
    """Stop the workers of all runs, readable ones and others."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        left = list_runs()
    for run in left:
        stop(run, timeout=1)


def write_totals(cells_file: Path, file: Path) -> Path:
    """Write the cells of a file without their S/U."""
    cells = anndata.read_h5ad(cells_file)
    bare = anndata.AnnData(X=cells.X, obs=cells.obs[["clusters"]].copy(), var=cells.var[[]])
    bare.write_h5ad(file)
    return file
