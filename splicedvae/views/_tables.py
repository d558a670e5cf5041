"""All metrics of a run as tables for a reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd

from splicedvae import plotting
from splicedvae._core.metrics import METRICS, About, metric_of
from splicedvae.views._parts import (
    BEST_POSSIBLE,
    MEASURED_HALVES,
    N_VALUES,
    number,
    number_range,
    plain_label,
)

if TYPE_CHECKING:
    from splicedvae.runs import Run


def metrics_table(run: Run, *, about: About = "ratio") -> pd.DataFrame:
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
    present = [str(name) for name in dict.fromkeys(metrics["metric"])]
    names = [one.key for one in METRICS if one.key in present]
    names += [name for name in present if name not in names]
    names = [name for name in names if metric_of(name).about == about]
    metrics = metrics[metrics["metric"].isin(names)]
    columns = [str(name) for name in dict.fromkeys(metrics["predictor"])]
    if about != "velocity":
        columns = plotting.predictors_in_order(columns)
    limit = MEASURED_HALVES if about == "velocity" else BEST_POSSIBLE
    rows: dict[str, dict[str, str]] = {}
    for name in names:
        declared = metric_of(name)
        part = metrics[metrics["metric"] == name]
        for coverage, at in part.groupby("coverage", dropna=False):
            values = dict(zip(at["predictor"], at["value"].to_numpy(dtype=float), strict=True))
            row = {
                plain_label(column): number(values.get(column, np.nan), declared.digits)
                for column in columns
            }
            row[limit] = number_range(at["ceiling"].to_numpy(dtype=float), declared.digits)
            row[N_VALUES] = number_range(at["n"].to_numpy(dtype=float), 0)
            rows[declared.at(cast(float, coverage), full=True)] = row
    return pd.DataFrame.from_dict(rows, orient="index")
