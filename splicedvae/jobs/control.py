"""Starting, stopping and resuming runs.

A run has its own process, in its own session: it survives the page, the
tab and the server, and a signal to its group reaches whatever it started.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Final

import psutil

from splicedvae._core.errors import RunError
from splicedvae._core.files import sweep
from splicedvae.jobs import queue
from splicedvae.jobs.limits import need_space
from splicedvae.runs import files
from splicedvae.runs.answering import open_models
from splicedvae.runs.config import RunConfig
from splicedvae.runs.edit import clean_name, prepare_folder, remove_folder
from splicedvae.runs.find import DEMO, list_runs, runs_folder
from splicedvae.runs.lock import locked
from splicedvae.runs.run import UNFINISHED, Run, resumable
from splicedvae.runs.status import FINAL, Status, current_status, read_status, write_status
from splicedvae.runs.worker import read_worker, write_worker

#: How often a waiting thread of OpenMP looks before it sleeps. By default it looks for
#: milliseconds, and where other work takes a core, small matrix products take many times as long.
#: This costs a training on an idle machine a twelfth of its time; sleeping at once costs it half.
SPIN_COUNT: Final = "1000"


def start(config: RunConfig, *, name: str | None = None) -> Run:
    """Start a run in its own process, and return at once.

    Parameters
    ----------
    config
        What to do. A run of the same id that waits, works or has finished is returned as it is;
        one that failed, was stopped or was lost is restarted.
    name
        Display name; None takes the configuration's.

    Returns
    -------
    The run. Its `status` shows the progress.

    Raises
    ------
    RunError
        If the data file, or the run whose model is asked, is not there, a limit of the server is
        reached, or the folder of runs cannot be written to.
    """
    if name is not None:
        config = dataclasses.replace(config, name=clean_name(name))
    config = dataclasses.replace(config, data=str(Path(config.data).absolute()))
    if not Path(config.data).exists():
        raise RunError("The data file of the run is no longer there: upload or choose it again.")
    if config.model_run is not None:
        config = dataclasses.replace(config, model_run=_ready_to_answer(config.model_run))
    folder = runs_folder() / config.digest()
    with locked(runs_folder(), "the run was not started"):
        if folder.exists() and not _may_begin_anew(folder):
            return Run(folder)
        need_space(runs_folder(), queue.length(runs_folder()) if config.kind == "train" else 0)
        fresh = folder.with_name(f".new-{uuid.uuid4().hex[:8]}")
        fresh.mkdir()
        prepare_folder(fresh, config)
        if folder.exists():
            _keep_note(folder, fresh)
            remove_folder(folder)
        fresh.rename(folder)
        _begin(folder, config)
    return Run(folder)


def _ready_to_answer(name: str) -> str:
    """Return a reference to models that a worker finds, or refuse those that are not ready."""
    found = open_models(name)
    if found.run is None:
        return found.reference
    if not found.run.is_finished:
        raise RunError(
            f"The run {found.name!r} is {found.run.status.state}, so it has no model to ask: wait "
            "until it is finished, or choose another."
        )
    if found.run.path.parent != runs_folder() and name != DEMO:
        return str(found.run.path.absolute())
    return name


def _keep_note(old: Path, new: Path) -> None:
    """Keep a person's note when a run is restarted."""
    with contextlib.suppress(FileNotFoundError):
        shutil.copyfile(old / files.ANNOTATION, new / files.ANNOTATION)


def resume(run: Run) -> Run:
    """Resume an unfinished run from its last checkpoint.

    Parameters
    ----------
    run
        A run that was stopped, lost or failed. One that waits or works is returned as it is.

    Returns
    -------
    The run, in its own process. Trainings that were finished are not repeated.

    Raises
    ------
    RunError
        If it is finished, nothing of it was kept, the code or a package that trains has
        changed since, or the data file is not there any more.
    """
    with locked(run.path.parent, "the run was not resumed"):
        if not run.status.is_final:
            return run
        ready_to_resume(run)
        _begin(run.path, run.config)
    return Run(run.path)


def ready_to_resume(run: Run) -> None:
    """Set a run's status so that a worker takes it up again.

    Parameters
    ----------
    run
        The run.

    Raises
    ------
    RunError
        As for `resume`; also if the run waits or works.
    """
    status = run.status
    record, reason = resumable(run)
    if record is None:
        if reason:
            raise RunError(reason)
        if status.state in UNFINISHED:
            raise RunError(f"The run {run.name!r} has no checkpoint to resume from: restart it.")
        raise RunError(
            f"The run {run.name!r} is {status.state}, and only a stopped, failed or lost "
            "run can be resumed: choose such a run, or start a new one."
        )
    if not Path(run.config.data).exists():
        raise RunError("The data file of the run is no longer there: upload or choose it again.")
    write_status(
        run.path,
        Status(stage=status.stage, fraction=status.fraction, updated=time.time()),
    )


def _may_begin_anew(folder: Path) -> bool:
    try:
        return Run(folder).status.state in UNFINISHED
    except RunError:
        # Not readable: nothing in it can be kept.
        return True


def _begin(folder: Path, config: RunConfig) -> None:
    """Start the worker of a run; a training gets a place in the queue."""
    if config.kind == "train" and folder.parent == runs_folder():
        queue.enter(folder)
    write_worker(folder, _spawn(folder).pid)


def _spawn(folder: Path) -> subprocess.Popen[bytes]:
    """Start the worker of a run, and a thread that waits for it so that no zombie is left."""
    with (folder / files.LOG).open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "splicedvae.pipeline.worker", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=folder,
            env=environment(),
        )
    threading.Thread(target=process.wait, name=f"wait-{process.pid}", daemon=True).start()
    return process


def environment() -> dict[str, str]:
    """Return the environment of a process that computes: this package, and as many threads."""
    package_parent = str(Path(__file__).parents[2])
    paths = [package_parent, *filter(None, [os.environ.get("PYTHONPATH")])]
    given = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        given.setdefault(variable, str(available_threads()))
    given.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    return given


def available_threads() -> int:
    """Return how many threads a run takes: those it may use, at most 8.

    Matrices of one step are small; more threads wait for each other.
    """
    named = os.environ.get("OMP_NUM_THREADS", "")
    if named.isdecimal() and int(named) > 0:
        return int(named)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(cores or 1, 8))


def stop(run: Run, timeout: float = 10.0) -> Status:
    """Stop a run: ask its process group to end, and end it if it does not.

    Parameters
    ----------
    run
        The run. One that is at rest is left as it is.
    timeout
        Seconds to wait between asking and ending.

    Returns
    -------
    The status afterwards: ``"stopped"``, or the state that the run reached by itself.
    """
    with locked(run.path.parent, "the run was not stopped"):
        # start() notes its worker under the same lock.
        worker = read_worker(run.path)
    if _written_state(run.path) in FINAL:
        return run.status
    process = worker.process() if worker is not None else None
    if process is not None:
        _signal(process, signal.SIGTERM)
        try:
            process.wait(timeout)
        except psutil.TimeoutExpired:
            _signal(process, getattr(signal, "SIGKILL", signal.SIGTERM))
            with contextlib.suppress(psutil.TimeoutExpired):
                process.wait(5)
    status = run.status
    if status.state == "lost" or not status.is_final:
        status = dataclasses.replace(
            status,
            state="stopped",
            message="Stopped before it was finished.",
            seconds_left=None,
            updated=time.time(),
        )
        write_status(run.path, status)
    return status


def _signal(process: psutil.Process, number: int) -> None:
    """Signal a worker's group; a worker without its own group is signaled alone."""
    try:
        if hasattr(os, "killpg") and os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
    except (ProcessLookupError, psutil.NoSuchProcess):
        # It ended by itself in the meantime, as requested.
        return


def reconcile() -> list[Run]:
    """Find runs marked as running whose process is gone, and mark them as lost.

    Called when a server starts. Also removes what an interrupted start or delete left behind.

    Returns
    -------
    The runs that were found lost.
    """
    found: list[Run] = []
    if not runs_folder().is_dir():
        return found
    with locked(runs_folder(), "lost runs were not marked"):
        for leftover in runs_folder().glob(".*-*"):
            if leftover.name.startswith((".new-", ".trash-")):
                shutil.rmtree(leftover, ignore_errors=True)
        for run in list_runs():
            status = current_status(run.path)
            if status.is_final and _written_state(run.path) != status.state:
                write_status(run.path, status)
                sweep(run.path)
                if status.state == "lost":
                    found.append(run)
    return found


def _written_state(folder: Path) -> str:
    """Return the state that a run's file has, empty if it cannot be read."""
    try:
        return read_status(folder).state
    except RunError:
        return ""
