"""How a velocity's direction is divided among genes, in what the velocity graph compares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from splicedvae._core.graph_states import compares_roots
from splicedvae._core.keys import Layers, Uns, Var

if TYPE_CHECKING:
    from anndata import AnnData

#: Below this, single genes shape a picture.
FEW_GENES: Final = 20


def shares_of(result: AnnData) -> NDArray[np.float32]:
    """Return the shares of a velocity's genes, in what its graph compares.

    Parameters
    ----------
    result
        Cells x genes with the layer ``velocity``, ``var["velocity_genes"]`` and, in ``uns``, the
        parameters of the graph.

    Returns
    -------
    Of `gene_shares`, cells x velocity genes.
    """
    used = result.var[Var.VELOCITY_GENES].to_numpy(dtype=bool)
    root = compares_roots(result.uns.get(Uns.VELOCITY_PARAMS, {}))
    return gene_shares(np.asarray(result.layers[Layers.VELOCITY])[:, used], root=root)


def gene_shares(velocity: NDArray[np.floating], *, root: bool) -> NDArray[np.float32]:
    """Return each gene's share of the squared length of a cell's velocity.

    Parameters
    ----------
    velocity
        Of the velocity genes, shape (n_cells, n_genes).
    root
        Whether the graph compares signed square roots: a gene's share is then that of its size.

    Returns
    -------
    Shares of the same shape, which add up to 1 in each cell; 0 where a cell does not move.
    """
    known = np.nan_to_num(np.asarray(velocity, dtype=np.float32))
    squares = np.abs(known) if root else np.square(known)
    length = squares.sum(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    squares /= np.where(length > 0, length, 1)
    return squares


def effective_genes(shares: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return how many equal shares would be as concentrated: 1 / sum of squared shares.

    Parameters
    ----------
    shares
        From `gene_shares`.

    Returns
    -------
    Shape (n_cells,), from 1 to the number of genes; not a number where a cell does not move.
    """
    squares = np.square(shares, dtype=np.float64).sum(axis=1)
    found = np.full(len(shares), np.nan)
    np.divide(1.0, squares, out=found, where=squares > 0)
    return found
