"""Which process works on a run: known by when it began in the time since the machine started.

On Linux, psutil's creation time is computed from the wall clock, so a step of the clock would make
a living worker look like another process. There the ticks since the start of the machine are
compared (`/proc/PID/stat`), together with the identifier of that start. Elsewhere the system keeps
the creation time as it was, and psutil's is compared.
"""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

import psutil

from splicedvae._core.errors import RunError
from splicedvae.runs import files

#: Whether its process runs, has ended, or cannot be asked, as it was noted by another machine.
Whereabouts = Literal["here", "gone", "elsewhere"]

#: Largest number of a process.
_MAX_PID: Final = 2**31 - 1
#: Field of ``/proc/PID/stat`` with the start in ticks, counted behind the name in parentheses.
_START_FIELD: Final = 19


@dataclass(frozen=True)
class Worker:
    """Who works on a run.

    Attributes
    ----------
    pid
        Process id.
    host
        Name of the machine.
    created
        Creation time in s since 1970 as the wall clock had it; None if it was gone already.
    boot
        Which start of which machine and set of process ids; empty where the system has no name
        for it.
    start
        Ticks from the start of the machine to that of the process; None where not known.
    """

    pid: int
    host: str
    created: float | None = None
    boot: str = ""
    start: int | None = None

    @classmethod
    def of(cls, pid: int) -> Worker:
        """Return what is noted of a process of this machine.

        Parameters
        ----------
        pid
            Its id; it must be alive.
        """
        try:
            created = psutil.Process(pid).create_time()
        except psutil.NoSuchProcess:
            created = None
        return cls(pid, socket.gethostname(), created, _boot(), _start(pid))

    def whereabouts(self) -> Whereabouts:
        """Say whether its process still runs.

        A process of the same number that began at another time, and a dead one that nobody has
        waited for, count as gone.
        """
        if self.start is None and self.boot == "":
            if self.host != socket.gethostname():
                return "elsewhere"
        elif self.boot != _boot():
            return "elsewhere"
        return "gone" if self.process() is None else "here"

    def process(self) -> psutil.Process | None:
        """Return the process if it still runs on this machine, else None."""
        if self.boot != "" and self.boot != _boot():
            return None
        if self.boot == "" and (self.host != socket.gethostname() or self.created is None):
            return None
        try:
            process = psutil.Process(self.pid)
            if self.boot != "":
                same = self.start is not None and _start(self.pid) == self.start
            else:
                same = abs(process.create_time() - (self.created or 0.0)) <= 1.0
            if not same or process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
                return None
        except psutil.NoSuchProcess:
            return None
        return process

    @property
    def is_suspended(self) -> bool:
        """Whether its process runs no longer because it was suspended (SIGSTOP)."""
        process = self.process()
        if process is None:
            return False
        try:
            return process.status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)
        except psutil.NoSuchProcess:
            return False


def write_worker(folder: Path, pid: int) -> None:
    """Note which process works on a run, so that a later one with its number is not taken for it.

    Parameters
    ----------
    folder
        The run folder.
    pid
        Its process id; it must be alive.
    """
    files.write_json(folder / files.WORKER, asdict(Worker.of(pid)))


def read_worker(folder: Path) -> Worker | None:
    """Read who works on a run; None if nobody was noted, or the note is damaged.

    Parameters
    ----------
    folder
        The run folder.
    """
    try:
        values = files.read_json(folder / files.WORKER, "the note on the worker")
        pid = files.read_number(values.get("pid"), "the process")
        created, start = (
            None if values.get(name) is None else files.read_number(values[name], f"its {name}")
            for name in ("created", "start")
        )
    except RunError:
        # Nobody was noted, or nobody knows who: the heartbeat decides.
        return None
    if not 0 < pid <= _MAX_PID:
        return None
    return Worker(
        int(pid),
        str(values.get("host", "")),
        created,
        str(values.get("boot", "")),
        None if start is None else int(start),
    )


def _boot() -> str:
    """Name this start of this machine, and the processes that see each other's ids."""
    if sys.platform != "linux":
        return ""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        # A sandbox without these files: creation times are compared.
        return ""


def _start(pid: int) -> int | None:
    """Return the ticks since the start of the machine at which a process began."""
    if sys.platform != "linux":
        return None
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return int(fields.rpartition(")")[2].split()[_START_FIELD])
    except (OSError, ValueError, IndexError):
        return None
