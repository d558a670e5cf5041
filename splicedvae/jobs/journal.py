"""What a running run reports: status, heartbeat, live curves, notes and log.

Stages have the weights of `_stages`, about their share of the time, so that the bar moves evenly
and the time left can be estimated (`_time_left`).
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from splicedvae._core.files import is_full
from splicedvae._core.notes import Note
from splicedvae.jobs._time_left import TimeLeft
from splicedvae.jobs.stopping import StopSignal
from splicedvae.runs import files
from splicedvae.runs.stages import Work, stage_seconds
from splicedvae.runs.status import State, Status, write_status

#: Seconds between two heartbeats.
HEARTBEAT = 2.0


class Journal:
    """The running record of one run; a context manager that keeps the heart beating.

    Parameters
    ----------
    folder
        The run folder.
    stages
        Names of the stages in their order, each with its weight.
    progress
        Called with each new status, for a progress bar.
    stop
        Checked at every report, so that a run ends soon after the request.
    """

    def __init__(
        self,
        folder: Path,
        stages: Sequence[tuple[str, float]],
        *,
        progress: Callable[[Status], None] | None = None,
        stop: StopSignal | None = None,
    ) -> None:
        self._folder = folder
        self._stages = tuple(stages)
        self._time = TimeLeft(stages)
        self._progress = progress
        self._stop = stop
        self._position = -1
        self._message = ""
        #: When the work began, in seconds since 1970.
        self.started = time.time()
        self._begun = self._stage_begun = time.monotonic()
        self._stage_before = 0.0
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self.notes: list[Note] = []
        #: Seconds each stage took, with what an earlier process spent on it.
        self.seconds: dict[str, float] = {}
        self._written: float | None = None
        #: How much there is to do; None before the data were read.
        self.work: Work | None = None
        #: Seconds that earlier processes spent on this run.
        self.seconds_before = 0.0

    def __enter__(self) -> Self:
        self._write()
        self._heart.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed.set()
        self._heart.join()

    def _beat(self) -> None:
        while not self._closed.wait(HEARTBEAT):
            # A heartbeat that cannot be written ends nothing: what the run itself writes does.
            with contextlib.suppress(OSError):
                self._write()

    def _status(self) -> Status:
        if self._position < 0:
            return Status("running", "starting", pid=os.getpid(), started=self.started)
        return Status(
            state="running",
            stage=self._stages[self._position][0],
            fraction=self._time.fraction,
            message=self._message,
            pid=os.getpid(),
            started=self.started,
            seconds_left=self._time.seconds(),
            pending=tuple(name for name, _ in self._stages[self._position :]),
            written=self._written,
        )

    def _write(self) -> None:
        with self._lock:
            if self._closed.is_set():
                return
            status = self._status()
            status = replace(status, updated=time.time(), beat=time.monotonic())
            write_status(self._folder, status)
        if self._progress is not None and threading.current_thread() is not self._heart:
            self._progress(status)

    @property
    def elapsed(self) -> float:
        """Seconds that this process has worked on the run, whatever became of the clock."""
        return time.monotonic() - self._begun

    def log(self, text: str) -> None:
        """Add a line with the time to the log."""
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        try:
            with (self._folder / files.LOG).open("a", encoding="utf-8") as file:
                file.write(f"{stamp} {text}\n")
        except OSError as error:
            # The status says that the disk is full; the log has no place for it.
            if not is_full(error):
                raise

    def check(self) -> None:
        """Raise if the end of the run was requested."""
        if self._stop is not None:
            self._stop.check()

    def stage(self, name: str) -> None:
        """Start a stage.

        Parameters
        ----------
        name
            One of the names given at first, and not before the present one.
        """
        self.check()
        self._end_stage()
        names = [item for item, _ in self._stages]
        position = names.index(name)
        if position < self._position:
            raise ValueError(f"stage {name!r} comes before {names[self._position]!r}")
        with self._lock:
            self._position, self._message = position, ""
            self._stage_begun = time.monotonic()
            self._stage_before = 0.0
            self._time.begin(name)
        self.log(name)
        self._write()

    def _end_stage(self) -> None:
        if self._position >= 0:
            name = self._stages[self._position][0]
            spent = time.monotonic() - self._stage_begun + self._stage_before
            self.seconds[name] = round(spent, 3)

    def advance(self, share: float, message: str = "") -> None:
        """Report how much of the present stage is done.

        Parameters
        ----------
        share
            0 to 1.
        message
            A few words, such as the epoch.
        """
        self.check()
        with self._lock:
            self._message = message
            self._time.advance(share)
        self._write()

    def publish(self) -> None:
        """Record that results which a page can show were written."""
        with self._lock:
            self._written = time.time()
        self._write()

    def set_work(self, work: Work) -> None:
        """Record how much there is to do, once the data were read: stages get their weights by it.

        Stages that this work does not have are left out.

        Parameters
        ----------
        work
            The size of the data and the number of epochs.
        """
        self.work = work
        weights = stage_seconds(work)
        with self._lock:
            self._time.reweigh({**dict.fromkeys(dict(self._stages), 0.0), **weights})
            self._stages = tuple(item for item in self._stages if item[0] in weights)

    def credit(self, seconds: float) -> None:
        """Count time that an earlier process spent on the present stage of this run.

        Parameters
        ----------
        seconds
            The time.
        """
        with self._lock:
            self._stage_before += seconds
            self.seconds_before += seconds
            self._time.credit(seconds)

    def live(self, predictor: str, epoch: int, metrics: dict[str, float]) -> None:
        """Add a line to the live curves.

        Parameters
        ----------
        predictor
            Which model is trained.
        epoch
            From 1.
        metrics
            Values by name; those that are not finite become null.
        """
        line: dict[str, Any] = {"predictor": predictor, "epoch": epoch, "metrics": metrics}
        with (self._folder / files.LIVE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(files.plain(line), allow_nan=False) + "\n")

    def note(self, sentence: str, code: str) -> None:
        """Add a note for readers of the results, once.

        Parameters
        ----------
        sentence
            Plain text, or a note, which keeps its own code.
        code
            One of `splicedvae._core.notes.LEVELS`.
        """
        if sentence not in self.notes:
            self.notes.append(Note.of(sentence, code))
            self.log(f"note: {sentence}")
            notes = [note.to_dict() for note in self.notes]
            files.write_json(self._folder / files.NOTES, {"notes": notes})

    def close(self, state: State, message: str = "") -> Status:
        """Write the final status.

        Parameters
        ----------
        state
            ``"finished"``, ``"failed"`` or ``"stopped"``.
        message
            The reason, one sentence.

        Returns
        -------
        The last status.
        """
        self._end_stage()
        now = self._status()
        finished = state == "finished"
        last = Status(
            state=state,
            stage="finished" if finished else now.stage,
            fraction=1.0 if finished else now.fraction,
            message=message,
            pid=now.pid,
            started=self.started,
            updated=time.time(),
            pending=() if finished else now.pending,
            written=now.written,
        )
        self._closed.set()
        with self._lock:
            write_status(self._folder, last)
        self.log(f"{state}{': ' + message if message else ''}")
        if self._progress is not None:
            self._progress(last)
        return last
