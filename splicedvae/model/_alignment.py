"""Bring the genes of a query to those of a model, by name, and say what was done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.sparse import csr_matrix, issparse

from splicedvae._errors import GenesError
from splicedvae._gene_names import naming_style

#: Below this share of a model's genes its latent space means nothing for the query.
MIN_FRACTION = 0.5


@dataclass(frozen=True)
class GeneAlignment:
    """What was done to bring a query's genes to a model's.

    Parameters
    ----------
    n_model
        Genes of the model.
    n_found
        How many of them the query has.
    n_extra
        Genes of the query that the model does not know; they were left out.
    reordered
        Whether the shared genes stood in another order.
    missing
        Model genes that the query lacks, in the model's order; their counts are taken as zero.
    """

    n_model: int
    n_found: int
    n_extra: int
    reordered: bool
    missing: tuple[str, ...]

    @property
    def is_identity(self) -> bool:
        """Whether the query had the model's genes, all of them, in order."""
        return self.n_found == self.n_model and self.n_extra == 0 and not self.reordered

    def __str__(self) -> str:
        parts = [f"{self.n_found:,} of the model's {self.n_model:,} genes were found by name"]
        if self.missing:
            shown = ", ".join(self.missing[:3]) + (", ..." if len(self.missing) > 3 else "")
            parts.append(f"{len(self.missing):,} missing ones were taken as zero ({shown})")
        if self.n_extra:
            parts.append(f"{self.n_extra:,} other genes of the data were left out")
        if self.reordered:
            parts.append("genes were put in the model's order")
        return "; ".join(parts) + "."


def _advice(target: pd.Index, names: pd.Index) -> str:
    ours, theirs = naming_style(target), naming_style(names)
    # The words without their example say the style.
    if ours.split(" (")[0] == theirs.split(" (")[0]:
        return (
            f"both have {ours.split(' (')[0]}, so give the data with all its genes, as counted, "
            "or train a model on the genes it has."
        )
    return (
        f"the model has {ours} and the data {theirs}, so map the data's genes to the model's "
        "names (orthologs for another species) or use a model trained on that species."
    )


def gene_selection(names: pd.Index, target: pd.Index) -> csr_matrix:
    """Return what counts are multiplied by from the right to have a model's genes in its order."""
    position = names.get_indexer(target)
    found = position >= 0
    return csr_matrix(
        (
            np.ones(int(found.sum()), dtype=np.float32),
            (position[found], np.flatnonzero(found)),
        ),
        shape=(len(names), len(target)),
    )


def align_genes(
    adata: AnnData,
    genes: Sequence[str] | pd.Index,
    *,
    layers: Sequence[str] = (),
    min_fraction: float = MIN_FRACTION,
) -> tuple[AnnData, GeneAlignment]:
    """Bring an AnnData to a model's genes: same names, same order, missing ones zero.

    Parameters
    ----------
    adata
        The query, cells x any genes. It is not changed.
    genes
        Names of the model's genes.
    layers
        Layers to bring along where the query has them.
    min_fraction
        Share of the model's genes that must be found.

    Returns
    -------
    aligned
        The query itself where its genes are the model's already, otherwise a new AnnData,
        cells x ``genes``, with CSR counts, the same obs, obsm and uns.
    alignment
        What was done.

    Raises
    ------
    GenesError
        If a gene name stands twice in the query, or too few of the model's genes are found.
    """
    target = pd.Index(genes)
    names = adata.var_names
    if names.equals(target):
        return adata, GeneAlignment(len(target), len(target), 0, False, ())
    if not names.is_unique:
        twice = names[names.duplicated()][0]
        raise GenesError(
            f"The gene name '{twice}' stands more than once in the data, each was expected once; "
            "call `adata.var_names_make_unique()` or add up its columns."
        )
    position = names.get_indexer(target)
    found = position >= 0
    n_found = int(found.sum())
    if n_found < max(1, min_fraction * len(target)):
        raise GenesError(
            f"{n_found:,} of the model's {len(target):,} genes "
            f"({100 * n_found / len(target):.1f}%) are in the data, at least "
            f"{100 * min_fraction:.0f}% were expected; {_advice(target, names)}"
        )
    selection = gene_selection(names, target)

    def pick(matrix: object) -> csr_matrix:
        counts = matrix if issparse(matrix) else csr_matrix(np.asarray(matrix))
        picked = csr_matrix(counts @ selection)
        picked.sort_indices()
        return picked

    aligned = AnnData(
        X=None if adata.X is None else pick(adata.X),
        obs=adata.obs.copy(),
        var=pd.DataFrame(index=target),
        obsm={key: value.copy() for key, value in adata.obsm.items()},
        uns={key: value for key, value in adata.uns.items() if not key.startswith("_scvi")},
        layers={name: pick(adata.layers[name]) for name in layers if name in adata.layers},
    )
    alignment = GeneAlignment(
        n_model=len(target),
        n_found=n_found,
        n_extra=adata.n_vars - n_found,
        reordered=bool((np.diff(position[found]) < 0).any()),
        missing=tuple(str(g) for g in target[~found]),
    )
    return aligned, alignment
