"""The queue of trainings: as many work at once as cores allow, the others wait for their turn.

A ticket is an empty file whose name has its number and the run. Its holder is the worker of that
run, which waits by itself, so that no process needs to hand out turns and a server may be restarted
meanwhile. A ticket counts while its run waits or works; the first of those
that count may work.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path
from typing import Final

from splicedvae._core.errors import RunError
from splicedvae.jobs.limits import Limits
from splicedvae.runs.lock import locked
from splicedvae.runs.run import Run
from splicedvae.runs.status import Status, current_status, write_status

#: Folder of the tickets among the runs; its leading dot hides it from their list.
FOLDER: Final = ".queue"
#: Seconds between two looks at the queue, and between two heartbeats of one that waits.
LOOK: Final = 0.5
BEAT: Final = 2.0
_TICKET: Final = re.compile(r"(\d{12})-([0-9a-f]{16})")


def enter(folder: Path) -> None:
    """Give a run the last place in the queue; the caller holds the lock of the runs.

    Parameters
    ----------
    folder
        The run folder, in the folder of runs.
    """
    queue = folder.parent / FOLDER
    queue.mkdir(exist_ok=True)
    leave(folder)
    numbers = [int(ticket[1]) for ticket in _tickets(queue)]
    (queue / f"{max(numbers, default=0) + 1:012d}-{folder.name}").touch()


def leave(folder: Path) -> None:
    """Remove the tickets of a run, and those that count no more.

    Parameters
    ----------
    folder
        The run folder.
    """
    queue = folder.parent / FOLDER
    for ticket in _tickets(queue):
        if ticket[2] == folder.name or not _counts(folder.parent / ticket[2]):
            (queue / ticket[0]).unlink(missing_ok=True)


def place(folder: Path) -> int:
    """Return a run's place among those that wait.

    Parameters
    ----------
    folder
        The run folder.

    Returns
    -------
    1 for the next one; 0 if it has its turn, or is in no queue.
    """
    names = _waiting_and_working(folder.parent)
    if folder.name not in names:
        return 0
    return max(names.index(folder.name) + 1 - Limits.of_environment().parallel, 0)


def length(runs: Path) -> int:
    """Return how many trainings wait.

    Parameters
    ----------
    runs
        The folder of runs.
    """
    return max(len(_waiting_and_working(runs)) - Limits.of_environment().parallel, 0)


def wait_for_turn(folder: Path) -> None:
    """Wait until a run may work; its worker calls this.

    Parameters
    ----------
    folder
        The run folder.
    """
    beaten = float("-inf")
    while place(folder) > 0:
        if time.monotonic() - beaten > BEAT:
            beaten = time.monotonic()
            waiting = Status(pid=os.getpid(), updated=time.time(), beat=beaten)
            write_status(folder, waiting)
        time.sleep(LOOK)


def give_up_turn(folder: Path) -> None:
    """Let the next one begin; the worker calls this at its end.

    Parameters
    ----------
    folder
        The run folder.
    """
    if (folder.parent / FOLDER).is_dir():
        with contextlib.suppress(RunError), locked(folder.parent):
            leave(folder)


def place_of(run: Run) -> int:
    """Return a run's place among the trainings that wait.

    Parameters
    ----------
    run
        Any run.

    Returns
    -------
    1 for the next one; 0 if it has its turn, or waits for nothing.
    """
    return place(run.path) if run.status.state == "queued" else 0


def _waiting_and_working(runs: Path) -> list[str]:
    """Name the runs whose tickets count, in their order."""
    return [ticket[2] for ticket in _tickets(runs / FOLDER) if _counts(runs / ticket[2])]


def _tickets(queue: Path) -> list[re.Match[str]]:
    names = sorted(os.listdir(queue)) if queue.is_dir() else []
    return [found for found in map(_TICKET.fullmatch, names) if found]


def _counts(folder: Path) -> bool:
    return folder.is_dir() and not current_status(folder).is_final
