"""One gene at a time: what noise leaves to predict in it, and how far its numbers can be trusted.

Metrics over all genes average noise away; a single gene has some hundred molecules, so that its
skill, its pooled ratios and its counts need their own intervals.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.sparse import csr_matrix

from splicedvae._core.errors import DataError
from splicedvae.evaluation._entries import EPS, Entries


def gene_ceilings(spliced: csr_matrix, unspliced: csr_matrix) -> NDArray[np.float64]:
    """Within-gene correlation that the truth itself would have, for each gene.

    The variance of the measured ratio around the gene's mean, less that of sampling, is what there
    is to predict; the square root of its share is the correlation. An estimate from few molecules
    is itself noisy: read 0 as "no more variation than noise".

    Parameters
    ----------
    spliced
        Measured spliced counts of the held-out cells, shape (n_cells, n_genes).
    unspliced
        Measured unspliced counts, same shape.

    Returns
    -------
    Correlations from 0 to 1, shape (n_genes,); missing without variation.
    """
    entries = Entries(csr_matrix(spliced), csr_matrix(unspliced))
    n_genes = entries.shape[1]

    def per_gene(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        sums = np.bincount(entries.genes, weights=weights, minlength=n_genes)
        return np.asarray(sums, dtype=np.float64)

    total = per_gene(entries.n * entries.within(entries.ratio) ** 2)
    # A mean estimated from the same entries takes its share of their noise away.
    share = entries.n / np.maximum(per_gene(entries.n)[entries.genes], 1)
    noise = per_gene(entries.n * entries.noise * (1 - share))
    left = np.full(n_genes, np.nan)
    np.divide(noise, total, out=left, where=total > 1e-9)
    return np.sqrt(np.clip(1 - left, 0, 1))


def skill_with_error(
    spliced: ArrayLike, unspliced: ArrayLike, ratio: ArrayLike, constant: float
) -> tuple[float, float]:
    """Skill of a prediction over a constant for one gene, and its standard error.

    Parameters
    ----------
    spliced, unspliced
        Measured counts of the gene in the cells it is judged by, shape (n_cells,).
    ratio
        Predicted ratio, same shape.
    constant
        The gene's ratio over the training cells.

    Returns
    -------
    skill
        Share of the constant's negative log-likelihood that is saved; below 0 the constant is
        better. Missing without counts.
    error
        Its standard error, from the differences of the cells; missing with fewer than two cells.

    Raises
    ------
    DataError
        If the shapes differ.
    """
    s, u = np.asarray(spliced, dtype=float).ravel(), np.asarray(unspliced, dtype=float).ravel()
    values = np.asarray(ratio, dtype=float).ravel()
    if not s.shape == u.shape == values.shape:
        raise DataError(
            f"Found counts of shapes {s.shape} and {u.shape} with ratios of shape "
            f"{values.shape}, expected equal shapes; give one gene in the same cells."
        )
    counted = s + u > 0
    s, u, values = s[counted], u[counted], np.clip(values[counted], EPS, 1 - EPS)
    fixed = float(np.clip(constant, EPS, 1 - EPS))
    losses = -(s * np.log(fixed) + u * np.log1p(-fixed))
    saved = losses + s * np.log(values) + u * np.log1p(-values)
    whole = float(losses.sum())
    if not whole > 0:
        return float("nan"), float("nan")
    error = float(np.sqrt(len(saved)) * saved.std(ddof=1) / whole) if len(saved) > 1 else np.nan
    return float(saved.sum() / whole), error


def share_interval(
    spliced: ArrayLike, unspliced: ArrayLike, *, level: float = 0.9
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Interval of a spliced share from counted molecules, by Jeffreys' rule.

    Brown, Cai and DasGupta 2001, *Statistical Science* 16, 101. It includes the sampling of
    molecules only; differences between cells add to it.

    Parameters
    ----------
    spliced, unspliced
        Molecules behind each share, of equal shape.
    level
        Probability within.

    Returns
    -------
    Lower and upper ends, of the counts' shape; missing without counts.
    """
    s, u = np.asarray(spliced, dtype=np.float64), np.asarray(unspliced, dtype=np.float64)
    tail = (1 - level) / 2
    counted = s + u > 0
    lower = np.where(s > 0, stats.beta.ppf(tail, s + 0.5, u + 0.5), 0.0)
    upper = np.where(u > 0, stats.beta.ppf(1 - tail, s + 0.5, u + 0.5), 1.0)
    return np.where(counted, lower, np.nan), np.where(counted, upper, np.nan)


def predictive_interval(
    ratio: ArrayLike, concentration: float, molecules: int, *, level: float = 0.9
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Central interval of the measured ratio of entries with a given number of molecules.

    The spliced count is beta-binomial around the predicted ratio, as `predictive_coverage` has it.

    Parameters
    ----------
    ratio
        Predicted ratios, any shape.
    concentration
        The gene's, above 0; infinite for a binomial.
    molecules
        Counted molecules of an entry, one at least.
    level
        Probability within, both ends included: as counts are whole numbers, more than that.

    Returns
    -------
    Lower and upper ends of S / (S + U), of the ratios' shape.

    Raises
    ------
    DataError
        If the concentration or the number of molecules is out of range.
    """
    if not concentration > 0 or molecules < 1:
        raise DataError(
            f"The concentration is {concentration} and the molecules are {molecules}, "
            "expected numbers above 0; use the concentration of a trained model."
        )
    mean = np.clip(np.asarray(ratio, dtype=np.float64), EPS, 1 - EPS)[..., None]
    counts = np.arange(molecules + 1)
    if concentration > 1e6 * molecules:
        weights = stats.binom.pmf(counts, molecules, mean)
    else:
        weights = stats.betabinom.pmf(
            counts, molecules, mean * concentration, (1 - mean) * concentration
        )
    reached = np.cumsum(weights, axis=-1)
    tail = (1 - level) / 2
    # The last sum may lie a rounding error below 1.
    lower = np.minimum((reached < tail).sum(axis=-1), molecules)
    upper = np.minimum((reached < 1 - tail).sum(axis=-1), molecules)
    return lower / molecules, upper / molecules


def pooled_by_bin(
    spliced: ArrayLike, unspliced: ArrayLike, bins: ArrayLike, *, level: float = 0.9
) -> pd.DataFrame:
    """Add the molecules of one gene up by bin, where noise is smaller than in a cell.

    Parameters
    ----------
    spliced, unspliced
        Counts of the gene, shape (n_cells,).
    bins
        Number of each cell's bin from 0; negative for cells in none.
    level
        Of the intervals of `share_interval`.

    Returns
    -------
    A row per bin from 0 to the last: ``ratio`` (missing without molecules), ``lower``, ``upper``,
    ``molecules``, ``cells``.
    """
    where = np.asarray(bins)
    inside = where >= 0
    length = int(where.max(initial=-1)) + 1
    s, u = (
        np.bincount(where[inside], weights=np.asarray(part, float)[inside], minlength=length)
        for part in (spliced, unspliced)
    )
    ratio = np.full(length, np.nan)
    np.divide(s, s + u, out=ratio, where=s + u > 0)
    lower, upper = share_interval(s, u, level=level)
    return pd.DataFrame(
        {
            "ratio": ratio,
            "lower": lower,
            "upper": upper,
            "molecules": s + u,
            "cells": np.bincount(where[inside], minlength=length),
        }
    )
