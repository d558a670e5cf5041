"""Which cells are held out, which genes training cells can teach, and counts cut in two."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import scanpy as sc
from anndata import AnnData
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from splicedvae._core.counts import count_matrix, shared_counts
from splicedvae._core.errors import DataError
from splicedvae._core.keys import Layers, Split, Var
from splicedvae._core.permute import shuffle_within_genes as shuffle_within_genes


def split_cells(
    n_cells: int,
    *,
    held_out: float = 0.2,
    stratify: Sequence[object] | None = None,
    seed: int = 0,
    fold: int = 0,
) -> NDArray[np.str_]:
    """Set cells aside before anything is fitted.

    Parameters
    ----------
    n_cells
        Number of cells.
    held_out
        Share of the cells to hold out.
    stratify
        A label per cell, such as its cluster: each label gives the same share. ``None``
        draws from all cells uniformly.
    seed
        Seed of the draw.
    fold
        Which share: folds 0, 1, ... of one seed hold out different cells, so that folds 0 and 1
        of one half each are two halves that train for each other.

    Returns
    -------
    ``"train"`` or ``"held-out"`` for each cell, shape (n_cells,).

    Raises
    ------
    DataError
        If the share is not between 0 and 1, leaves no cell on one side, or the fold does not exist.
    """
    if not 0 < held_out < 1:
        raise DataError(
            f"The share of held-out cells is {held_out}, expected a number between 0 and 1; "
            "choose for instance 0.2."
        )
    if fold < 0 or (fold + 1) * held_out > 1 + 1e-9:
        raise DataError(
            f"The fold is {fold}, expected one of the {int((1 + 1e-09) / held_out)} folds "
            f"that holding out {100 * held_out:.0f}% gives, counted from 0; choose one of "
            "them."
        )
    rng = np.random.default_rng(seed)
    labels = np.zeros(n_cells, dtype=int)
    if stratify is not None:
        if len(stratify) != n_cells:
            raise DataError(
                f"Found {len(stratify):,} labels for {n_cells:,} cells, expected one each; "
                "pass the labels of these cells."
            )
        _, labels = np.unique(np.asarray(stratify).astype(str), return_inverse=True)
    # Each label's cells, in random order, are spread evenly over one sequence, of which a fold is a
    # piece: it has every label's share, and the folds together have every cell once.
    sizes = np.bincount(labels)
    place = np.empty(n_cells)
    for label, size in enumerate(sizes):
        place[labels == label] = (rng.permutation(size) + 0.5) / size
    order = np.lexsort((rng.random(n_cells), place))
    start, stop = (round(n_cells * held_out * edge) for edge in (fold, fold + 1))
    split = np.full(n_cells, Split.TRAIN, dtype=f"U{len(Split.HELD_OUT)}")
    split[order[start:stop]] = Split.HELD_OUT
    if len(np.unique(split)) < 2:
        raise DataError(
            f"Holding out {100 * held_out:.0f}% of {n_cells:,} cells leaves no cells on one "
            "side, expected cells on both sides; use more cells or another share."
        )
    return split


def split_groups(groups: Sequence[object], *, fold: int = 0) -> NDArray[np.str_]:
    """Hold out a whole group: a batch, a donor, a data set or a species.

    Cells of one sample resemble each other beyond their state, so a model is better on other
    cells of a sample seen in training than on a new sample. This split tests the latter.

    Parameters
    ----------
    groups
        A label per cell.
    fold
        Which group is held out, counted from 0 in the order of their names.

    Returns
    -------
    ``"train"`` or ``"held-out"`` for each cell, shape (n_cells,).

    Raises
    ------
    DataError
        If a cell has no label, there is one group only, or no such fold.
    """
    labels = pd.Series(list(groups))
    if labels.isna().any():
        raise DataError(
            f"{int(labels.isna().sum()):,} cells have no group, expected one each; name the "
            "group of every cell."
        )
    names, codes = np.unique(labels.astype(str).to_numpy(), return_inverse=True)
    if len(names) < 2:
        raise DataError(
            f"All cells are in one group ({(names[0] if len(names) else 'none')}), expected "
            "two or more; split by cells instead."
        )
    if not 0 <= fold < len(names):
        raise DataError(
            f"The fold is {fold}, expected one of the {len(names)} groups, counted from 0; "
            "choose one of them."
        )
    split = np.full(len(codes), Split.TRAIN, dtype=f"U{len(Split.HELD_OUT)}")
    split[codes == fold] = Split.HELD_OUT
    return split


def select_genes(
    adata: AnnData,
    *,
    spliced_layer: str = Layers.SPLICED,
    unspliced_layer: str = Layers.UNSPLICED,
    min_shared_counts: int = 20,
    min_cells: int = 0,
    n_top_genes: int | None = 2000,
) -> NDArray[np.bool_]:
    """Choose the genes whose splicing the given cells can teach.

    Parameters
    ----------
    adata
        Training cells only, cells x genes, total counts in ``X``.
    spliced_layer
        Layer with spliced counts.
    unspliced_layer
        Layer with unspliced counts.
    min_shared_counts
        Molecules needed in cells where a gene has both spliced and unspliced ones (scVelo's
        definition).
    min_cells
        Cells in which each layer must have a molecule of the gene.
    n_top_genes
        Keep that many of them, the most variable ones of log-normalized totals; ``None``
        keeps all.

    Returns
    -------
    Which genes to keep, shape (n_genes,).

    Raises
    ------
    DataError
        If no gene qualifies.
    """
    spliced, unspliced = count_matrix(adata, spliced_layer), count_matrix(adata, unspliced_layer)
    shared = shared_counts(spliced, unspliced)
    keep = shared >= min_shared_counts
    for layer in (spliced, unspliced):
        keep &= np.asarray((layer > 0).sum(axis=0)).ravel() >= min_cells
    if min_cells > 0 and not keep.any():
        raise DataError(
            f"No gene has molecules of both layers in {min_cells:,} cells and "
            f"{min_shared_counts} shared counts, so there is no splicing to learn; use more "
            "cells or lower these limits."
        )
    if not keep.any():
        raise DataError(
            f"No gene has {min_shared_counts} molecules in cells with both spliced and "
            f"unspliced ones (the best has {shared.max(initial=0):.0f}), so there is no "
            "splicing to learn; use more cells or deeper data, or lower the minimum."
        )
    if n_top_genes is None or keep.sum() <= n_top_genes:
        return keep
    logged = AnnData(csr_matrix(count_matrix(adata, None)[:, keep], dtype=np.float32))
    sc.pp.normalize_total(logged)
    sc.pp.log1p(logged)
    sc.pp.highly_variable_genes(logged, n_top_genes=n_top_genes)
    # scanpy marks more than requested where genes tie, so the ranking is cut here.
    ranked = np.argsort(-logged.var[Var.DISPERSION].to_numpy(), kind="stable")
    keep[np.flatnonzero(keep)[ranked[n_top_genes:]]] = False
    return keep


def ceiling_from_halves(agreement: float) -> float:
    """Estimate what the truth would reach against a measurement from how its halves agree.

    Parameters
    ----------
    agreement
        Correlation or cosine between quantities of the two halves of thinned counts.

    Returns
    -------
    sqrt(2 r / (1 + r)): 2 r / (1 + r) is the agreement of two whole measurements
    (Spearman and Brown), and its square root that of one with the truth. 0 where the halves do
    not agree at all.
    """
    if not agreement > 0:
        return 0.0 if agreement <= 0 else float("nan")
    return float(np.sqrt(2 * agreement / (1 + agreement)))


def thin_counts(counts: csr_matrix, *, seed: int = 0) -> tuple[csr_matrix, csr_matrix]:
    """Cut counts in two by giving each molecule to one half at random.

    The halves are what two sequencing runs of half the depth would have seen: independent
    given the truth, so their agreement bounds that of any prediction.

    Parameters
    ----------
    counts
        Whole numbers, any shape.
    seed
        Seed of the draw.

    Returns
    -------
    Two CSR matrices of the same shape that add up to the counts.

    Raises
    ------
    DataError
        If the counts are not whole numbers.
    """
    whole = csr_matrix(counts, copy=True)
    rounded = np.round(whole.data)
    if not np.array_equal(rounded, whole.data):
        raise DataError(
            f"The counts hold {whole.data[rounded != whole.data][0]}, expected whole "
            "numbers to split in two; use measured counts."
        )
    first = whole.copy()
    first.data = (
        np.random.default_rng(seed).binomial(rounded.astype(np.int64), 0.5).astype(whole.data.dtype)
    )
    second = csr_matrix(whole - first)
    first.eliminate_zeros()
    second.eliminate_zeros()
    return first, second
