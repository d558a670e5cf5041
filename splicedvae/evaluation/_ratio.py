"""Metrics of a predicted splicing ratio on held-out cells, each with its noise ceiling.

The mean variance of the sampling noise (`_entries`) gives the RMSE that the truth itself would
have, and one minus its share of the total variance is the square of the correlation that the truth
itself would have. This is preferred to cutting entries in two by thinning, which is not informative
on the entries with one molecule that dominate at coverage >= 1; where counts are pooled over a
cluster first, thinning is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix

from splicedvae._core.errors import DataError
from splicedvae.evaluation._calibration import calibration_error, within_gene_slope
from splicedvae.evaluation._entries import Entries, correlation, counted_entries
from splicedvae.evaluation._splits import ceiling_from_halves, thin_counts

COVERAGES = (1, 2, 5, 10)
#: Molecules of a gene in a cluster below which their ratio is left out of the pooled metrics, by
#: metric: what they reach, and their ceilings, depend much on that.
MIN_POOLED = {"within_gene_r_by_cluster": 10, "within_gene_r_by_cluster_50": 50}
#: Cells of a cluster below which it is left out of the pooled metric.
MIN_CLUSTER = 5
#: Counted held-out entries of a gene, or of a cell, below which it has no correlation of its own.
MIN_ENTRIES = 20


@dataclass(frozen=True)
class RatioDensity:
    """Two-dimensional histogram of predicted against measured ratios.

    Parameters
    ----------
    counts
        Entries per cell of the histogram, shape (n_bins, n_bins): measured x predicted.
    edges
        Edges of the bins on both axes, shape (n_bins + 1,).
    coverage
        Least number of molecules of the entries counted.
    """

    counts: NDArray[np.int64]
    edges: NDArray[np.float64]
    coverage: int


def ratio_metrics(
    spliced: csr_matrix,
    unspliced: csr_matrix,
    predictions: Mapping[str, ArrayLike],
    *,
    gene_mean: ArrayLike,
    clusters: Sequence[object] | None = None,
    coverages: Sequence[int] = COVERAGES,
    min_pooled: Mapping[str, int] = MIN_POOLED,
    seed: int = 0,
) -> pd.DataFrame:
    """Evaluate predicted splicing ratios on held-out cells.

    Parameters
    ----------
    spliced
        Measured spliced counts of the held-out cells, shape (n_cells, n_genes).
    unspliced
        Measured unspliced counts, same shape.
    predictions
        Predicted ratio of each predictor, same shape, from total counts alone.
    gene_mean
        Ratio of each gene over the training cells, shape (n_genes,).
    clusters
        A label per held-out cell, for the metric pooled by cluster; ``None`` leaves it out.
    coverages
        Least numbers of molecules for which RMSE and Pearson r are given.
    min_pooled
        Least numbers of molecules of a gene in a cluster for the pooled metrics, by their names.
    seed
        Seed of the thinning behind the pooled ceiling.

    Returns
    -------
    One row per predictor, metric and coverage with the columns ``predictor``, ``metric``,
    ``coverage``, ``value``, ``ceiling`` (what the truth itself would reach), ``n`` (entries behind
    it) and ``note``. Metrics:

    * ``rmse``, ``pearson`` - over all entries with that coverage.
    * ``nll`` - mean negative log-likelihood per molecule, in nats, of a binomial.
    * ``skill`` - 1 - nll / nll of the gene mean; above 0 is better than a constant.
    * ``calibration_error`` - mean distance over molecules between the predicted ratio and the
      spliced share in the bins of `reliability`; the smaller, the better.
    * ``within_gene_r`` - count-weighted correlation after each gene's own mean is subtracted:
      the only variation that carries velocity.
    * ``within_gene_slope`` - count-weighted slope of the measured on the predicted deviation from
      the gene's mean: 1 where the amplitude is right, above where it is shrunk too much; missing
      without variation.
    * ``within_gene_r_by_cluster`` - the same of counts pooled by cluster, where noise is small,
      over clusters with 10 molecules of the gene; ``..._50`` over those with 50.

    Raises
    ------
    DataError
        If there are no counts, or shapes do not match.
    """
    entries = counted_entries(spliced, unspliced)
    constant_nll = entries.nll(np.asarray(gene_mean, dtype=np.float64)[entries.genes])
    pooled: dict[str, tuple[_Pooled, float]] = {}
    if clusters is not None:
        for name, least in min_pooled.items():
            summed = _Pooled.of(csr_matrix(spliced), csr_matrix(unspliced), clusters, least)
            pooled[name] = (summed, summed.ceiling(seed))
    within_ceiling = _within_ceiling(entries)
    rows: list[dict[str, object]] = []
    for predictor, ratio in predictions.items():
        dense = np.asarray(ratio, dtype=np.float64)
        values = entries.at(dense)

        def row(
            metric: str,
            value: float,
            ceiling: float = np.nan,
            n: int = len(entries.n),
            coverage: int = 1,
            note: str = "",
            predictor: str = predictor,
        ) -> None:
            rows.append(
                {
                    "predictor": predictor,
                    "metric": metric,
                    "coverage": coverage,
                    "value": value,
                    "ceiling": ceiling,
                    "n": n,
                    "note": note,
                }
            )

        for coverage in coverages:
            at = entries.n >= coverage
            if not at.any():
                row("rmse", np.nan, n=0, coverage=coverage, note="no entry has this many counts")
                row("pearson", np.nan, n=0, coverage=coverage, note="no entry has this many counts")
                continue
            noise = float(entries.noise[at].mean())
            total = float(entries.ratio[at].var())
            rmse = float(np.sqrt(np.mean((values[at] - entries.ratio[at]) ** 2)))
            row("rmse", rmse, float(np.sqrt(noise)), int(at.sum()), coverage)
            reliable = float(np.sqrt(max(1 - noise / total, 0))) if total > 0 else np.nan
            row(
                "pearson",
                correlation(values[at], entries.ratio[at]),
                reliable,
                int(at.sum()),
                coverage,
            )
        nll = entries.nll(values)
        molecules = int(entries.n.sum())
        row(
            "nll",
            nll,
            n=molecules,
            note="the true ratios and so the ceiling are unknown",
        )
        row(
            "skill",
            1 - nll / constant_nll,
            n=molecules,
            note="the true ratios and so the ceiling are unknown",
        )
        error, least_error = calibration_error(entries, values)
        row("calibration_error", error, least_error)
        deviation = entries.within(values)
        flat = not np.any(np.abs(deviation) > 1e-7)
        flat_note = "constant within every gene: no velocity" if flat else ""
        row(
            "within_gene_r",
            0.0 if flat else correlation(deviation, entries.within(entries.ratio), entries.n),
            within_ceiling,
            note=flat_note,
        )
        row(
            "within_gene_slope",
            np.nan if flat else within_gene_slope(entries, deviation),
            1.0,
            note=flat_note,
        )
        for name, (summed, pooled_ceiling) in pooled.items():
            row(
                name,
                0.0 if flat else summed.correlation(dense),
                pooled_ceiling,
                summed.n_used,
                note=flat_note,
            )
    return pd.DataFrame(rows)


def gene_metrics(
    spliced: csr_matrix,
    unspliced: csr_matrix,
    predictions: Mapping[str, ArrayLike],
    *,
    genes: Sequence[str],
    gene_mean: ArrayLike,
) -> pd.DataFrame:
    """Per gene: molecules behind it, its mean, and how well its variation is predicted.

    Parameters
    ----------
    spliced
        Measured spliced counts of the held-out cells, shape (n_cells, n_genes).
    unspliced
        Measured unspliced counts, same shape.
    predictions
        Predicted ratio of each predictor, same shape.
    genes
        Names of the genes.
    gene_mean
        Ratio of each gene over the training cells, shape (n_genes,).

    Returns
    -------
    A frame with a row per gene: ``gene``, ``spliced``, ``unspliced`` (molecules in held-out cells),
    ``cells`` (with a molecule), ``gene_mean``, and per predictor ``within_gene_r_<predictor>``
    (missing below 20 cells or without variation) and ``skill_<predictor>``.
    """
    entries = Entries(csr_matrix(spliced), csr_matrix(unspliced))
    n_genes = entries.shape[1]

    def per_gene(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        sums = np.bincount(entries.genes, weights=weights, minlength=n_genes)
        return np.asarray(sums, dtype=np.float64)

    cells = np.bincount(entries.genes, minlength=n_genes)
    frame = pd.DataFrame(
        {
            "gene": list(genes),
            "spliced": per_gene(entries.s).astype(int),
            "unspliced": per_gene(entries.u).astype(int),
            "cells": cells,
            "gene_mean": np.asarray(gene_mean, dtype=np.float64),
        }
    )
    constant = np.asarray(gene_mean, dtype=np.float64)[entries.genes]
    constant_nll = per_gene(entries.losses(constant))
    measured = entries.within(entries.ratio)
    for predictor, ratio in predictions.items():
        values = entries.at(ratio)
        deviation = entries.within(values)
        cross = per_gene(entries.n * deviation * measured)
        scale = np.sqrt(per_gene(entries.n * deviation**2) * per_gene(entries.n * measured**2))
        usable = (cells >= MIN_ENTRIES) & (scale > 1e-9)
        r = np.full(n_genes, np.nan)
        np.divide(cross, scale, out=r, where=usable)
        frame[f"within_gene_r_{predictor}"] = r
        skill = np.full(n_genes, np.nan)
        losses = per_gene(entries.losses(values))
        np.divide(losses, constant_nll, out=skill, where=constant_nll > 0)
        frame[f"skill_{predictor}"] = 1 - skill
    return frame


def cell_metrics(
    spliced: csr_matrix,
    unspliced: csr_matrix,
    predictions: Mapping[str, ArrayLike],
    *,
    gene_mean: ArrayLike,
) -> pd.DataFrame:
    """Per cell: molecules behind it, and how well its ratios are predicted.

    Parameters
    ----------
    spliced
        Measured spliced counts of the held-out cells, shape (n_cells, n_genes).
    unspliced
        Measured unspliced counts, same shape.
    predictions
        Predicted ratio of each predictor, same shape.
    gene_mean
        Ratio of each gene over the training cells, shape (n_genes,).

    Returns
    -------
    A frame with a row per cell, in their order: ``molecules``, ``genes`` (with a molecule), and per
    predictor ``rmse_<predictor>`` (over the cell's genes, equally weighted),
    ``within_gene_r_<predictor>`` (count-weighted correlation over its genes after each gene's mean
    over the held-out cells is subtracted; a shift common to all its genes does not count; missing
    below 20 genes or without variation) and ``skill_<predictor>``. Missing where a cell has no
    molecule.
    """
    entries = Entries(csr_matrix(spliced), csr_matrix(unspliced))
    n_cells = entries.shape[0]

    def per_cell(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        sums = np.bincount(entries.cells, weights=weights, minlength=n_cells)
        return np.asarray(sums, dtype=np.float64)

    molecules = per_cell(entries.n)
    genes = np.bincount(entries.cells, minlength=n_cells)

    def centred(values: NDArray[np.float64]) -> NDArray[np.float64]:
        within = entries.within(values)
        mean = per_cell(entries.n * within) / np.maximum(molecules, 1)
        return within - mean[entries.cells]

    frame = pd.DataFrame({"molecules": molecules.astype(int), "genes": genes})
    constant_loss = per_cell(entries.losses(np.asarray(gene_mean, dtype=float)[entries.genes]))
    measured = centred(entries.ratio)
    for predictor, ratio in predictions.items():
        values = entries.at(ratio)
        deviation = centred(values)
        squares = np.full(n_cells, np.nan)
        np.divide(per_cell((values - entries.ratio) ** 2), genes, out=squares, where=genes > 0)
        frame[f"rmse_{predictor}"] = np.sqrt(squares)
        cross = per_cell(entries.n * deviation * measured)
        scale = np.sqrt(per_cell(entries.n * deviation**2) * per_cell(entries.n * measured**2))
        r = np.full(n_cells, np.nan)
        np.divide(cross, scale, out=r, where=(genes >= MIN_ENTRIES) & (scale > 1e-9))
        frame[f"within_gene_r_{predictor}"] = r
        skill = np.full(n_cells, np.nan)
        losses = per_cell(entries.losses(values))
        np.divide(losses, constant_loss, out=skill, where=constant_loss > 0)
        frame[f"skill_{predictor}"] = 1 - skill
    return frame


def ratio_density(
    spliced: csr_matrix,
    unspliced: csr_matrix,
    ratio: ArrayLike,
    *,
    coverage: int = 5,
    n_bins: int = 40,
) -> RatioDensity:
    """Count entries by measured and predicted ratio, for a figure without a million dots.

    Parameters
    ----------
    spliced
        Measured spliced counts, shape (n_cells, n_genes).
    unspliced
        Measured unspliced counts, same shape.
    ratio
        Predicted ratio, same shape.
    coverage
        Least number of molecules of an entry.
    n_bins
        Bins on each axis.

    Returns
    -------
    The histogram.
    """
    entries = Entries(csr_matrix(spliced), csr_matrix(unspliced))
    at = entries.n >= coverage
    edges = np.linspace(0, 1, n_bins + 1)
    counts, _, _ = np.histogram2d(entries.ratio[at], entries.at(ratio)[at], bins=[edges, edges])
    return RatioDensity(counts=counts.astype(np.int64), edges=edges, coverage=coverage)


class _Pooled:
    """Counts added up by cluster: few numbers, little noise."""

    def __init__(
        self, members: csr_matrix, spliced: csr_matrix, counted: csr_matrix, least: int
    ) -> None:
        self.members = members
        self.counted_cells = counted
        self.s = (members @ spliced).toarray()
        self.n = (members @ counted).toarray()
        used = self.n >= least
        # A gene seen in one cluster only has no variation to measure.
        self.used = used & (used.sum(axis=0) >= 2)
        self.n_used = int(self.used.sum())

    @classmethod
    def of(
        cls,
        spliced: csr_matrix,
        unspliced: csr_matrix,
        clusters: Sequence[object],
        least: int,
    ) -> _Pooled:
        names, codes = np.unique(np.asarray(clusters).astype(str), return_inverse=True)
        if len(codes) != spliced.shape[0]:
            raise DataError(
                f"Found {len(codes):,} cluster labels for {spliced.shape[0]:,} cells, "
                "expected one each; pass the labels of the held-out cells."
            )
        members = csr_matrix(
            (np.ones(len(codes)), (codes, np.arange(len(codes)))), shape=(len(names), len(codes))
        )
        members = members[np.bincount(codes) >= MIN_CLUSTER]
        return cls(members, spliced, csr_matrix(spliced + unspliced), least)

    def _residual(self, ratio: NDArray[np.float64]) -> NDArray[np.float64]:
        weight = np.where(self.used, self.n, 0)
        mean = (weight * ratio).sum(axis=0) / np.maximum(weight.sum(axis=0), 1)
        return (ratio - mean)[self.used]

    def correlation(self, ratio: NDArray[np.float64]) -> float:
        """Of a predicted ratio, weighted by molecules as the measured one is."""
        predicted = (self.members @ self.counted_cells.multiply(ratio)).toarray()
        predicted /= np.maximum(self.n, 1)
        measured = self.s / np.maximum(self.n, 1)
        return correlation(self._residual(predicted), self._residual(measured), self.n[self.used])

    def ceiling(self, seed: int, repeats: int = 5) -> float:
        """Correlation the truth would have: halves by thinning, corrected for half the depth."""
        if not self.n_used:
            return np.nan
        halves = []
        for repeat in range(repeats):
            first, second = thin_counts(csr_matrix(self.s), seed=seed + 2 * repeat)
            first_u, second_u = thin_counts(csr_matrix(self.n - self.s), seed=seed + 2 * repeat + 1)
            ratios = []
            for s, u in ((first, first_u), (second, second_u)):
                n = np.asarray((s + u).todense())
                ratios.append(np.asarray(s.todense()) / np.maximum(n, 1))
            halves.append(
                correlation(self._residual(ratios[0]), self._residual(ratios[1]), self.n[self.used])
            )
        return ceiling_from_halves(float(np.mean(halves)))


def _within_ceiling(entries: Entries) -> float:
    """Count-weighted within-gene correlation that the truth would have with the measurement."""
    residual = entries.within(entries.ratio)
    total = float((entries.n * residual**2).sum())
    # Subtracting a mean estimated from the same entries takes one entry's worth of noise a gene.
    weight = np.bincount(entries.genes, weights=entries.n, minlength=entries.shape[1])
    share = entries.n / np.maximum(weight[entries.genes], 1)
    noise = float((entries.n * entries.noise * (1 - share)).sum())
    return float(np.sqrt(max(1 - noise / total, 0))) if total > 0 else np.nan
