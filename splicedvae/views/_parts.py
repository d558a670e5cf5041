"""What several views take from a run: its clusters, depths, maps, and numbers in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from splicedvae import plotting
from splicedvae._core.keys import Obs, Sources, Split

if TYPE_CHECKING:
    from anndata import AnnData

    from splicedvae.runs import Run

#: Columns of the tables beside the predictors.
BEST_POSSIBLE: Final = "best possible"
#: Column of a table of velocities: how far two halves of the measured molecules agree.
MEASURED_HALVES: Final = "two measured halves"
N_VALUES: Final = "values"
NOT_MEASURED: Final = (
    "The data has no spliced and unspliced counts, so that no unspliced fraction is known: look at "
    "data that has them."
)
#: More categories than this are no legend any more.
_MOST_CATEGORIES: Final = 60


def points_of(cells: AnnData, key: str) -> NDArray[np.float32]:
    return np.asarray(cells.obsm[key], dtype=np.float32)[:, :2]


def cluster_key(run: Run) -> str | None:
    """Return the column with the clusters; a run gives them one name, whatever the file's."""
    return Obs.CLUSTERS if Obs.CLUSTERS in run.predictions.obs else None


def is_number(column: pd.Series) -> bool:
    types = pd.api.types
    return types.is_numeric_dtype(column.dtype) and not types.is_bool_dtype(column.dtype)


def is_colorable(column: pd.Series) -> bool:
    if is_number(column):
        return bool(column.notna().any())
    return 1 <= column.nunique() <= _MOST_CATEGORIES


def categories(cells: AnnData, name: str) -> plotting.Categories:
    column = cells.obs[name].astype("category")
    return plotting.Categories(
        name,
        column.cat.codes.to_numpy(),
        tuple(str(category) for category in column.cat.categories),
    )


def held_out_cells(cells: AnnData) -> NDArray[np.bool_]:
    if Obs.SPLIT not in cells.obs:
        return np.zeros(cells.n_obs, dtype=bool)
    # Categories are compared by their few names, not cell by cell.
    column = cells.obs[Obs.SPLIT].astype("category")
    named = [str(name) == Split.HELD_OUT for name in column.cat.categories]
    return np.append(np.asarray(named, dtype=bool), False)[column.cat.codes.to_numpy()]


def judged_cells(run: Run) -> NDArray[np.intp]:
    """Return the rows of a run's held-out cells, of all its cells if none were held out.

    Parameters
    ----------
    run
        A run.
    """
    held_out = held_out_cells(run.predictions)
    return np.flatnonzero(held_out) if held_out.any() else np.arange(run.predictions.n_obs)


def row_sums(matrix: Any) -> NDArray[np.float64]:
    return np.asarray(matrix.sum(axis=1), dtype=np.float64).ravel()


def depth_of(cells: AnnData) -> NDArray[np.float64]:
    return row_sums(cells.X)


def column_of(matrix: Any, index: int) -> NDArray[np.float64]:
    if sparse.issparse(matrix) and matrix.format == "csr":
        # scipy's own slicing of a column writes a whole new matrix: 5 times as slow.
        entries = np.flatnonzero(matrix.indices == index)
        rows = np.searchsorted(matrix.indptr, entries, side="right") - 1
        found = np.bincount(rows, weights=matrix.data[entries], minlength=matrix.shape[0])
        return found.astype(np.float64)
    column = matrix[:, [index]]
    return np.asarray(column.toarray() if sparse.issparse(column) else column, float).ravel()


def metric_value(run: Run, predictor: str, metric: str, coverage: int) -> float | None:
    table = run.metrics
    row = table[
        (table["predictor"] == predictor)
        & (table["metric"] == metric)
        & (table["coverage"] == coverage)
    ]
    values = row["value"].to_numpy(dtype=float)
    return float(values[0]) if values.size and np.isfinite(values[0]) else None


def value_of(
    metrics: pd.DataFrame,
    predictor: str,
    key: str,
    coverage: int | None = None,
    *,
    column: str = "value",
) -> float:
    """Look one number up in a run's metrics.

    Parameters
    ----------
    metrics
        Tidy: predictor, metric, coverage, value, ceiling, n, note.
    predictor, key
        Which.
    coverage
        Least S + U of an entry; None takes the lowest there is.
    column
        ``"value"`` or ``"ceiling"``.

    Returns
    -------
    The number, NaN if there is none.
    """
    # A page looks up a hundred numbers: on arrays this is 20 times as fast as on tables.
    metric_is, predictor_is = metrics["metric"].to_numpy(), metrics["predictor"].to_numpy()
    rows = np.flatnonzero((metric_is == key) & (predictor_is == predictor))
    if not rows.size:
        return float("nan")
    at = metrics["coverage"].to_numpy(dtype=float)[rows]
    # Rows without a coverage come last.
    rows = rows[np.argsort(at, kind="stable")] if coverage is None else rows[at == coverage]
    return float(metrics[column].to_numpy(dtype=float)[rows[0]]) if rows.size else float("nan")


def plain_label(predictor: str) -> str:
    return Sources.LABELS.get(predictor, predictor.replace("_", " "))


def number(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}" if np.isfinite(value) else "–"


def number_range(values: NDArray[np.float64], digits: int) -> str:
    """Write the numbers that belong to a row once, or from the least to the largest."""
    values = values[np.isfinite(values)]
    if not values.size:
        return "–"
    low, high = number(values.min(), digits), number(values.max(), digits)
    return low if low == high else f"{low} to {high}"
