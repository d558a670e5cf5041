"""What a run is doing now, in one small file that is replaced atomically.

The worker writes it at every stage, every epoch and every few seconds (the heartbeat), so a
page that was reloaded, or another tab, sees the same.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args

from splicedvae._core.errors import RunError
from splicedvae._core.files import is_full
from splicedvae.runs import files
from splicedvae.runs.results import is_complete
from splicedvae.runs.worker import read_worker

State = Literal["queued", "running", "finished", "failed", "stopped", "lost"]

#: Final states of a run.
FINAL: Final[frozenset[str]] = frozenset({"finished", "failed", "stopped", "lost"})

#: Seconds without a heartbeat after which a worker on another machine counts as lost.
STALE: Final = 120.0
#: Seconds without a heartbeat after which a living worker does not respond.
SILENT: Final = 60.0


@dataclass(frozen=True)
class Pulse:
    """Whether the worker of a running run reports.

    Attributes
    ----------
    suspended
        Whether its process was suspended (SIGSTOP), so that it does nothing until it is continued.
    silent
        Seconds since its last heartbeat.
    """

    suspended: bool = False
    silent: float = 0.0

    @property
    def responds(self) -> bool:
        """Whether the run can be expected to advance."""
        return not self.suspended and self.silent < SILENT


@dataclass(frozen=True)
class Status:
    """What a run is doing.

    Attributes
    ----------
    state
        ``"queued"`` until the worker has begun, ``"running"``, then one of ``"finished"``,
        ``"failed"`` (see ``message``), ``"stopped"`` (by a person) and ``"lost"`` (the worker
        vanished without a word).
    stage
        What is being done, in a few words a person reads.
    fraction
        Share of the work that is done, 0 to 1.
    message
        One sentence: the reason of a failure, or a remark on the stage.
    pid
        Process id of the worker; None before it has begun.
    started
        When the work began, in seconds since 1970; None before.
    updated
        The last heartbeat, in seconds since 1970.
    seconds_left
        Estimate of the time left, in seconds; None where there is none yet.
    pending
        The present stage and those still to come, once the work has begun.
    written
        When results that can be shown, the velocities first, were last written, in seconds since
        1970; None before.
    beat
        The last heartbeat in seconds since the start of the worker's machine; None before.
    """

    state: State = "queued"
    stage: str = "waiting"
    fraction: float = 0.0
    message: str = ""
    pid: int | None = None
    started: float | None = None
    updated: float = 0.0
    seconds_left: float | None = None
    pending: tuple[str, ...] = ()
    written: float | None = None
    beat: float | None = None

    @property
    def is_final(self) -> bool:
        """Whether the state is final."""
        return self.state in FINAL

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Status:
        """Make a status of what `status.json` holds; unknown entries are left out.

        Parameters
        ----------
        values
            Names and values, as read.

        Raises
        ------
        RunError
            If the state is unknown, or a value is none that a run can have.
        """
        state = values.get("state")
        if state not in get_args(State):
            raise RunError(
                f"The status of the run is {str(state)[:40]!r}, which this version does not "
                "know: open it with the version of SplicedVAE that wrote it."
            )
        pending = values.get("pending") or ()
        if not isinstance(pending, list | tuple):
            raise RunError(
                "The stages to come in the status of the run are no list: the run folder is "
                "damaged, restart the run."
            )
        pid = _number(values, "pid")
        return cls(
            state=cast(State, state),
            stage=str(values.get("stage", "")),
            fraction=min(_number(values, "fraction") or 0.0, 1.0),
            message=str(values.get("message", "")),
            pid=None if pid is None else int(pid),
            started=_number(values, "started"),
            updated=_number(values, "updated") or 0.0,
            seconds_left=_number(values, "seconds_left"),
            pending=tuple(str(name) for name in pending),
            written=_number(values, "written"),
            beat=_number(values, "beat"),
        )


def _number(values: dict[str, Any], name: str) -> float | None:
    """Return a number of the status, None where there is none."""
    value = values.get(name)
    return None if value is None else files.read_number(value, f"{name!r} in the status of the run")


#: The status of a run whose results are all there, whatever its file says.
_DONE: Final[dict[str, Any]] = {
    "state": "finished",
    "stage": "finished",
    "fraction": 1.0,
    "message": "",
    "seconds_left": None,
    "pending": (),
}


def read_status(folder: Path) -> Status:
    """Read the status of a run.

    Raises
    ------
    RunError
        If it is missing or damaged.
    """
    return Status.from_dict(files.read_json(folder / files.STATUS, "the status"))


def write_status(folder: Path, status: Status) -> None:
    """Replace the status of a run atomically.

    Only a final status waits for the disk: others are replaced every few seconds, and a damaged one
    is rebuilt.
    """
    try:
        files.write_json(folder / files.STATUS, asdict(status), durable=status.is_final)
    except OSError as error:
        if not is_full(error) or not status.is_final:
            raise
        # On a full disk there is no place for a second file, but the first one has its own.
        text = json.dumps(files.plain(asdict(status)), ensure_ascii=False).encode()
        with (folder / files.STATUS).open("r+b") as file:
            file.write(text)
            file.truncate()


def current_status(folder: Path) -> Status:
    """Return what a run is doing, whatever became of its worker and of the file of its status.

    Parameters
    ----------
    folder
        The run folder.

    Returns
    -------
    The status; ``"lost"`` if the worker is gone. If the file is damaged, what the rest of the
    folder says: running while the worker lives, finished if all results are there, else lost.
    """
    try:
        status = read_status(folder)
        if not is_lost(folder, status):
            return status
        # The worker may have finished between the two looks.
        status = read_status(folder)
    except RunError:
        return _rebuilt(folder)
    if status.is_final:
        return status
    # A worker that was killed with its last word on its lips has done all its work.
    return replace(status, **_DONE) if is_complete(folder) else lost(folder, status)


def _rebuilt(folder: Path) -> Status:
    """Say what a run is doing although its status cannot be read."""
    worker = read_worker(folder)
    if worker is not None and worker.whereabouts() == "here":
        return Status("running", "not known, as its status cannot be read", pid=worker.pid)
    if is_complete(folder):
        return replace(Status(), **_DONE)
    return lost(folder, Status("running", "an unknown stage, as its status cannot be read"))


def lost(folder: Path, status: Status) -> Status:
    """Return the status of a run whose worker vanished.

    Parameters
    ----------
    folder
        The run folder.
    status
        What the worker reported last.
    """
    kept = any((folder / files.CHECKPOINT).glob("*.safetensors"))
    advice = (
        "resume the run; if this happens again, start one with fewer cells or genes."
        if kept
        else "restart the run, with fewer cells or genes if this happens again."
    )
    return replace(
        status,
        state="lost",
        message=(
            "The process of this run no longer exists, it was killed or ran out of memory: "
            + advice
        ),
        seconds_left=None,
    )


def is_lost(folder: Path, status: Status) -> bool:
    """Return whether a run marked as running has no worker any more.

    Parameters
    ----------
    folder
        The run folder.
    status
        Its status.

    Returns
    -------
    True if the run is queued or running and its process is gone. Where the process cannot be
    asked (it was noted by another machine, or never), the heartbeat decides.
    """
    if status.is_final:
        return False
    worker = read_worker(folder)
    place = "elsewhere" if worker is None else worker.whereabouts()
    return time.time() - status.updated > STALE if place == "elsewhere" else place == "gone"


def pulse(folder: Path, status: Status) -> Pulse:
    """Say whether a running run reports.

    Parameters
    ----------
    folder
        The run folder.
    status
        Its status.

    Returns
    -------
    Whether its process was suspended, and how long it has not reported. The time is that since the
    start of the machine, which no step of the clock changes; it is 0 where the worker is on another
    machine.
    """
    worker = read_worker(folder)
    if status.is_final or worker is None or worker.whereabouts() != "here":
        return Pulse()
    silent = 0.0
    if status.state == "running" and status.beat is not None:
        silent = max(time.monotonic() - status.beat, 0.0)
    return Pulse(worker.is_suspended, silent)
