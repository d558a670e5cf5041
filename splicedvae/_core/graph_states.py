"""What a velocity graph compares: states of cells and velocities, maybe as square roots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from splicedvae._core.keys import Layers, Uns, Var

if TYPE_CHECKING:
    from anndata import AnnData


def compares_roots(params: Mapping[str, Any]) -> bool:
    """Read from ``uns["velocity_params"]`` whether a graph compares square roots.

    Results of earlier versions do not record it; they used scVelo's default.
    """
    return bool(params.get("sqrt_transform", params.get("mode") == "stochastic"))


def compared_layer(params: Mapping[str, Any]) -> str:
    """Read the layer of cell states from ``uns["velocity_params"]``: scVelo's ``xkey``.

    ``Ms`` where nothing is said, as in results of scVelo and of earlier versions.
    """
    return str(params.get("xkey", Layers.MS))


def compared_states(
    cells: AnnData, genes: NDArray[np.bool_] | slice = slice(None)
) -> NDArray[np.float32]:
    """Return the states of cells that a velocity graph compares.

    Parameters
    ----------
    cells
        Cells x genes with the layer ``Ms`` and, where ``uns["velocity_params"]`` names
        ``Ms_expected``, also ``Mu`` and ``var["velocity_gamma"]``.
    genes
        Which genes; by default all.

    Returns
    -------
    Cells x genes, a copy. ``Ms_expected`` is (Ms + Mu) / (1 + gamma): the spliced moments that the
    expected from totals at the gene's mean ratio. Noise in how a total is split into layers moves
    the velocity, but not this.
    """
    layer = compared_layer(cells.uns.get(Uns.VELOCITY_PARAMS, {}))
    states = np.array(cells.layers[Layers.MS][:, genes], dtype=np.float32, order="C")
    if layer == Layers.MS_EXPECTED:
        states += np.asarray(cells.layers[Layers.MU][:, genes], dtype=np.float32)
        gamma = cells.var[Var.VELOCITY_GAMMA].to_numpy(dtype=np.float32)[genes]
        states /= 1 + gamma
    return states
