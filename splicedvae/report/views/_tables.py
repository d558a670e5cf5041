"""All metrics of a run as tables for a reader."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd

from splicedvae import plotting
from splicedvae.report.views._parts import (
    BEST_POSSIBLE,
    MEASURED_HALVES,
    METRICS,
    N_VALUES,
    WITH_COVERAGE,
    number,
    number_range,
    plain_label,
)

if TYPE_CHECKING:
    from splicedvae.runs import Run

#: What a metric is about, by how its name begins; all others are about the ratio.
_ABOUT: Final[Mapping[str, tuple[str, ...]]] = {
    "velocity": ("velocity_", "agreement_", "cbdir", "coherence_", "time_order"),
    "latent": ("expression_", "silhouette_", "nmi_", "ari_", "time_r2"),
}


def metrics_table(
    run: Run, *, about: Literal["ratio", "velocity", "latent"] = "ratio"
) -> pd.DataFrame:
    """Arrange the metrics of a run for a reader: a row for each metric and coverage.

    Parameters
    ----------
    run
        The run.
    about
        Metrics of the predicted ratio, of the velocity made from it, or of expression and the
        latent space.

    Returns
    -------
    Text, indexed by what is measured ("n" is the least S + U of an entry): a column for each
    predictor, `BEST_POSSIBLE` (what the noise of the measurement allows, where known) or, for
    velocities, `MEASURED_HALVES` (how far two halves of the measurement agree), and
    `N_VALUES` (how many values the metric is taken over). "–" stands where there is none. No
    rows if the run has no such metric.
    """
    metrics = run.metrics
    of_kind = {name: metrics["metric"].str.startswith(parts) for name, parts in _ABOUT.items()}
    metrics = metrics[of_kind.get(about, ~of_kind["velocity"] & ~of_kind["latent"])]
    names = [name for name in METRICS if (metrics["metric"] == name).any()]
    names += [str(name) for name in dict.fromkeys(metrics["metric"]) if name not in names]
    columns = [str(name) for name in dict.fromkeys(metrics["predictor"])]
    if about != "velocity":
        columns = plotting.predictors_in_order(columns)
    limit = MEASURED_HALVES if about == "velocity" else BEST_POSSIBLE
    rows: dict[str, dict[str, str]] = {}
    for name in names:
        title, digits = METRICS.get(name, (name.replace("_", " "), 3))
        part = metrics[metrics["metric"] == name]
        for coverage, at in part.groupby("coverage", dropna=False):
            values = dict(zip(at["predictor"], at["value"].to_numpy(dtype=float), strict=True))
            row = {
                plain_label(column): number(values.get(column, np.nan), digits)
                for column in columns
            }
            row[limit] = number_range(at["ceiling"].to_numpy(dtype=float), digits)
            row[N_VALUES] = number_range(at["n"].to_numpy(dtype=float), 0)
            rows[f"{title}, n ≥ {coverage:g}" if name in WITH_COVERAGE else title] = row
    return pd.DataFrame.from_dict(rows, orient="index")
