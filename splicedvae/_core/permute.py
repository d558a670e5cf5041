"""Ratios permuted within genes: the level of chance at the same totals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from splicedvae._core.errors import DataError

#: Entries with fewer counts share a class only if they have the same number of them. Above, each
#: class of entries ends at that multiple of its smallest, by which permuted binomial counts have
#: about 1 % more variance than measured ones.
_EXACT_BELOW: Final = 8
_CLASS_FACTOR: Final = 1.25


def shuffle_within_genes(
    spliced: csr_matrix,
    unspliced: csr_matrix,
    *,
    seed: int = 0,
    groups: Sequence[object] | None = None,
    alike: bool = False,
) -> tuple[csr_matrix, csr_matrix]:
    """Permute the ratios of each gene among the cells that have its molecules.

    Totals and each gene's distribution of ratios stay; its dependence on a cell's state is
    lost. A velocity made of the result is what chance, smoothed over neighbors, draws.

    Parameters
    ----------
    spliced
        Spliced counts, measured or predicted, shape (n_cells, n_genes).
    unspliced
        Unspliced counts, same shape.
    seed
        Seed of the shuffle.
    groups
        A label per cell, such as its batch: ratios stay within their group, so that what differs
        between groups differs afterwards too. ``None`` deals among all cells.
    alike
        Deal only among cells with about as many molecules of the gene (up to seven: exactly as
        many). The ratio of one molecule is 0 or 1, and given to a cell with many it is more noise
        than any measurement has: for measured counts only this is chance.

    Returns
    -------
    Spliced and unspliced counts with the same sum in every entry.

    Raises
    ------
    DataError
        If there is not one label per cell.
    """
    return next(shuffles_within_genes(spliced, unspliced, seeds=[seed], groups=groups, alike=alike))


def shuffles_within_genes(
    spliced: csr_matrix,
    unspliced: csr_matrix,
    *,
    seeds: Iterable[int],
    groups: Sequence[object] | None = None,
    alike: bool = False,
) -> Iterator[tuple[csr_matrix, csr_matrix]]:
    """Shuffle many times over: what stays the same is prepared once.

    Parameters
    ----------
    spliced, unspliced
        As for `shuffle_within_genes`.
    seeds
        One seed for each shuffle.
    groups
        As for `shuffle_within_genes`.
    alike
        Likewise.

    Yields
    ------
    Spliced and unspliced counts, a pair for each seed.

    Raises
    ------
    DataError
        If there is not one label per cell.
    """
    totals = csr_matrix(spliced + unspliced)
    totals.eliminate_zeros()
    rows = np.repeat(np.arange(totals.shape[0]), np.diff(totals.indptr))
    found = spliced[rows, totals.indices] if totals.nnz else np.zeros(0)
    ratio = np.asarray(found, dtype=np.float64).ravel() / totals.data
    strata: list[NDArray[np.integer]] = [totals.indices]
    if groups is not None:
        strata.insert(0, _codes(groups, totals.shape[0])[rows])
    if alike:
        strata.insert(0, _count_classes(totals.data))
    in_order = np.lexsort(tuple(strata))
    changes = np.zeros(totals.nnz, dtype=bool)
    for codes in strata:
        changes[1:] |= np.diff(codes[in_order]) != 0
    # A stratum's number plus a random fraction sorts by stratum, and at random within it.
    number = np.cumsum(changes).astype(np.float64)
    ordered = ratio[in_order]
    for seed in seeds:
        fraction = np.random.default_rng(seed).random(totals.nnz)[in_order]
        dealt = np.empty_like(ratio)
        dealt[in_order] = ordered[np.argsort(number + fraction, kind="stable")]
        first = totals.copy()
        first.data = totals.data * dealt
        yield first, csr_matrix(totals - first)


def _codes(groups: Sequence[object], n_cells: int) -> NDArray[np.intp]:
    if len(groups) != n_cells:
        raise DataError(
            f"Found {len(groups):,} group labels for {n_cells:,} cells, expected one each; "
            "pass the labels of these cells."
        )
    return np.unique(np.asarray(groups).astype(str), return_inverse=True)[1]


def _count_classes(counts: NDArray[np.floating]) -> NDArray[np.int64]:
    """Give numbers to classes of entries with about as many counts."""
    above = np.log(np.maximum(counts, _EXACT_BELOW) / _EXACT_BELOW) / np.log(_CLASS_FACTOR)
    classes = np.where(counts < _EXACT_BELOW, np.round(counts), _EXACT_BELOW + np.floor(above))
    return np.asarray(classes, dtype=np.int64)
