"""Which genes draw the arrows: over all cells, and what sets a cluster's velocity apart.

scVelo's ``rank_velocity_genes`` tests the same, but filters genes by what only measured counts have
(cells with an unspliced count), needs ``Mu``, truncates scores to whole numbers, and takes clusters
for names of record fields. So its test is taken from scanpy, whose genes are those of the velocity.
P-values are left out: smoothed neighbors are not independent samples.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
import scanpy as sc
from anndata import AnnData
from numpy.typing import NDArray
from scipy.stats import rankdata

from splicedvae._core.errors import DataError
from splicedvae._core.keys import Layers, Obs, Var
from splicedvae._core.shares import shares_of

#: Minimum number of cells in a cluster, and outside it.
MIN_CELLS: Final = 10
#: Genes kept for each cluster.
N_GENES: Final = 50
#: Genes that are ranked at once.
_BLOCK: Final = 64
_CODES: Final = "group"
COLUMNS: Final = ("group", "gene", "score", "velocity", "share")


def driver_genes(
    result: AnnData, groups: Sequence[object] | pd.Series | None = None, *, n_genes: int = N_GENES
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rank genes by how much of a velocity is theirs, and by what sets a cluster's apart.

    Parameters
    ----------
    result
        A result of `compute_velocity` or `true_velocity`; not changed.
    groups
        A cluster for each cell, or None; a missing one leaves the cell out of the tests.
    n_genes
        Genes kept for each cluster.

    Returns
    -------
    genes
        All genes of the result as index: ``velocity_share``, the gene's share of the squared
        length of a cell's velocity as the graph compares it (where it compares square roots, of
        the sum of sizes), mean over the cells that move; and
        ``velocity_pseudotime_correlation``, Spearman's r of its smoothed spliced counts with the
        velocity pseudotime, missing if there is none.
    clusters
        A row for each cluster and gene, the largest scores first: ``group``, ``gene``, ``score``
        (Welch's t of the gene's velocity in the cluster against that in all other cells, with the
        variance overestimated as in ``scvelo.tl.rank_velocity_genes``, Bergen et al. 2020, *Nature
        Biotechnology* 38, 1408), ``velocity`` (mean in the cluster) and ``share`` (as above, in the
        cluster). Genes with larger and with smaller velocity than elsewhere are in one list.
        ``attrs["notes"]`` says which clusters were left out.

    Raises
    ------
    DataError
        If there is not a group for each cell.
    """
    if groups is not None and len(groups) != result.n_obs:
        raise DataError(
            f"There are {len(groups)} groups for {result.n_obs} cells, expected one a cell; give "
            "the column of these cells."
        )
    used = np.flatnonzero(result.var[Var.VELOCITY_GENES].to_numpy(dtype=bool))
    velocity = np.nan_to_num(np.asarray(result.layers[Layers.VELOCITY], dtype=np.float32)[:, used])
    names = result.var_names[used]
    shares = shares_of(result)
    moves = np.asarray(shares.any(axis=1), dtype=np.bool_)
    genes = pd.DataFrame(
        {
            Var.VELOCITY_SHARE: np.zeros(result.n_vars),
            Var.TIME_CORRELATION: np.full(result.n_vars, np.nan),
        },
        index=result.var_names,
    )
    if moves.any():
        genes.iloc[used, 0] = shares[moves].mean(axis=0, dtype=np.float64)
    if Obs.PSEUDOTIME in result.obs and Layers.MS in result.layers:
        smoothed = np.asarray(result.layers[Layers.MS])[:, used]
        genes.iloc[used, 1] = _rank_correlation(smoothed, result.obs[Obs.PSEUDOTIME].to_numpy())
    empty = pd.DataFrame(columns=list(COLUMNS))
    empty.attrs["notes"] = []
    if groups is None:
        return genes, empty
    labels = groups if isinstance(groups, pd.Series) else pd.Series(list(groups))
    return genes, _by_group(velocity, shares, moves, names, labels.reset_index(drop=True), n_genes)


def _by_group(
    velocity: NDArray[np.float32],
    shares: NDArray[np.float32],
    moves: NDArray[np.bool_],
    names: pd.Index,
    groups: pd.Series,
    n_genes: int,
) -> pd.DataFrame:
    labels = groups.astype(object).map(str, na_action="ignore")
    sizes = labels.value_counts()
    known = int(labels.notna().sum())
    order = (
        [str(name) for name in groups.cat.categories]
        if isinstance(groups.dtype, pd.CategoricalDtype)
        else sorted(map(str, sizes.index))
    )
    taken = [
        name
        for name in order
        if sizes.get(name, 0) >= MIN_CELLS and known - sizes.get(name, 0) >= MIN_CELLS
    ]
    notes = []
    if left := [name for name in order if sizes.get(name, 0) and name not in taken]:
        notes.append(
            f"{len(left)} of {len(left) + len(taken)} clusters have no driver genes of "
            f"their own, because fewer than {MIN_CELLS} cells are in them or outside them."
        )
    parts = []
    if taken:
        # Names of clusters come from data, and scanpy takes them for names of fields.
        code = {name: str(number) for number, name in enumerate(taken)}
        there = labels.notna().to_numpy()
        cells = AnnData(
            X=velocity[there],
            obs=pd.DataFrame(
                {
                    _CODES: pd.Categorical(
                        [code.get(name, "other") for name in labels[there]],
                    )
                },
                index=[str(number) for number in range(known)],
            ),
            var=pd.DataFrame(index=names),
        )
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # scanpy also makes fold changes, of which velocities have none.
            warnings.simplefilter("ignore")
            sc.tl.rank_genes_groups(
                cells,
                _CODES,
                groups=list(code.values()),
                method="t-test_overestim_var",
                rankby_abs=True,
                n_genes=min(n_genes, len(names)),
                use_raw=False,
            )
        for name, key in code.items():
            found = sc.get.rank_genes_groups_df(cells, key)
            inside = (labels == name).to_numpy()
            where = names.get_indexer(found["names"])
            moving = inside & moves
            share = shares[moving][:, where].mean(axis=0) if moving.any() else np.zeros(len(where))
            parts.append(
                pd.DataFrame(
                    {
                        "group": name,
                        "gene": found["names"].astype(str).to_numpy(),
                        "score": found["scores"].to_numpy(dtype=np.float32),
                        "velocity": velocity[inside][:, where].mean(axis=0),
                        "share": share.astype(np.float32),
                    }
                )
            )
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))
    table.attrs["notes"] = notes
    return table


def _rank_correlation(
    values: NDArray[np.floating], time: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Spearman's r of each column with the time; missing if either is constant."""
    known = np.isfinite(time)
    correlation = np.full(values.shape[1], np.nan)
    if known.sum() < MIN_CELLS:
        return correlation
    later = rankdata(time[known])
    later -= later.mean()
    for start in range(0, values.shape[1], _BLOCK):
        block = slice(start, start + _BLOCK)
        ranks = rankdata(values[known, block], axis=0)
        ranks -= ranks.mean(axis=0)
        size = np.sqrt(np.square(ranks).sum(axis=0) * (later @ later))
        np.divide(later @ ranks, size, out=correlation[block], where=size > 0)
    return correlation
