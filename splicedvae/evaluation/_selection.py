"""How well ratios are predicted in any set of cells, and what is expressed there, at once.

A visitor draws a line around cells and wants their numbers while still looking. All metrics here
are functions of sums over entries, so the sums are taken once per cell, and once per cell and gene;
a set of cells then costs a few additions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.sparse import csr_matrix

from splicedvae._core.errors import DataError
from splicedvae._core.keys import Sources
from splicedvae.evaluation._entries import Entries

#: Cells whose entries are held at a time.
_CHUNK: Final = 20_000


class SelectionScores:
    """Sums over the entries of evaluated cells, from which the metrics of any of them follow.

    Parameters
    ----------
    spliced
        Measured spliced counts of the cells for the evaluation, shape (n_cells, n_genes).
    unspliced
        Measured unspliced counts, same shape.
    predictions
        Predicted ratio of each predictor, same shape, stored at least where something was counted.
    gene_mean
        Ratio of each gene over the training cells, shape (n_genes,); the baseline.
    coverage
        Least number of molecules of an entry for RMSE and Pearson r.

    Raises
    ------
    DataError
        If shapes do not match or a prediction is not a number.
    """

    def __init__(
        self,
        spliced: csr_matrix,
        unspliced: csr_matrix,
        predictions: Mapping[str, Any],
        *,
        gene_mean: ArrayLike,
        coverage: int = 5,
    ) -> None:
        means = np.asarray(gene_mean, dtype=np.float64)
        n_cells, n_genes = spliced.shape
        if means.shape != (n_genes,):
            raise DataError(
                f"There are {means.size:,} gene means for {n_genes:,} genes, expected one "
                "each: give the means of the same genes."
            )
        for name, ratio in predictions.items():
            if ratio.shape != spliced.shape:
                raise DataError(
                    f"The prediction {name!r} has shape {ratio.shape}, the counts have "
                    f"{spliced.shape}: predict for the same cells and genes."
                )
        self.coverage = coverage
        self.n_cells = n_cells
        self.n_genes = n_genes
        self.predictors = (*predictions, Sources.GENE_MEAN)
        chunks = [
            self._sums(
                Entries(csr_matrix(spliced[start:stop]), csr_matrix(unspliced[start:stop])),
                {name: ratio[start:stop] for name, ratio in predictions.items()},
                means,
            )
            for start, stop in _spans(n_cells)
        ]
        self._cells: dict[str, NDArray[np.float64]] = {
            name: np.concatenate([sums[name] for sums, _ in chunks]) for name in chunks[0][0]
        }
        self._genes: dict[str, csr_matrix] = {
            name: csr_matrix(sparse.vstack([kept[name] for _, kept in chunks]))
            for name in chunks[0][1]
        }

    def _sums(
        self, entries: Entries, predictions: Mapping[str, Any], means: NDArray[np.float64]
    ) -> tuple[dict[str, NDArray[np.float64]], dict[str, csr_matrix]]:
        n_cells = entries.shape[0]
        covered = entries.n >= self.coverage
        cells = entries.cells[covered]

        def per_cell(values: NDArray[Any]) -> NDArray[np.float64]:
            return np.bincount(cells, weights=values, minlength=n_cells).astype(np.float64)

        def by_gene(values: NDArray[np.float64]) -> csr_matrix:
            return csr_matrix(
                (values.astype(np.float32), (entries.cells, entries.genes)), shape=entries.shape
            )

        # Around one half, squares lose no digits.
        x = entries.ratio[covered] - 0.5
        sums = {
            "n": per_cell(np.ones_like(x)),
            "x": per_cell(x),
            "xx": per_cell(x**2),
            "noise": per_cell(entries.noise[covered]),
        }
        kept = {"molecules": by_gene(entries.n)}
        for name in self.predictors:
            at = (
                means[entries.genes]
                if name == Sources.GENE_MEAN
                else _at(predictions[name], entries)
            )
            if not np.isfinite(at).all():
                raise DataError(
                    f"The prediction {name!r} holds values that are not numbers, expected "
                    "finite ones: check that training converged."
                )
            y = at[covered] - 0.5
            sums[f"y {name}"] = per_cell(y)
            sums[f"yy {name}"] = per_cell(y**2)
            sums[f"xy {name}"] = per_cell(x * y)
            sums[f"ee {name}"] = per_cell((x - y) ** 2)
            losses = entries.losses(at)
            sums[f"loss {name}"] = np.bincount(
                entries.cells, weights=losses, minlength=n_cells
            ).astype(np.float64)
            kept[name] = by_gene(losses)
        return sums, kept

    def metrics(self, chosen: NDArray[np.bool_]) -> pd.DataFrame:
        """Evaluate the predictions in some of the cells.

        Parameters
        ----------
        chosen
            Which of the evaluated cells, shape (n_cells,).

        Returns
        -------
        A row for each predictor, the gene mean last, with ``predictor``, ``rmse``, ``pearson``
        (over entries with the coverage), ``skill`` (1 - negative log-likelihood over the gene
        mean's, all entries), ``n`` (entries with the coverage), ``rmse_ceiling`` and
        ``pearson_ceiling`` (what the truth itself would reach, from the binomial variance). NaN
        without counts or variation.
        """
        total = {name: float(values @ chosen) for name, values in self._cells.items()}
        n = total["n"]
        variance = _spread(n, total["x"], total["xx"])
        noise = total["noise"] / n if n else np.nan
        best_r = np.sqrt(max(1 - noise / variance, 0.0)) if variance > 0 else np.nan
        constant = total[f"loss {Sources.GENE_MEAN}"]
        rows = []
        for name in self.predictors:
            spread = _spread(n, total[f"y {name}"], total[f"yy {name}"])
            shared = total[f"xy {name}"] / n - total["x"] * total[f"y {name}"] / n**2 if n else 0.0
            scale = np.sqrt(spread * variance)
            rows.append(
                {
                    "predictor": name,
                    "rmse": np.sqrt(total[f"ee {name}"] / n) if n else np.nan,
                    "pearson": float(np.clip(shared / scale, -1, 1)) if scale > 1e-12 else np.nan,
                    "skill": 1 - total[f"loss {name}"] / constant if constant > 0 else np.nan,
                    "n": int(n),
                    "rmse_ceiling": np.sqrt(noise),
                    "pearson_ceiling": best_r,
                }
            )
        return pd.DataFrame(rows)

    def genes(self, chosen: NDArray[np.bool_], names: Sequence[str]) -> pd.DataFrame:
        """Evaluate each gene in some of the cells.

        Parameters
        ----------
        chosen
            Which of the evaluated cells, shape (n_cells,).
        names
            The genes' names.

        Returns
        -------
        A row for each gene, indexed by its name: ``molecules``, and ``skill_<predictor>`` over the
        gene mean of the training cells; NaN where the gene was not counted.
        """
        weights = chosen.astype(np.float32)
        frame = pd.DataFrame(index=pd.Index(list(names), name="gene"))
        frame["molecules"] = np.round(self._genes["molecules"].T @ weights).astype(int)
        constant = np.asarray(self._genes[Sources.GENE_MEAN].T @ weights, dtype=np.float64)
        for name in self.predictors[:-1]:
            losses = np.asarray(self._genes[name].T @ weights, dtype=np.float64)
            skill = np.full(self.n_genes, np.nan)
            np.divide(losses, constant, out=skill, where=constant > 0)
            frame[f"skill_{name}"] = 1 - skill
        return frame


def fold_changes(
    totals: csr_matrix, chosen: NDArray[np.bool_], depths: NDArray[np.floating[Any]]
) -> NDArray[np.float64]:
    """Compare the expression of each gene in some cells with that in the others.

    Parameters
    ----------
    totals
        Counts, shape (n_cells, n_genes).
    chosen
        Which cells, shape (n_cells,).
    depths
        Total counts of each cell, shape (n_cells,); cells without counts are left out.

    Returns
    -------
    Shape (n_genes,): log2 of the mean counts per 10,000 plus 1 in the chosen cells over that in
    the others. NaN where one of the two sets is empty.
    """
    counted = depths > 0
    weights = np.zeros((len(depths), 2))
    np.divide(1e4, depths, out=weights[:, 0], where=counted & chosen)
    np.divide(1e4, depths, out=weights[:, 1], where=counted & ~chosen)
    n = np.array([(counted & chosen).sum(), (counted & ~chosen).sum()], dtype=np.float64)
    if not n.all():
        return np.full(totals.shape[1], np.nan)
    means = np.asarray(totals.T @ weights) / n
    return np.asarray(np.log2(means[:, 0] + 1) - np.log2(means[:, 1] + 1))


def _spans(n_cells: int) -> list[tuple[int, int]]:
    """Cut the cells into chunks, at least one."""
    starts = range(0, max(n_cells, 1), _CHUNK)
    return [(start, min(start + _CHUNK, n_cells)) for start in starts]


def _spread(n: float, first: float, second: float) -> float:
    return max(second / n - (first / n) ** 2, 0.0) if n else 0.0


def _at(ratio: Any, entries: Entries) -> NDArray[np.float64]:
    """Read a predicted ratio, sparse or dense, at the counted entries."""
    if not sparse.issparse(ratio):
        return entries.at(ratio)
    stored = csr_matrix(ratio)
    if not stored.has_sorted_indices:
        stored = stored.sorted_indices()
    rows = np.repeat(np.arange(stored.shape[0]), np.diff(stored.indptr))
    same = stored.nnz == len(entries.n)
    if same and (stored.indices == entries.genes).all() and (rows == entries.cells).all():
        return np.asarray(stored.data, dtype=np.float64)
    found = stored[entries.cells, entries.genes] if len(entries.n) else np.zeros(0)
    return np.asarray(found, dtype=np.float64).ravel()
