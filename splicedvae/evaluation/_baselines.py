"""What a prediction has to beat: a constant per gene, and the neighbours of a cell."""

from __future__ import annotations

import numpy as np
from anndata import AnnData
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from splicedvae._counts import cell_sizes, count_matrix, gene_sums
from splicedvae._errors import DataError
from splicedvae._keys import Layers


class GeneMean:
    """Each gene's ratio over all training molecules, the same for every cell.

    It reaches most of the RMSE and Pearson r that people quote, and gives no velocity at all.

    Parameters
    ----------
    prior_weight
        Pseudo-molecules that draw a gene with few molecules to the ratio of all genes.
    """

    def __init__(self, *, prior_weight: float = 1.0) -> None:
        self.prior_weight = prior_weight
        self.ratio: NDArray[np.float64] | None = None

    def fit(
        self,
        adata: AnnData,
        *,
        spliced_layer: str = Layers.SPLICED,
        unspliced_layer: str = Layers.UNSPLICED,
    ) -> GeneMean:
        """Count each gene's molecules over the training cells.

        Parameters
        ----------
        adata
            Training cells x genes.
        spliced_layer
            Layer with spliced counts.
        unspliced_layer
            Layer with unspliced counts.

        Returns
        -------
        Itself.

        Raises
        ------
        DataError
            If the layers hold no counts.
        """
        spliced = gene_sums(count_matrix(adata, spliced_layer))
        counted = spliced + gene_sums(count_matrix(adata, unspliced_layer))
        if not counted.sum():
            raise DataError(
                "The spliced and unspliced layers hold no counts, some were expected to take a "
                "mean of; name the layers that hold them."
            )
        overall = spliced.sum() / counted.sum()
        self.ratio = (spliced + self.prior_weight * overall) / (counted + self.prior_weight)
        return self

    def predict(self, adata: AnnData) -> NDArray[np.float64]:
        """Ratio of every gene in every cell.

        Parameters
        ----------
        adata
            Cells x the same genes; nothing but its size is looked at.

        Returns
        -------
        Ratios, shape (n_cells, n_genes), a read-only view.
        """
        return np.broadcast_to(_fitted(self.ratio), adata.shape)


class NearestNeighbours:
    """Ratio of the molecules of the most similar training cells, shrunk to the gene's mean.

    Cells are compared by principal components of log-normalised totals, fitted on training
    cells.

    Parameters
    ----------
    n_neighbors
        Training cells asked.
    prior_weight
        Pseudo-molecules at the gene's mean.
    n_pcs
        Principal components compared.
    seed
        Seed of the components.
    """

    def __init__(
        self, *, n_neighbors: int = 30, prior_weight: float = 10.0, n_pcs: int = 30, seed: int = 0
    ) -> None:
        self.n_neighbors = n_neighbors
        self.prior_weight = prior_weight
        self.n_pcs = n_pcs
        self.seed = seed
        self._mean: NDArray[np.float64] | None = None

    def fit(
        self,
        adata: AnnData,
        *,
        spliced_layer: str = Layers.SPLICED,
        unspliced_layer: str = Layers.UNSPLICED,
    ) -> NearestNeighbours:
        """Remember the training cells.

        Parameters
        ----------
        adata
            Training cells x genes, total counts in ``X``.
        spliced_layer
            Layer with spliced counts.
        unspliced_layer
            Layer with unspliced counts.

        Returns
        -------
        Itself.
        """
        self._mean = (
            GeneMean()
            .fit(adata, spliced_layer=spliced_layer, unspliced_layer=unspliced_layer)
            .ratio
        )
        self._spliced = count_matrix(adata, spliced_layer)
        self._counted = csr_matrix(self._spliced + count_matrix(adata, unspliced_layer))
        totals = count_matrix(adata, None)
        sizes = cell_sizes(totals)
        self._size = float(np.median(sizes[sizes > 0])) if (sizes > 0).any() else 1.0
        n_pcs = min(self.n_pcs, adata.n_obs - 1, adata.n_vars - 1)
        self._pca = PCA(n_components=max(n_pcs, 1), random_state=self.seed)
        space = self._pca.fit_transform(self._logged(totals))
        k = min(self.n_neighbors, adata.n_obs)
        self._index = NearestNeighbors(n_neighbors=k).fit(space)
        return self

    def predict(self, adata: AnnData) -> NDArray[np.float64]:
        """Ratio of every gene in every cell, from totals alone.

        Parameters
        ----------
        adata
            Cells x the same genes, total counts in ``X``.

        Returns
        -------
        Ratios, shape (n_cells, n_genes).
        """
        mean = _fitted(self._mean)
        space = self._pca.transform(self._logged(count_matrix(adata, None)))
        graph = self._index.kneighbors_graph(space)
        spliced = (graph @ self._spliced).toarray()
        counted = (graph @ self._counted).toarray()
        return (spliced + self.prior_weight * mean) / (counted + self.prior_weight)

    def _logged(self, totals: csr_matrix) -> NDArray[np.float64]:
        sizes = np.maximum(cell_sizes(totals), 1.0)
        return np.log1p(totals.toarray() * (self._size / sizes)[:, None])


def _fitted(ratio: NDArray[np.float64] | None) -> NDArray[np.float64]:
    if ratio is None:
        raise DataError("The baseline has not seen training cells yet; call `fit` first.")
    return ratio
