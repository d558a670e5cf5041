"""The checks of `read`, for the counts of an AnnData without copying them.

A model is set up on, and asked about, an AnnData that a person holds in memory. Its counts are
looked at as those of a file are, and the answers are the same sentences.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from anndata import AnnData
from scipy import sparse

from splicedvae._core.keys import Counts
from splicedvae._core.layers import named_layers
from splicedvae._core.messages import shown
from splicedvae._core.sparse import add, equal
from splicedvae.io._counts import candidate
from splicedvae.io._recognise import predicted_layers
from splicedvae.io._values import WITH_DECIMALS

#: Up to this share of all counts may differ for totals of another counting tool to be
#: called alike with spliced + unspliced, or with spliced alone.
_ALIKE = 0.25
_COUNTS = {"counts", "empty"} | WITH_DECIMALS


@dataclass(frozen=True)
class CountsSeen:
    """What the counts of an AnnData in memory are."""

    #: ``"X"`` or ``"layers/<name>"``.
    source: str
    #: Why the totals are not raw counts, in a sentence; ``None`` where they are.
    refusal: str | None
    #: What the totals contain, judged by measured layers; ``None`` if unknown.
    counts: Counts | None = None
    #: Whether the totals are the spliced counts, while there are unspliced ones.
    is_spliced: bool = False


def is_in_memory(adata: AnnData) -> bool:
    """Say whether all counts of an AnnData are numpy or scipy matrices.

    Parameters
    ----------
    adata
        Cells x genes.
    """
    matrices = [adata.X, *(adata.layers[name] for name in named_layers(adata))]
    return not adata.isbacked and all(
        matrix is None or isinstance(matrix, np.ndarray) or sparse.issparse(matrix)
        for matrix in matrices
    )


def see_counts(
    adata: AnnData, *, layer: str | None, spliced_layer: str, unspliced_layer: str
) -> CountsSeen:
    """Check the counts of an AnnData as `read` checks those of a file.

    Parameters
    ----------
    adata
        Cells x genes, in memory. It is not changed.
    layer
        Layer with total counts; ``None`` takes ``X``.
    spliced_layer, unspliced_layer
        Layers with spliced and unspliced counts, where it has them.

    Returns
    -------
    What they are.

    Raises
    ------
    DataError
        A matrix is damaged or holds no numbers.
    """
    source = "X" if layer is None else f"layers/{shown(layer)}"
    matrix = adata.X if layer is None else adata.layers[layer]
    names = (adata.obs_names, adata.var)
    totals = candidate(matrix, source, names, copy=True)
    if totals.gaps is not None:
        return CountsSeen(
            source,
            f"{source} holds NaN (missing values of a join), expected raw integer counts; "
            "pass `splicedvae.io.from_anndata(adata).adata`, where they are 0.",
        )
    if totals.values.kind not in _COUNTS:
        return CountsSeen(
            source,
            f"{source} {totals.values.words}, expected raw integer counts; {totals.values.advice}.",
        )
    measured = {spliced_layer, unspliced_layer} - predicted_layers(adata)
    if len(measured) < 2 or not measured <= set(adata.layers):
        return CountsSeen(source, None)
    pair = [
        candidate(adata.layers[name], f"layers/{shown(name)}", names, copy=True)
        for name in (spliced_layer, unspliced_layer)
    ]
    if any(found.values.kind not in _COUNTS or found.gaps is not None for found in pair):
        return CountsSeen(source, None)
    spliced, unspliced = (sparse.csr_matrix(found.matrix) for found in pair)
    if unspliced.nnz == 0:
        return CountsSeen(source, None)
    if equal(sparse.csr_matrix(totals.matrix), spliced):
        return CountsSeen(source, None, "exonic", is_spliced=True)
    sums = [_gene_sums(one) for one in (totals.matrix, spliced, add(spliced, unspliced))]
    apart = [float(np.abs(sums[0] - other).sum()) for other in sums[1:]]
    if min(apart) > _ALIKE * max(1.0, float(sums[0].sum())):
        return CountsSeen(source, None)
    return CountsSeen(source, None, "exonic" if apart[0] < apart[1] else "with-introns")


def _gene_sums(matrix: Any) -> np.ndarray:
    return np.asarray(matrix.sum(axis=0, dtype=np.float64)).ravel()
