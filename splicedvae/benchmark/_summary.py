"""From the metrics of many runs to means, spreads and differences."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from splicedvae._core.errors import DataError
from splicedvae._core.keys import Sources

#: Metrics where the smaller number is the better one.
LOWER_IS_BETTER: Final = frozenset(
    {"rmse", "nll", "calibration_error", "expression_nll", "expression_elbo"}
)
_BY: Final = ["predictor", "metric", "coverage"]
_RUN: Final = ["seed", "fold"]
_NEEDED: Final = (*_RUN, *_BY, "value", "ceiling", "note")


def summarise(metrics: pd.DataFrame) -> pd.DataFrame:
    """Mean and spread of every metric over the runs of a benchmark.

    Parameters
    ----------
    metrics
        Tidy metrics of all runs: ``seed``, ``fold``, ``predictor``, ``metric``, ``coverage``,
        ``value``, ``ceiling`` and ``note``.

    Returns
    -------
    One row per predictor, metric and coverage: ``mean``, ``sd`` (standard deviation over runs, of
    which each has a seed and its own fold; not a number with one run), ``ceiling`` (mean),
    ``n_runs`` and ``note`` of the first run.

    Raises
    ------
    DataError
        If a column is missing.
    """
    _check(metrics)
    groups = metrics.groupby(_BY, sort=False, dropna=False)
    summary = groups.agg(
        mean=("value", "mean"),
        sd=("value", "std"),
        ceiling=("ceiling", "mean"),
        n_runs=("value", "count"),
        note=("note", "first"),
    )
    return summary.reset_index()


def compare(metrics: pd.DataFrame, *, reference: str = Sources.SPLICEDVAE) -> pd.DataFrame:
    """How far a predictor is better than each other one, run by run.

    Runs differ in their cells, and all predictors of a run share them; so the difference within a
    run is taken first.

    Parameters
    ----------
    metrics
        As for `summarise`.
    reference
        The predictor that is compared with the others.

    Returns
    -------
    One row per other predictor, metric and coverage: ``difference`` (mean over runs, positive
    where ``reference`` is better), ``sd`` of it over runs, ``n_runs``, ``wins`` (runs in which
    ``reference`` was better) and ``clear``: whether the mean difference is larger than its spread.
    With fewer than two runs nothing is clear.

    Raises
    ------
    DataError
        If a column is missing or the reference is not among the predictors.
    """
    _check(metrics)
    ours = metrics[metrics["predictor"] == reference]
    if ours.empty:
        raise DataError(
            f"The metrics have no predictor {reference!r} as reference: choose one of "
            f"{', '.join(dict.fromkeys(metrics['predictor']))}."
        )
    keys = [*_RUN, "metric", "coverage"]
    both = metrics[metrics["predictor"] != reference].merge(
        ours[[*keys, "value"]], on=keys, suffixes=("", "_ours")
    )
    sign = np.where(both["metric"].isin(LOWER_IS_BETTER), -1.0, 1.0)
    both = both.assign(better=sign * (both["value_ours"] - both["value"])).dropna(subset=["better"])
    both = both.assign(won=both["better"] > 0)
    table = (
        both.groupby(_BY, sort=False)
        .agg(
            difference=("better", "mean"),
            sd=("better", "std"),
            n_runs=("better", "count"),
            wins=("won", "sum"),
        )
        .reset_index()
    )
    table["clear"] = table["difference"].abs() > table["sd"]
    return table


def _check(metrics: pd.DataFrame) -> None:
    missing = [column for column in _NEEDED if column not in metrics.columns]
    if missing:
        raise DataError(
            f"The metrics lack the column {missing[0]!r}, expected {', '.join(_NEEDED)}: "
            "pass the metrics of a benchmark."
        )
