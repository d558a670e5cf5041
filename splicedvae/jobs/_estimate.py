"""Estimate how long a run will take before it starts.

The measured seconds of its stages (`_stages`) are summed for the size of the data. They are of two
cores of one computer, so they are multiplied by how much slower or faster earlier runs on this
computer were. Without data there is no estimate.
"""

from __future__ import annotations

import itertools
import socket
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from splicedvae._core.errors import RunError
from splicedvae.runs.checkpoint import kept_work, newest
from splicedvae.runs.config import RunConfig
from splicedvae.runs.find import all_runs
from splicedvae.runs.run import Run
from splicedvae.runs.stages import (
    LARGEST_MEASURED,
    STAGE_VELOCITIES,
    STARTING,
    TRAINING_STAGES,
    Work,
    stage_seconds,
)
from splicedvae.runs.worker import read_worker

#: Newest finished runs of this computer used for its speed.
MOST_RUNS: Final = 5
#: Runs that are searched for them, so that a full folder costs little.
LOOKED_AT: Final = 40
#: Smallest and largest share of the estimate that a run may take in the end: on a computer that is
#: not known yet, and on one that has finished runs of about that length.
ELSEWHERE: Final = (0.6, 1.6)
HERE: Final = (0.85, 1.2)
#: A run that is so many times longer than the earlier ones may have another speed than they had.
MUCH_LONGER: Final = 5.0
#: A range whose ends are closer than this factor is given as one number.
CLOSE: Final = 1.8
#: A run that took so many times longer or shorter was interrupted, or is of other work.
UNLIKELY: Final = 20.0
#: Beyond so many times the largest cells x genes that were measured nothing is said.
TOO_FAR: Final = 20.0


@dataclass(frozen=True)
class Estimate:
    """How long a run will take.

    Attributes
    ----------
    seconds
        The best guess.
    low, high
        Seconds between which it is likely to be.
    n_runs
        Earlier runs on this computer whose speed was taken; 0 where the guess is that of two cores
        of another computer.
    streams
        The best guess of the seconds to the first streams, which are shown while the run continues;
        None where they are not requested.
    """

    seconds: float
    low: float
    high: float
    n_runs: int
    streams: float | None = None

    def __str__(self) -> str:
        """Return a phrase that follows "takes", such as ``"about 2 minutes on ..."``."""
        one = self.n_runs > 0 and self.high < CLOSE * self.low
        time = f"about {_span(self.seconds)}" if one else _between(self.low, self.high)
        if self.n_runs:
            return f"{time} on this computer, based on earlier runs"
        return f"{time} on a computer with two cores"

    @property
    def with_streams(self) -> str:
        """The phrase with when the first streams are there, where that is known."""
        if self.streams is None:
            return str(self)
        return f"{self}; the first streams after about {_span(self.streams)}"


def estimate(
    config: RunConfig,
    *,
    n_cells: int,
    n_genes: int,
    measured: bool = True,
    runs: Iterable[Run] | None = None,
) -> Estimate | None:
    """Estimate how long a run will take, from what is known before it starts.

    Parameters
    ----------
    config
        What the run is to do.
    n_cells
        Cells of the file that have counts.
    n_genes
        Genes that may be modeled; of a training, those that pass its filters.
    measured
        Whether the file has measured S/U, against which a prediction is evaluated.
    runs
        Earlier runs, the newest first; None takes those of `splicedvae.runs.runs_folder`.

    Returns
    -------
    The estimate, or None without cells or genes, or with far more than were ever measured.
    """
    if n_cells < 2 or n_genes < 1:
        return None
    work = Work.of(config, n_cells=n_cells, n_genes=n_genes, measured=measured)
    if work.n_cells * work.n_genes > TOO_FAR * LARGEST_MEASURED:
        return None
    stages = stage_seconds(work)
    names = list(stages)
    first = sum(stages[name] for name in names[: names.index(STAGE_VELOCITIES) + 1])
    runs = _newest() if runs is None else runs
    earlier = itertools.islice(_earlier(runs, work.kind), MOST_RUNS)
    return _estimated(sum(stages.values()), list(earlier), first)


def estimate_rest(run: Run, *, runs: Iterable[Run] | None = None) -> Estimate | None:
    """Estimate how long the rest of an interrupted training will take, once it is resumed.

    Parameters
    ----------
    run
        A run that did not finish.
    runs
        Earlier runs, the newest first; None takes those of `splicedvae.runs.runs_folder`.

    Returns
    -------
    The estimate, or None where nothing was kept of the run.

    Raises
    ------
    RunError
        If what was kept is damaged.
    """
    kept = newest(run.path)
    work = kept_work(run.path)
    if kept is None or work is None:
        return None
    stages = stage_seconds(work)
    own: list[tuple[float, float]] = []
    for training, stage in TRAINING_STAGES.items():
        record = kept if training == kept.training else None
        share = 1.0 if record is None or record.finished else record.epoch / max(record.epochs, 1)
        expected = share * stages[stage]
        if record is not None and _here(run) and _likely(record.seconds, expected):
            own.append((record.seconds, expected))
        stages[stage] -= expected
        if record is not None:
            break
    runs = _newest() if runs is None else runs
    earlier = own + list(itertools.islice(_earlier(runs, work.kind), MOST_RUNS))
    return _estimated(sum(stages.values()), earlier, None)


def _estimated(
    measured: float, earlier: Sequence[tuple[float, float]], first: float | None
) -> Estimate:
    """Multiply what was measured by the speed of earlier runs: seconds taken and expected."""
    paces = [taken / expected for taken, expected in earlier]
    largest = max((expected for _, expected in earlier), default=0.0)
    low, high = HERE if measured < MUCH_LONGER * largest else ELSEWHERE
    seconds = STARTING + measured
    pace = statistics.median(paces or [1.0])
    return Estimate(
        seconds=pace * seconds,
        low=low * min(paces, default=1.0) * seconds,
        high=high * max(paces, default=1.0) * seconds,
        n_runs=len(paces),
        streams=None if first is None else pace * (STARTING + first),
    )


def _newest() -> list[Run]:
    # Unreadable runs are shown where runs are listed.
    return all_runs()[0][:LOOKED_AT]


def _earlier(runs: Iterable[Run], kind: str) -> Iterator[tuple[float, float]]:
    """Return the seconds that runs of one kind took here, and those measured on two cores."""
    for run in runs:
        try:
            if not _here(run) or not run.is_finished:
                continue
            made = run.provenance
            if made.get("resumed"):
                continue
            work = Work.from_dict(made["work"])
            if work.kind != kind:
                continue
            expected = sum(stage_seconds(work).values())
            taken = float(made["seconds"])
        except (RunError, KeyError, TypeError, ValueError, AttributeError):
            # Made before sizes were noted, or damaged: it gives no speed of this computer.
            continue
        if _likely(taken, expected):
            yield taken, expected


def _here(run: Run) -> bool:
    worker = read_worker(run.path)
    return worker is not None and worker.host == socket.gethostname()


def _likely(taken: float, expected: float) -> bool:
    """Return whether a time is plausible for the work and so says how fast the computer is."""
    return expected > 0 and expected / UNLIKELY <= taken <= UNLIKELY * expected


def _span(seconds: float) -> str:
    """Say a time span as coarsely as it is known, such as ``"2 minutes"``."""
    if seconds < 55:
        return f"{max(round(seconds, -1), 10):.0f} seconds"
    if seconds < 3300:
        minutes = _rounded(seconds / 60, 15)
        return f"{minutes} minute{'s' if minutes > 1 else ''}"
    hours = round(seconds / 1800) / 2
    return f"{hours:g} hour{'s' if hours > 1 else ''}"


def _between(low: float, high: float) -> str:
    """Say a range of time spans in one unit, such as ``"2 to 4 minutes"``."""
    if _span(low) == _span(high):
        return f"about {_span(high)}"
    if high < 115:
        return f"{max(round(low, -1), 10):.0f} to {round(high, -1):.0f} seconds"
    if high < 5400:
        return f"{max(_rounded(low / 60, 15), 1)} to {_rounded(high / 60, 15)} minutes"
    return f"{max(round(low / 1800) / 2, 0.5):g} to {round(high / 1800) / 2:g} hours"


def _rounded(value: float, coarse_from: float) -> int:
    """Round to whole numbers, and to fives where the value is large."""
    return round(value) if value < coarse_from else 5 * round(value / 5)
