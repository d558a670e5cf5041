"""Results of the neighbor graph only, computed once for all sources."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import reverse_cuthill_mckee

from splicedvae._core.keys import Obsp, Uns
from splicedvae.velocity._scvelo import quiet_scvelo


class Neighbours:
    """The neighbors that moments, velocity graph and confidence are taken over.

    Parameters
    ----------
    ground
        A result of `prepare`; its graph is read, the object is not kept.
    """

    def __init__(self, ground: AnnData) -> None:
        self._graph = AnnData(obs=pd.DataFrame(index=ground.obs_names))
        for name in (Obsp.DISTANCES, Obsp.CONNECTIVITIES):
            self._graph.obsp[name] = sparse.csr_matrix(ground.obsp[name])
        self._graph.uns[Uns.NEIGHBORS] = dict(ground.uns[Uns.NEIGHBORS])

    def bare(self, var_names: pd.Index) -> AnnData:
        """Return a new object of these cells with the graph, shared, and nothing else."""
        work = AnnData(obs=self._graph.obs.copy(), var=pd.DataFrame(index=var_names))
        for name in (Obsp.DISTANCES, Obsp.CONNECTIVITIES):
            work.obsp[name] = self._graph.obsp[name]
        work.uns[Uns.NEIGHBORS] = dict(self._graph.uns[Uns.NEIGHBORS])
        return work

    @cached_property
    def weights(self) -> sparse.csr_matrix:
        """Weights of moments, float32, cells x cells: equal ones among connected cells."""
        with quiet_scvelo():
            from scvelo.preprocessing.neighbors import get_connectivities

            return sparse.csr_matrix(get_connectivities(self._graph))

    @cached_property
    def direct(self) -> NDArray[np.intp]:
        """Nearest neighbors, as many for each cell, shape (n_cells, n_neighbours)."""
        with quiet_scvelo():
            from scvelo.tools.utils import get_indices

            return np.asarray(get_indices(self._graph.obsp[Obsp.DISTANCES])[0], dtype=np.intp)

    @cached_property
    def reached(self) -> sparse.csr_matrix:
        """Cells reached in one step or two, the cell among them: what a velocity may point to."""
        n_cells, n_direct = self.direct.shape
        start = np.arange(0, self.direct.size + 1, n_direct)
        ones = np.ones(self.direct.size, dtype=np.float32)
        step = sparse.csr_matrix((ones, self.direct.ravel(), start), shape=(n_cells, n_cells))
        step = sparse.csr_matrix(step + sparse.eye(n_cells, dtype=np.float32, format="csr"))
        pattern = sparse.csr_matrix(step @ step)
        pattern.sort_indices()
        return pattern

    @cached_property
    def order(self) -> NDArray[np.intp]:
        """An order in which neighbors follow each other: their rows are in the cache by then."""
        connected = self._graph.obsp[Obsp.CONNECTIVITIES]
        return np.asarray(reverse_cuthill_mckee(connected, symmetric_mode=True), dtype=np.intp)
