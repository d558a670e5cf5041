"""What a run does: train, predict, evaluate, velocities; and questions put to its models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from splicedvae.pipeline._asking import (
    Novelty,
    TrainedOn,
    cells_seen,
    fit_of,
    known_cells_note,
    novelty,
    orthologs_asked,
    orthologs_between,
    trained_on,
)
from splicedvae.pipeline._candidates import BEST, Candidate, candidates, compared
from splicedvae.pipeline._first_look import FirstLook, first_look
from splicedvae.pipeline._one_gene import RatioIntervals, gene_moments, ratio_intervals
from splicedvae.pipeline._storing import CardWords, store_run
from splicedvae.pipeline._triage import KnownOrder, TriageResult, triage
from splicedvae.pipeline.stability import CHANGES, Stability, velocity_stability

if TYPE_CHECKING:
    import pandas as pd

    from splicedvae.io import ReadResult
    from splicedvae.runs import Run, RunConfig, Status

__all__ = [
    "BEST",
    "CHANGES",
    "Candidate",
    "CardWords",
    "FirstLook",
    "KnownOrder",
    "Novelty",
    "RatioIntervals",
    "Stability",
    "TrainedOn",
    "TriageResult",
    "candidates",
    "cells_seen",
    "compared",
    "evaluate_on",
    "execute",
    "first_look",
    "fit_of",
    "gene_moments",
    "known_cells_note",
    "novelty",
    "orthologs_asked",
    "orthologs_between",
    "ratio_intervals",
    "store_run",
    "trained_on",
    "triage",
    "velocity_stability",
]


def execute(
    config: RunConfig,
    folder: Path | str,
    *,
    resume: bool = False,
    progress: Callable[[Status], None] | None = None,
) -> Run:
    """Do everything a run consists of, in this process.

    Parameters
    ----------
    config
        What to do.
    folder
        Where to write. It must not exist, be empty, or be prepared for the same configuration.
    resume
        Whether the folder holds a run that was stopped, lost or failed, which is now resumed from
        where its training was kept.
    progress
        Called with each new status.

    Returns
    -------
    The finished run.

    Raises
    ------
    SplicedVAEError
        If the data or settings do not allow it; the status is then ``"failed"`` with the message.
    RunError
        If the folder holds another run or none that can be resumed, memory or disk run out, or
        something unforeseen happens, the details of which are in the log.
    KeyboardInterrupt
        If SIGINT or SIGTERM requested a stop; the status is then ``"stopped"``.
    """
    # torch takes seconds to import, and a page that lists runs does not need it.
    from splicedvae.pipeline._execute import execute as work

    return work(config, folder, resume=resume, progress=progress)


def evaluate_on(
    run: Run, result: ReadResult, *, batch_key: str | None = None, cluster_key: str | None = None
) -> tuple[pd.DataFrame, list[str]]:
    """Evaluate a trained run's models and baselines on a file with S/U.

    Parameters
    ----------
    run
        A finished training run.
    result
        The file. Cells that the models were trained on are left out.
    batch_key
        Column of ``obs`` with batches, if the models were trained with batches.
    cluster_key
        Column of ``obs`` with cell groups, or None.

    Returns
    -------
    metrics
        Tidy: predictor, metric, coverage, value, ceiling, n, note.
    notes
        What was done, one sentence each.

    Raises
    ------
    DataError
        If the file has no measured S/U, or no cell that was held out.
    GenesError
        If too few of the models' genes are in the file.
    RunError
        If the run was not trained.
    """
    from splicedvae.pipeline.assessment import assess_on

    return assess_on(run, result, batch_key=batch_key, cluster_key=cluster_key)
