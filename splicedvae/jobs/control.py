"""Starting, finding, stopping and clearing away runs.

A run is worked on by a process of its own, in a session of its own: it survives the page, the
tab and the server, and a signal to its group reaches whatever it started.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
import warnings
from pathlib import Path
from typing import Final

import platformdirs
import psutil

from splicedvae._core.errors import RunError
from splicedvae.runs import files
from splicedvae.runs.checkpoint import Record, newest
from splicedvae.runs.config import FORMAT, RunConfig
from splicedvae.runs.lock import locked
from splicedvae.runs.run import Run, lost
from splicedvae.runs.status import (
    Status,
    is_lost,
    read_status,
    read_worker,
    write_status,
    write_worker,
)

#: Environment variable that names the folder of runs.
RUNS_VARIABLE: Final = "SPLICEDVAE_RUNS"

#: Name by which the shipped run is asked for.
DEMO: Final = "demo"

_ID: Final = re.compile(r"[0-9a-f]{16}")
_NAME_LENGTH: Final = 120
#: Most characters of a person's note on a run.
NOTE_LENGTH: Final = 2000
#: How often a waiting thread of OpenMP looks before it sleeps. By default it looks for
#: milliseconds, and where other work takes a core, small matrix products take many times as long.
#: This costs a training on an idle machine a twelfth of its time; sleeping at once costs it half.
SPIN_COUNT: Final = "1000"
#: States of a run that came to rest before its end.
_UNFINISHED: Final = ("failed", "stopped", "lost")


def runs_folder() -> Path:
    """Return the folder that holds the runs of this user.

    Returns
    -------
    What the environment variable ``SPLICEDVAE_RUNS`` names, else the system's place for a
    user's data. It may not exist yet.
    """
    named = os.environ.get(RUNS_VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    return platformdirs.user_data_path("splicedvae", appauthor=False) / "runs"


def demo_run() -> Run:
    """Return the finished run that is shipped with the package; it is read-only.

    Raises
    ------
    RunError
        If the package was built without it.
    """
    folder = Path(__file__).parents[1] / "demo"
    if not (folder / files.CONFIG).is_file():
        raise RunError(
            "The demo run is not in this installation: make it with `splicedvae demo --out FOLDER`."
        )
    return Run(folder)


def find_run(run_id: str) -> Run:
    """Return the run of an id, which may come from a URL.

    Parameters
    ----------
    run_id
        16 hexadecimal digits, or ``"demo"``.

    Raises
    ------
    RunError
        If it is no id, or there is no such run.
    """
    if run_id == DEMO:
        return demo_run()
    if not _ID.fullmatch(run_id) or not (runs_folder() / run_id).is_dir():
        raise RunError(
            f"There is no run {run_id[:40]!r}: choose one from the list of runs, or start it."
        )
    return Run(runs_folder() / run_id)


def open_run(name: str | Path) -> Run:
    """Return the run of a folder, of an id, or the demo.

    Parameters
    ----------
    name
        A run folder; or an id, or ``"demo"``, if there is no such folder here.

    Raises
    ------
    RunError
        If there is no such run.
    """
    if (Path(name) / files.CONFIG).is_file():
        return Run(name)
    if Path(name).exists():
        raise RunError(
            f"{Path(name).name!r} is no run folder, it has no {files.CONFIG}: name a folder made "
            "by `splicedvae train`."
        )
    return find_run(str(name))


def prepare_folder(folder: Path, config: RunConfig) -> None:
    """Write configuration and first status of a run into an existing, empty folder."""
    files.write_json(
        folder / files.CONFIG,
        {
            "format": FORMAT,
            "id": config.digest(),
            "created": time.time(),
            "config": config.to_dict(),
        },
    )
    write_status(folder, Status(updated=time.time()))


def start(config: RunConfig, *, name: str | None = None) -> Run:
    """Have a run worked on by a process of its own, and return at once.

    Parameters
    ----------
    config
        What to do. A run of the same id that waits, works or has finished is returned as it is;
        one that failed, was stopped or was lost is begun anew.
    name
        Display name; None takes the configuration's.

    Returns
    -------
    The run. Its `status` tells how far it is.

    Raises
    ------
    RunError
        If the data file, or the run whose model is asked, is not there.
    """
    if name is not None:
        config = dataclasses.replace(config, name=_clean_name(name))
    config = dataclasses.replace(config, data=str(Path(config.data).absolute()))
    if not Path(config.data).exists():
        raise RunError("The data file of the run is not there any more: upload or choose it again.")
    if config.model_run is not None:
        model_run = open_run(config.model_run)
        if not model_run.is_finished:
            raise RunError(
                f"The run {model_run.name!r} is {model_run.status.state}, so it has no model to "
                "ask: wait until it is finished, or choose another."
            )
        if model_run.path.parent != runs_folder() and config.model_run != DEMO:
            config = dataclasses.replace(config, model_run=str(model_run.path.absolute()))
    folder = runs_folder() / config.digest()
    with locked(runs_folder()):
        if folder.exists() and not _may_begin_anew(folder):
            return Run(folder)
        fresh = folder.with_name(f".new-{uuid.uuid4().hex[:8]}")
        fresh.mkdir()
        prepare_folder(fresh, config)
        if folder.exists():
            _keep_note(folder, fresh)
            _remove(folder)
        fresh.rename(folder)
        process = _spawn(folder)
        write_worker(folder, process.pid)
    return Run(folder)


def _keep_note(old: Path, new: Path) -> None:
    """Bring a person's note along when a run is begun anew."""
    with contextlib.suppress(FileNotFoundError):
        shutil.copyfile(old / files.ANNOTATION, new / files.ANNOTATION)


def resume(run: Run) -> Run:
    """Have a run that came to rest before its end go on from where its training was kept.

    Parameters
    ----------
    run
        A run that was stopped, lost or failed. One that waits or works is returned as it is.

    Returns
    -------
    The run, worked on by a process of its own. Trainings that were finished are not repeated.

    Raises
    ------
    RunError
        If it is finished, nothing of it was kept, the code or a package that trains has
        changed since, or the data file is not there any more.
    """
    with locked(run.path.parent):
        if not run.status.is_final:
            return run
        ready_to_resume(run)
        process = _spawn(run.path)
        write_worker(run.path, process.pid)
    return Run(run.path)


def resumable(run: Run) -> tuple[Record | None, str]:
    """Say whether a run could go on, and from where.

    Parameters
    ----------
    run
        Any run.

    Returns
    -------
    record
        How far its training was kept; None if the run cannot go on.
    reason
        Why it cannot although something was kept; empty otherwise.
    """
    if run.status.state not in _UNFINISHED:
        return None, ""
    try:
        record = newest(run.path)
        refusal = None if record is None else record.refusal(run.config)
    except RunError as error:
        return None, str(error)
    return (record, "") if refusal is None else (None, refusal)


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
        if status.state in _UNFINISHED:
            raise RunError(
                f"Nothing of the run {run.name!r} was kept that it could go on from: start it "
                "again."
            )
        raise RunError(
            f"The run {run.name!r} is {status.state}, and only a run that was stopped, failed or "
            "lost can go on: choose such a run, or start a new one."
        )
    if not Path(run.config.data).exists():
        raise RunError("The data file of the run is not there any more: upload or choose it again.")
    write_status(
        run.path,
        Status(stage=status.stage, fraction=status.fraction, updated=time.time()),
    )


def _may_begin_anew(folder: Path) -> bool:
    try:
        return Run(folder).status.state in _UNFINISHED
    except RunError:
        # Not readable: nothing in it can be kept.
        return True


def _spawn(folder: Path) -> subprocess.Popen[bytes]:
    """Start the worker of a run, and a thread that waits for it so that no zombie is left."""
    package_parent = str(Path(__file__).parents[2])
    paths = [package_parent, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        environment.setdefault(variable, str(available_threads()))
    environment.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    with (folder / files.LOG).open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "splicedvae.pipeline.worker", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=folder,
            env=environment,
        )
    threading.Thread(target=process.wait, name=f"wait-{process.pid}", daemon=True).start()
    return process


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
    The status afterwards: ``"stopped"``, or what the run had become by itself.
    """
    with locked(run.path.parent):
        # start() notes its worker under the same lock.
        worker = read_worker(run.path)
    if read_status(run.path).is_final:
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
    status = read_status(run.path)
    if not status.is_final:
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
    """Signal a worker's group; a worker without a group of its own is signalled alone."""
    try:
        if hasattr(os, "killpg") and os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
    except (ProcessLookupError, psutil.NoSuchProcess):
        # It ended by itself in the meantime, which is what was asked for.
        return


def delete(run: Run) -> None:
    """Remove a run and all its results.

    Parameters
    ----------
    run
        A run of `runs_folder` that is at rest.

    Raises
    ------
    RunError
        If it is at work, or lies elsewhere, as the demo does.
    """
    _refuse_elsewhere(run)
    with locked(run.path.parent):
        if not run.status.is_final:
            raise RunError(f"The run {run.name!r} is at work: stop it before you delete it.")
        _remove(run.path)


def rename(run: Run, name: str) -> None:
    """Give a run another display name; its id stays.

    Parameters
    ----------
    run
        A run of `runs_folder`.
    name
        The new name, not empty.

    Raises
    ------
    RunError
        If the name is empty, or the run lies elsewhere, as the demo does.
    """
    name = _clean_name(name)
    _refuse_elsewhere(run)
    with locked(run.path.parent):
        record = files.read_json(run.path / files.CONFIG, "the configuration")
        record["config"]["name"] = name
        files.write_json(run.path / files.CONFIG, record)


def annotate(run: Run, text: str) -> None:
    """Keep a person's own words about a run; they change no result and not its id.

    Parameters
    ----------
    run
        A run of `runs_folder`, in any state.
    text
        Plain text of any lines, at most `NOTE_LENGTH` characters; empty removes the note.

    Raises
    ------
    RunError
        If the text is too long, or the run lies elsewhere, as the demo does.
    """
    lines = [" ".join(line.split()) for line in text.splitlines()]
    cleaned = "\n".join(lines).strip()
    if len(cleaned) > NOTE_LENGTH:
        raise RunError(
            f"The note has {len(cleaned):,} characters, and at most {NOTE_LENGTH:,} are kept: "
            "shorten it."
        )
    _refuse_elsewhere(run)
    with locked(run.path.parent):
        file = run.path / files.ANNOTATION
        if not cleaned:
            file.unlink(missing_ok=True)
        elif run.path.is_dir():
            files.write_json(file, {"text": cleaned, "written": time.time()})


def _clean_name(name: str) -> str:
    cleaned = " ".join(name.split())
    if not cleaned:
        raise RunError("The name of a run is empty: give it at least one letter.")
    return cleaned[:_NAME_LENGTH]


def _refuse_elsewhere(run: Run) -> None:
    if run.path.absolute().parent != runs_folder():
        raise RunError(
            f"The run {run.name!r} does not lie in the folder of runs and is read-only: work on a "
            "run of your own."
        )


def _remove(folder: Path) -> None:
    """Remove a folder so that nobody sees half of it."""
    trash = folder.with_name(f".trash-{uuid.uuid4().hex[:8]}")
    folder.rename(trash)
    shutil.rmtree(trash, ignore_errors=True)


def list_runs() -> list[Run]:
    """Return the runs of `runs_folder`, the newest first; the demo is not among them.

    Warns
    -----
    UserWarning
        For each folder that is no readable run, which is left out.
    """
    found: list[tuple[float, Run]] = []
    folder = runs_folder()
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.name.startswith(".") or not path.is_dir():
            continue
        try:
            run = Run(path)
            found.append((run.created, run))
        except RunError as error:
            warnings.warn(f"The run {path.name[:40]} is left out: {error}", stacklevel=2)
    return [run for _, run in sorted(found, key=lambda item: item[0], reverse=True)]


def reconcile() -> list[Run]:
    """Find runs that claim to be at work but whose process is gone, and mark them as lost.

    Called when a server starts. Also removes what an interrupted start or delete left behind.

    Returns
    -------
    The runs that were found lost.
    """
    found: list[Run] = []
    if not runs_folder().is_dir():
        return found
    with locked(runs_folder()):
        for leftover in runs_folder().glob(".*-*"):
            if leftover.name.startswith((".new-", ".trash-")):
                shutil.rmtree(leftover, ignore_errors=True)
        for run in list_runs():
            try:
                status = read_status(run.path)
                if is_lost(run.path, status):
                    status = read_status(run.path)
                    if not status.is_final:
                        write_status(run.path, lost(status))
                        found.append(run)
            except RunError as error:
                warnings.warn(f"The run {run.id} is left out: {error}", stacklevel=2)
    return found
