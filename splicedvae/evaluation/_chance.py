"""Whether a velocity agrees with the measured one by more than chance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np
import pandas as pd
from anndata import AnnData

from splicedvae._core.errors import DataError
from splicedvae.evaluation._velocity import agreement_by_cell, mean_known

#: Share of the permutations that chance, as it is quoted, is not above.
CHANCE_LEVEL: Final = 0.95
#: Where agreements are taken, and the names of their rows.
_WHERE: Final = ("genes", "genes_equal", "umap")


def agreement_tests(
    measured: AnnData, others: Mapping[str, AnnData], shuffled: Iterable[AnnData | None]
) -> pd.DataFrame:
    """Rank each velocity's agreement with the measured one among those with chance.

    The velocities are fixed, and the measurement is replaced by permutations without information on
    a cell's state. If the measured ratios are independent of it, the p-value is exact however
    smooth a velocity is and however few cells there are.

    Parameters
    ----------
    measured
        Result of `splicedvae.velocity.compute_velocity` on measured layers.
    others
        Results on other layers of the same cells and genes, by predictor.
    shuffled
        From `splicedvae.velocity.shuffled_velocities` on the measured layers; None, if permuted
        counts give no velocity, agrees with nothing.

    Returns
    -------
    Rows as of `velocity_metrics`, where n is the number of permutations, for each predictor and
    with ``genes_equal`` (each gene in units of its own spread) and ``umap`` instead of ``genes``:

    * ``agreement_genes_p`` - share of the permutations, the measurement counted among them, with
      which the velocity agrees as well (mean cosine over cells).
    * ``agreement_genes_chance`` - the cosine that 95% of the permutations do not exceed.

    Raises
    ------
    DataError
        If the cells or genes differ, or no velocity gene is shared with the measurement.
    """
    found = {name: _means(measured, other) for name, other in others.items()}
    draws: dict[str, list[list[float]]] = {name: [] for name in others}
    for drawn in shuffled:
        for name, other in others.items():
            draws[name].append(_drawn(drawn, other))
    rows = []
    for name, values in found.items():
        chance = np.asarray(draws[name], dtype=np.float64).reshape(-1, len(_WHERE))
        n = len(chance)
        if not n:
            continue
        for column, where in enumerate(_WHERE):
            value = values[column]
            known = np.isfinite(value)
            reached = int((chance[:, column] >= value).sum())
            for metric, number in (
                ("p", (1 + reached) / (1 + n) if known else np.nan),
                ("chance", float(np.quantile(chance[:, column], CHANCE_LEVEL))),
            ):
                rows.append(
                    {
                        "predictor": name,
                        "metric": f"agreement_{where}_{metric}",
                        "coverage": 1,
                        "value": number,
                        "ceiling": np.nan,
                        "n": n,
                        "note": "measured ratios permuted among cells with as many molecules",
                    }
                )
    return pd.DataFrame(rows)


def _means(measured: AnnData, other: AnnData) -> list[float]:
    cosines, _ = agreement_by_cell(measured, other)
    return [mean_known(cosines[where]) for where in _WHERE]


def _drawn(drawn: AnnData | None, other: AnnData) -> list[float]:
    nothing = [0.0] * len(_WHERE)
    if drawn is None:
        return nothing
    try:
        return list(np.nan_to_num(_means(drawn, other)))
    except DataError:
        # Permuted counts may leave no velocity gene in common.
        return nothing
