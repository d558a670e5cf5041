"""What a run is doing now, in one small file that is replaced atomically.

The worker writes it at every stage, every epoch and every few seconds (the heartbeat), so a
page that was reloaded, or another tab, sees the same.
"""

from __future__ import annotations

import json
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args

import psutil

from splicedvae._core.errors import RunError
from splicedvae.runs import files

State = Literal["queued", "running", "finished", "failed", "stopped", "lost"]

#: Final states of a run.
FINAL: Final[frozenset[str]] = frozenset({"finished", "failed", "stopped", "lost"})

#: Seconds without a heartbeat after which a worker on another machine counts as lost.
STALE: Final = 120.0


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
            If the state is unknown or a number is none.
        """
        state = values.get("state")
        if state not in get_args(State):
            raise RunError(
                f"The status of the run is {str(state)[:40]!r}, which this version does not "
                "know: open it with the version of SplicedVAE that wrote it."
            )
        try:
            return cls(
                state=cast(State, state),
                stage=str(values.get("stage", "")),
                fraction=min(max(float(values.get("fraction") or 0.0), 0.0), 1.0),
                message=str(values.get("message", "")),
                pid=_number(values.get("pid"), int),
                started=_number(values.get("started"), float),
                updated=float(values.get("updated") or 0.0),
                seconds_left=_number(values.get("seconds_left"), float),
                pending=tuple(str(name) for name in values.get("pending") or ()),
                written=_number(values.get("written"), float),
            )
        except (TypeError, ValueError) as error:
            raise RunError(
                "The status of the run holds text instead of a number: the run "
                "folder is damaged, restart the run."
            ) from error


def _number(value: Any, kind: type) -> Any:
    return None if value is None else kind(value)


def read_status(folder: Path) -> Status:
    """Read the status of a run.

    Raises
    ------
    RunError
        If it is missing or damaged.
    """
    return Status.from_dict(files.read_json(folder / files.STATUS, "the status"))


def write_status(folder: Path, status: Status) -> None:
    """Replace the status of a run atomically."""
    files.write_json(folder / files.STATUS, asdict(status))


def write_worker(folder: Path, pid: int) -> None:
    """Note which process works on a run, so that a later one with its number is not taken for it.

    Parameters
    ----------
    folder
        The run folder.
    pid
        Its process id; it must be alive.
    """
    try:
        created = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        created = None
    files.write_json(
        folder / files.WORKER, {"pid": pid, "created": created, "host": socket.gethostname()}
    )


@dataclass(frozen=True)
class Worker:
    """Who works on a run: process id, its creation time (s since 1970) and the machine."""

    pid: int
    created: float | None
    host: str

    def process(self) -> psutil.Process | None:
        """Return the process if it still runs on this machine, else None.

        A process of the same number made at another time, and a dead one that nobody has
        waited for, count as gone.
        """
        if self.host != socket.gethostname() or self.created is None:
            return None
        try:
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.created) > 1.0:
                return None
            if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
                return None
        except psutil.NoSuchProcess:
            return None
        return process


def read_worker(folder: Path) -> Worker | None:
    """Read who works on a run; None if nobody was noted."""
    try:
        values = json.loads((folder / files.WORKER).read_text(encoding="utf-8"))
        created = values["created"]
        return Worker(
            int(values["pid"]), None if created is None else float(created), str(values["host"])
        )
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError):
        # Damaged: the same as nobody; the heartbeat then decides.
        return None


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
    if worker is not None and worker.host == socket.gethostname():
        return worker.process() is None
    return time.time() - status.updated > STALE
