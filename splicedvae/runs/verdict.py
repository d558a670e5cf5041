"""The verdict on each velocity of a run, from the numbers in its folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from splicedvae._core.errors import RunError
from splicedvae._core.keys import Sources
from splicedvae.evaluation import VelocityFacts, VelocityVerdict, judge_velocity

if TYPE_CHECKING:
    import pandas as pd

    from splicedvae.runs.run import Run

#: Names in a velocity's account: novelty of the cells, and the verdict in the training data.
NOVELTY: Final = "novelty"
TRAINED: Final = "verdict_in_training_data"


def velocity_facts(run: Run, source: str) -> VelocityFacts:
    """Collect the facts of a run on one of its velocities.

    Parameters
    ----------
    run
        The run.
    source
        ``"measured"``, ``"splicedvae"`` or ``"scvi"``.
    """
    try:
        metrics = run.metrics
    except RunError:
        # Nothing was measured, or an evaluation was not requested.
        metrics = None
    return facts_in(metrics, run.velocity_account[source], run.depths, source)


def facts_in(
    metrics: pd.DataFrame | None,
    entry: Mapping[str, Any],
    depths: NDArray[np.float64],
    source: str,
) -> VelocityFacts:
    """Gather what is known of a velocity from the parts of a run.

    Parameters
    ----------
    metrics
        Those of a run; None where it has none.
    entry
        The account of the velocity.
    depths
        Total counts of each cell over the model's genes.
    source
        As for `velocity_facts`.
    """
    measured = source == Sources.MEASURED
    beside = source if not measured else Sources.SPLICEDVAE
    return VelocityFacts(
        origin="measured" if measured else "predicted",
        evidence_p=_value(metrics, Sources.MEASURED, "velocity_evidence_p"),
        evidence_within_p=_value(metrics, Sources.MEASURED, "velocity_evidence_within_p"),
        skill=_value(metrics, source, "skill"),
        agreement_genes=_value(metrics, source, "velocity_cosine_genes_equal"),
        agreement_genes_p=_value(metrics, source, "agreement_genes_equal_p"),
        agreement_genes_chance=_value(metrics, source, "agreement_genes_equal_chance"),
        agreement_map=_value(metrics, source, "velocity_cosine_umap"),
        agreement_map_p=_value(metrics, source, "agreement_umap_p"),
        agreement_map_chance=_value(metrics, source, "agreement_umap_chance"),
        halves_genes=_value(metrics, beside, "velocity_cosine_genes_equal", "ceiling"),
        halves_map=_value(metrics, beside, "velocity_cosine_umap", "ceiling"),
        direction=_value(metrics, source, "cbdir"),
        direction_chance=_value(metrics, source, "cbdir_null"),
        n_judged=int(np.nan_to_num(_value(metrics, beside, "velocity_cosine_genes", "n"))),
        effective_genes=_value(metrics, source, "velocity_effective_genes"),
        novelty=float(entry.get(NOVELTY, np.nan)),
        trained=entry.get(TRAINED),
        depth=float(np.median(depths)) if len(depths) else np.nan,
    )


def velocity_verdict(run: Run, source: str) -> VelocityVerdict:
    """Judge one velocity of a run (`splicedvae.evaluation.judge_velocity`).

    Parameters
    ----------
    run
        The run.
    source
        A source whose velocity was computed from counts, measured or predicted.
    """
    return judge_velocity(velocity_facts(run, source))


def _value(
    metrics: pd.DataFrame | None, predictor: str, metric: str, column: str = "value"
) -> float:
    if metrics is None or not len(metrics):
        return float("nan")
    rows = metrics[(metrics["predictor"] == predictor) & (metrics["metric"] == metric)]
    return float(rows[column].iloc[0]) if len(rows) else float("nan")
