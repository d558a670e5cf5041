"""What to expect of a gene's ratio before anything is counted, from what the gene is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from splicedvae._core.gene_features import FEATURES

#: Fewest genes with features and counts that a prior is learned from.
MIN_GENES: Final = 100
#: Share of a gene's deviation from its expectation that is found again in another tissue and in
#: another species: the slope of log u/s among 21 published data sets (`benchmarks/gene_prior.py`).
KEPT_IN_TISSUE: Final = 0.5
KEPT_IN_SPECIES: Final = 0.3
#: Precision of the weights, in units of one over squared logit: hardly any shrinkage, but a feature
#: that all genes share gets none.
_WEIGHT_PRECISION: Final = 0.01
_ROUNDS: Final = 50


@dataclass(frozen=True)
class GenePrior:
    r"""A Gaussian prior on the logit of each gene's ratio, learned over the genes of a data set.

    With :math:`\phi_g` the features of gene g (`splicedvae._core.gene_features`), its logit has
    mean :math:`w_0 + \phi_g^\top w` and a standard deviation that is the same for all genes. Both
    are found by empirical Bayes, so that a gene counts by how many molecules it has.

    Attributes
    ----------
    weights
        Logits at typical features, per feature, and for a gene without features; 7 numbers.
    sd
        Standard deviation of a gene's logit around its expectation.
    n_genes
        Number of genes with features that it was learned from.
    species
        Their species.
    """

    weights: tuple[float, ...]
    sd: float
    n_genes: int
    species: str

    @classmethod
    def fit(
        cls,
        spliced: NDArray[np.floating],
        unspliced: NDArray[np.floating],
        features: NDArray[np.floating],
        species: str,
    ) -> GenePrior | None:
        """Learn the prior from the counts of each gene.

        Parameters
        ----------
        spliced, unspliced
            Sums over cells, shape (n_genes,).
        features
            Of `splicedvae._core.gene_features.gene_features`, shape (n_genes, 5).
        species
            Species of the genes.

        Returns
        -------
        The prior; ``None`` where fewer than `MIN_GENES` genes have features and counts.
        """
        s, u = spliced.astype(float), unspliced.astype(float)
        counted = s + u > 0
        n_genes = int((counted & ~np.isnan(features[:, 0])).sum())
        if n_genes < MIN_GENES:
            return None
        design = _design(features[counted])
        # Log-odds with half a molecule of each kind, and their sampling variance.
        odds = np.log(s[counted] + 0.5) - np.log(u[counted] + 0.5)
        noise = 1 / (s[counted] + 0.5) + 1 / (u[counted] + 0.5)
        shrinkage = _WEIGHT_PRECISION * np.eye(design.shape[1])
        shrinkage[0, 0] = 0
        between = float(np.var(odds))
        weights = np.zeros(design.shape[1])
        for _ in range(_ROUNDS):
            precision = 1 / (noise + between)
            information = design.T @ (precision[:, None] * design) + shrinkage
            weights = np.linalg.solve(information, design.T @ (precision * odds))
            # Variance between genes, whose excess over noise the residuals show (Paule and Mandel).
            excess = np.square(odds - design @ weights) - noise
            before, between = between, float(max(np.average(excess, weights=precision**2), 1e-3))
            if abs(between - before) < 1e-6 * before:
                break
        return cls(tuple(map(float, weights)), float(np.sqrt(between)), n_genes, species)

    def mean(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the expected logit of the ratio, shape (n_genes,).

        Parameters
        ----------
        features
            Shape (n_genes, 5); rows of nan for genes that nothing is known of.
        """
        return np.asarray(_design(features) @ np.array(self.weights))

    def moved(
        self,
        logits: NDArray[np.floating],
        features: NDArray[np.floating],
        other: NDArray[np.floating] | None = None,
    ) -> NDArray[np.float64]:
        r"""Return what a gene's logit is expected to be in another tissue or species.

        .. math:: w_0 + \phi'^\top_g w + k (b_g - w_0 - \phi_g^\top w)

        A gene keeps a share k of its deviation: half in another tissue, 0.3 in another species.

        Parameters
        ----------
        logits
            Of the genes where they were learned, shape (n_genes,).
        features
            Of the same genes, shape (n_genes, 5).
        other
            Features of their orthologs in the other species; ``None`` for another tissue.
        """
        own = self.mean(features)
        if other is None:
            return np.asarray(own + KEPT_IN_TISSUE * (logits - own))
        known = ~np.isnan(features[:, 0]) & ~np.isnan(other[:, 0])
        # Of a gene without features in either species, its own are the best there are.
        there = np.where(known, self.mean(other), own)
        return np.asarray(there + KEPT_IN_SPECIES * (logits - own))

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold of it."""
        return asdict(self)

    @classmethod
    def from_json(cls, given: Mapping[str, Any] | None) -> GenePrior | None:
        """Read what `to_json` gave; ``None`` gives ``None``.

        Parameters
        ----------
        given
            From `to_json`.

        Raises
        ------
        ValueError
            If it is not a prior.
        """
        if given is None:
            return None
        weights = tuple(float(weight) for weight in given["weights"])
        sd = float(given["sd"])
        if len(weights) != len(FEATURES) + 2 or not np.isfinite([*weights, sd]).all() or sd <= 0:
            raise ValueError("expected a finite weight for each feature and a positive sd")
        return cls(weights, sd, int(given["n_genes"]), str(given["species"]))


def _design(features: NDArray[np.floating]) -> NDArray[np.float64]:
    """Put a constant before the features and a mark for genes without any after them."""
    unknown = np.isnan(features[:, 0])
    known = np.where(unknown[:, None], 0.0, features)
    return np.column_stack([np.ones(len(features)), known, unknown]).astype(np.float64)
