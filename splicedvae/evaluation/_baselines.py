"""What a prediction has to beat: constants, the neighbors of a cell, and linear regression."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol, Self

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from splicedvae._core.counts import cell_sizes, count_matrix, gene_sums
from splicedvae._core.errors import DataError
from splicedvae._core.keys import Layers, Sources
from splicedvae.evaluation import _logistic

#: Pseudo-molecules of the ratio of all genes behind each gene of `RidgeOnPCA`, as in `GeneMean`.
_PRIOR_WEIGHT: Final = 1.0
#: Training cells by which its penalty is chosen, at most.
_CHOICE_CELLS: Final = 2000


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
            raise _no_counts()
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

    Cells are compared by principal components of log-normalized totals, fitted on training
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
        self._space = _ExpressionSpace(count_matrix(adata, None), self.n_pcs, self.seed)
        k = min(self.n_neighbors, adata.n_obs)
        self._index = NearestNeighbors(n_neighbors=k).fit(self._space.training)
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
        graph = self._index.kneighbors_graph(self._space.of(count_matrix(adata, None)))
        spliced = (graph @ self._spliced).toarray()
        counted = (graph @ self._counted).toarray()
        return (spliced + self.prior_weight * mean) / (counted + self.prior_weight)


class RidgeOnPCA:
    """Logistic regression of each gene's ratio on the principal components of a cell's totals.

    The strongest thing that is linear and needs no deep learning: components of log-normalized
    totals, fitted on training cells and scaled to unit variance there, a binomial likelihood of S
    given S + U, and an L2 penalty on the slopes that is the same for all genes. The intercept is
    not penalized; one pseudo-molecule at the ratio of all genes, as in `GeneMean`, keeps it finite
    where a gene has few counts, so that with an endless penalty the prediction is the gene mean.

    Parameters
    ----------
    n_pcs
        Principal components regressed on.
    penalty
        Half of it times a gene's squared slopes is added to its negative log-likelihood in nats:
        the inverse variance of a Gaussian prior. ``None`` chooses it from `penalties` by the
        likelihood of training cells that are set aside in turn.
    penalties
        Numbers to choose from.
    n_folds
        Parts that the training cells are cut into for the choice. At most 2,000 cells, drawn at
        random, are used for it, because a prior does not depend on their number.
    seed
        Seed of the components, the parts and the draw.

    Attributes
    ----------
    penalty_
        The penalty used, after `fit`.

    Raises
    ------
    DataError
        If a penalty is not above zero and finite, there is none to choose from, or fewer than two
        folds are requested.
    """

    def __init__(
        self,
        *,
        n_pcs: int = 20,
        penalty: float | None = None,
        penalties: Sequence[float] = (10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0),
        n_folds: int = 5,
        seed: int = 0,
    ) -> None:
        given = list(penalties) if penalty is None else [penalty]
        wrong = [value for value in given if not (value > 0 and np.isfinite(value))]
        if wrong or not given:
            raise DataError(
                "The penalty of the regression is "
                f"{(wrong[0] if wrong else 'chosen from nothing')}, expected a finite "
                "number above zero; give one, or several to choose from."
            )
        if n_folds < 2:
            raise DataError(
                f"The penalty is to be chosen with {n_folds} folds, expected two or more; "
                "use for instance 5, or give the penalty."
            )
        self.n_pcs = n_pcs
        self.penalty = penalty
        self.penalties = tuple(given)
        self.n_folds = n_folds
        self.seed = seed
        self.penalty_: float | None = None
        self._coefficients: NDArray[np.float64] | None = None

    def fit(
        self,
        adata: AnnData,
        *,
        spliced_layer: str = Layers.SPLICED,
        unspliced_layer: str = Layers.UNSPLICED,
    ) -> RidgeOnPCA:
        """Choose the penalty if none was given, and regress every gene.

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

        Raises
        ------
        DataError
            If the layers hold no counts, or there are too few cells to choose a penalty by.
        """
        totals = count_matrix(adata, None)
        counts = _logistic.both_counts(
            count_matrix(adata, spliced_layer), count_matrix(adata, unspliced_layer)
        )
        molecules = counts.sum()
        if molecules == 0:
            raise _no_counts()
        overall = float(molecules.real / (molecules.real + molecules.imag))
        chosen = self.penalty
        if chosen is None:
            chosen = self._chosen(totals, counts, overall)
        self._space, path = self._regress(totals, counts, overall, [chosen])
        self._coefficients = path[0]
        self.penalty_ = float(chosen)
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
        coefficients = _fitted(self._coefficients)
        return _logistic.predict(self._space.design(count_matrix(adata, None)), coefficients)

    def _regress(
        self, totals: csr_matrix, counts: csr_matrix, overall: float, penalties: Sequence[float]
    ) -> tuple[_ExpressionSpace, list[NDArray[np.float64]]]:
        """Fit components, then coefficients for each penalty, each from those of the one before."""
        space = _ExpressionSpace(totals, self.n_pcs, self.seed)
        design = space.training_design()
        coefficients = np.zeros((counts.shape[1], design.shape[1]))
        coefficients[:, 0] = _logistic.log_odds(counts, overall, _PRIOR_WEIGHT)
        path = []
        for penalty in penalties:
            coefficients = _logistic.fit(
                design,
                counts,
                penalty=penalty,
                prior=overall,
                weight=_PRIOR_WEIGHT,
                start=coefficients,
            )
            path.append(coefficients)
        return space, path

    def _chosen(self, totals: csr_matrix, counts: csr_matrix, overall: float) -> float:
        """Return the penalty under which cells set aside are likeliest; the larger of equals."""
        rng = np.random.default_rng(self.seed)
        cells = rng.permutation(totals.shape[0])[:_CHOICE_CELLS]
        if len(cells) < 2:
            raise DataError(
                f"The penalty is to be chosen on {len(cells)} training cells, expected at "
                "least 2; use more cells or give the penalty."
            )
        totals, counts = totals[cells], counts[cells]
        part = np.arange(len(cells)) % min(self.n_folds, len(cells))
        ordered = sorted(set(self.penalties), reverse=True)
        losses = np.zeros(len(ordered))
        for fold in np.unique(part):
            train, aside = part != fold, part == fold
            space, path = self._regress(totals[train], counts[train], overall, ordered)
            design = space.design(totals[aside])
            losses += [_logistic.loss(design, counts[aside], found) for found in path]
        return float(ordered[int(np.argmin(losses))])


class GroupMean:
    """Each gene's ratio over the training molecules of a cell's group, shrunk to the gene's mean.

    It gets the group of each cell, such as its cluster; the other predictors do not.

    Parameters
    ----------
    prior_weight
        Pseudo-molecules at the gene's mean.
    """

    def __init__(self, *, prior_weight: float = 100.0) -> None:
        self.prior_weight = prior_weight
        self._ratio: NDArray[np.float64] | None = None
        self._names = pd.Index([], dtype=object)

    def fit(
        self,
        adata: AnnData,
        *,
        groups: Sequence[object],
        spliced_layer: str = Layers.SPLICED,
        unspliced_layer: str = Layers.UNSPLICED,
    ) -> GroupMean:
        """Count each gene's molecules over the training cells of each group.

        Parameters
        ----------
        adata
            Training cells x genes.
        groups
            A label per cell; a missing one puts the cell into no group.
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
            If the layers hold no counts, or the labels are not one per cell.
        """
        codes, names = pd.factorize(_labels(groups, adata.n_obs))
        mean = _fitted(
            GeneMean()
            .fit(adata, spliced_layer=spliced_layer, unspliced_layer=unspliced_layer)
            .ratio
        )
        labelled = np.flatnonzero(codes >= 0)
        members = csr_matrix(
            (np.ones(len(labelled)), (codes[labelled], labelled)), shape=(len(names), adata.n_obs)
        )
        spliced = count_matrix(adata, spliced_layer)
        in_groups = (members @ spliced).toarray()
        counted = (members @ (spliced + count_matrix(adata, unspliced_layer))).toarray()
        ratio = (in_groups + self.prior_weight * mean) / (counted + self.prior_weight)
        # The last row is for cells of no known group.
        self._ratio = np.vstack([ratio, mean])
        self._names = pd.Index(names, dtype=object)
        return self

    def predict(self, adata: AnnData, *, groups: Sequence[object]) -> NDArray[np.float64]:
        """Ratio of every gene in every cell, from the cell's group alone.

        Parameters
        ----------
        adata
            Cells x the same genes; nothing but its size is looked at.
        groups
            A label per cell. A group that training cells did not have, or a missing label, gets
            the gene's mean.

        Returns
        -------
        Ratios, shape (n_cells, n_genes).

        Raises
        ------
        DataError
            If the labels are not one per cell.
        """
        ratio = _fitted(self._ratio)
        return ratio[self._names.get_indexer(pd.Index(_labels(groups, adata.n_obs)))]


class _ExpressionSpace:
    """Principal components of log-normalized totals, fitted on training cells.

    Parameters
    ----------
    totals
        Total counts of the training cells, cells x genes.
    n_pcs
        Components; fewer where cells or genes allow no more.
    seed
        Seed of the components.
    """

    def __init__(self, totals: csr_matrix, n_pcs: int, seed: int) -> None:
        sizes = cell_sizes(totals)
        self._size = float(np.median(sizes[sizes > 0])) if (sizes > 0).any() else 1.0
        n_cells, n_genes = totals.shape
        self._pca = PCA(
            n_components=max(min(n_pcs, n_cells - 1, n_genes - 1), 1), random_state=seed
        )
        #: Training cells x components.
        self.training: NDArray[np.float64] = self._pca.fit_transform(self._logged(totals))

    def of(self, totals: csr_matrix) -> NDArray[np.float64]:
        """Return the components of other cells."""
        return np.asarray(self._pca.transform(self._logged(totals)), dtype=np.float64)

    def training_design(self) -> NDArray[np.float64]:
        """Return 1 and the components of unit variance for each training cell."""
        return self._designed(self.training)

    def design(self, totals: csr_matrix) -> NDArray[np.float64]:
        """Return 1 and the components for other cells, scaled as for the training cells."""
        return self._designed(self.of(totals))

    def _designed(self, components: NDArray[np.float64]) -> NDArray[np.float64]:
        spread = self.training.std(axis=0)
        # A component without variance is rounding, which scaling would blow up.
        real = spread > 1e-8 * spread.max()
        scaled = np.zeros_like(components)
        np.divide(components, spread, out=scaled, where=real)
        return np.column_stack([np.ones(len(components)), scaled])

    def _logged(self, totals: csr_matrix) -> NDArray[np.float64]:
        sizes = np.maximum(cell_sizes(totals), 1.0)
        return np.log1p(totals.toarray() * (self._size / sizes)[:, None])


def _labels(groups: Sequence[object], n_cells: int) -> NDArray[np.object_]:
    """Return labels as text, None where one is missing."""
    labels = pd.Series(list(groups), dtype=object)
    if len(labels) != n_cells:
        raise DataError(
            f"Found {len(labels):,} group labels for {n_cells:,} cells, expected one each; "
            "pass the labels of these cells."
        )
    text = labels.astype(str).to_numpy(dtype=object)
    text[labels.isna().to_numpy(dtype=bool)] = None
    return text


def _no_counts() -> DataError:
    return DataError(
        "The spliced and unspliced layers hold no counts, expected some for a mean; name "
        "the layers that hold them."
    )


def _fitted(ratio: NDArray[np.float64] | None) -> NDArray[np.float64]:
    if ratio is None:
        raise DataError("The baseline is not fitted yet, expected a fitted one; call `fit` first.")
    return ratio


class Baseline(Protocol):
    """A predictor that needs training cells with S/U, and totals alone to predict."""

    def fit(self, adata: AnnData, /) -> Self:
        """Learn from training cells.

        Parameters
        ----------
        adata
            Cells x genes with totals and measured layers.
        """

    def predict(self, adata: AnnData, /) -> NDArray[np.floating]:
        """Predict ratios, shape (n_cells, n_genes).

        Parameters
        ----------
        adata
            Cells x genes with totals in ``X``.
        """


#: Baselines that every evaluation fits, by source; each is made with a seed.
BASELINES: Final[Mapping[str, Callable[[int], Baseline]]] = {
    Sources.RIDGE: lambda seed: RidgeOnPCA(seed=seed),
    Sources.KNN: lambda seed: NearestNeighbours(seed=seed),
    Sources.GENE_MEAN: lambda seed: GeneMean(),
}
