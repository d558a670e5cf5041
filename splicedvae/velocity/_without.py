"""A velocity that few genes carry, drawn once more without them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from anndata import AnnData

from splicedvae._core.errors import DataError, VelocityError
from splicedvae._core.keys import Obsm, Var
from splicedvae._core.shares import FEW_GENES, effective_genes, shares_of
from splicedvae.velocity._account import VelocityAccount
from splicedvae.velocity._graph import project_onto, velocity_confidence, velocity_graph
from splicedvae.velocity._neighbours import Neighbours
from splicedvae.velocity._prepared import MIN_GENES


def carrying_genes(result: AnnData) -> tuple[str, ...]:
    """Name the genes that carry a velocity, where few do.

    Few do if fewer than 20 genes draw a cell's arrow (effective number, mean over cells). Then
    genes carry it whose share, mean over cells, is above that of one of 20 equal ones.

    Parameters
    ----------
    result
        A result of `compute_velocity` or `true_velocity`.

    Returns
    -------
    Names, the largest share first; none where enough genes draw.
    """
    shares = shares_of(result)
    found = effective_genes(shares)
    moves = np.isfinite(found)
    if not moves.any() or found[moves].mean() >= FEW_GENES:
        return ()
    mean = shares[moves].mean(axis=0)
    order = np.argsort(-mean)
    names = result.var_names[result.var[Var.VELOCITY_GENES].to_numpy(dtype=bool)]
    return tuple(str(names[gene]) for gene in order if mean[gene] > 1 / FEW_GENES)


def without_genes(result: AnnData, genes: Sequence[str]) -> AnnData:
    """Draw a velocity again without some genes; nothing is fitted again.

    Parameters
    ----------
    result
        A result of `compute_velocity` or `true_velocity` with its graph; not changed.
    genes
        Names of the genes to leave out.

    Returns
    -------
    A copy in which these are no velocity genes, with graph, confidences and arrows of its own in
    the common embedding.

    Raises
    ------
    DataError
        If a gene is not in the result.
    VelocityError
        If fewer than five velocity genes are left.
    """
    unknown = [name for name in genes if name not in result.var_names]
    if unknown:
        raise DataError(
            f"The velocity has no gene {unknown[0]!r}, expected names of its genes; correct it."
        )
    made = result.copy()
    left = made.var[Var.VELOCITY_GENES].to_numpy(dtype=bool) & ~made.var_names.isin(list(genes))
    if left.sum() < MIN_GENES:
        raise VelocityError(
            f"{int(left.sum())} velocity genes are left without these, expected {MIN_GENES} or "
            "more; leave fewer out."
        )
    made.var[Var.VELOCITY_GENES] = left
    neighbours = Neighbours(made)
    settings = VelocityAccount.from_adata(result).settings
    velocity_graph(made, neighbours, settings)
    velocity_confidence(made, neighbours, settings)
    basis = Obsm.UMAP.removeprefix("X_")
    made.obsm[Obsm.VELOCITY_UMAP] = project_onto(made, {basis: made.obsm[Obsm.UMAP]})[basis]
    return made
