"""From total counts and splicing ratios to spliced and unspliced counts.

What a total count contains depends on how reads were counted. With introns (GeneFull, Cell
Ranger 7 and later) a total is spliced plus unspliced molecules, and the ratio divides it. Exonic
only (Gene, Cell Ranger before 7) a total is the spliced molecules, and the ratio says how many
unspliced ones were missed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, issparse, sparray, spmatrix

from splicedvae._core.errors import DataError
from splicedvae._core.keys import LAYERS_JOINED, Counts, Layers, Obs, Uns
from splicedvae._core.records import own_record, own_root

#: Exonic counts are divided by the ratio; below this the quotient is noise.
MIN_RATIO_EXONIC = 0.01


def reconstruct_counts(
    totals: spmatrix | sparray | NDArray[Any],
    ratio: spmatrix | sparray | NDArray[Any],
    *,
    counts: Counts = "with-introns",
) -> tuple[csr_matrix, csr_matrix]:
    """Divide total counts into spliced and unspliced ones.

    Parameters
    ----------
    totals
        Total counts x, shape (n_cells, n_genes), sparse or dense.
    ratio
        Splicing ratio rho in [0, 1], same shape: dense, or sparse with an entry wherever the
        total is not zero.
    counts
        One of:

        * ``"with-introns"`` - S = x rho and U = x - S; S + U is x to the last bit.
        * ``"exonic"`` - S = x and U = x (1 - rho) / rho, with rho not below 0.01.

    Returns
    -------
    spliced, unspliced
        CSR matrices of the totals' floating type, same shape and at most the same non-zero entries.

    Raises
    ------
    DataError
        If the shapes differ, a ratio is outside [0, 1] or missing, or ``counts`` is unknown.
    """
    if counts not in get_args(Counts):
        raise DataError(
            f"`counts` is {counts!r}, expected 'with-introns' or 'exonic'; say what the totals "
            "contain."
        )
    if totals.shape != ratio.shape:
        raise DataError(
            f"Totals of shape {totals.shape} came with ratios of shape {ratio.shape}, equal shapes "
            "were expected; align the genes first."
        )
    x = csr_matrix(totals, copy=True) if issparse(totals) else csr_matrix(np.asarray(totals))
    x.sum_duplicates()
    if not np.issubdtype(x.dtype, np.floating):
        x = x.astype(np.float32)
    x.eliminate_zeros()
    rho = _at_entries(ratio, x).astype(x.dtype)
    if not ((rho >= 0) & (rho <= 1)).all():
        bad = rho[~((rho >= 0) & (rho <= 1))][0]
        raise DataError(
            f"A splicing ratio is {bad}, expected a number from 0 to 1; check the predictions."
        )
    spliced, unspliced = x.copy(), x.copy()
    if counts == "exonic":
        rho = np.maximum(rho, x.dtype.type(MIN_RATIO_EXONIC))
        unspliced.data = x.data * ((1 - rho) / rho)
    else:
        unspliced.data = x.data - x.data * rho
        # One of the two differences is exact (Sterbenz), which makes the sum exact.
        spliced.data = x.data - unspliced.data
    spliced.eliminate_zeros()
    unspliced.eliminate_zeros()
    return spliced, unspliced


def _at_entries(ratio: Any, pattern: csr_matrix) -> NDArray[Any]:
    """Take the ratio at the stored entries of a CSR matrix, in their order."""
    rows = np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr))
    if not issparse(ratio):
        return np.asarray(ratio)[rows, pattern.indices]
    rho = csr_matrix(ratio)
    if np.array_equal(rho.indptr, pattern.indptr) and np.array_equal(rho.indices, pattern.indices):
        return np.asarray(rho.data)
    rho.sum_duplicates()
    stored = rho.copy()
    stored.data = np.ones_like(stored.data)
    values = np.asarray(rho[rows, pattern.indices]).ravel()
    present = np.asarray(stored[rows, pattern.indices]).ravel()
    if not present.all():
        raise DataError(
            f"{int((present == 0).sum()):,} non-zero totals have no splicing ratio, one for each "
            "was expected; predict the ratio on the same counts."
        )
    return values


def add_predicted_layers(
    adata: AnnData,
    ratio: spmatrix | sparray | NDArray[Any],
    *,
    counts: Counts = "with-introns",
    predictor: str = "SplicedVAE",
    layer: str | None = None,
    details: dict[str, Any] | None = None,
) -> tuple[str, str]:
    """Write predicted spliced and unspliced counts and the ratio into an AnnData.

    Measured layers are never overwritten: where ``spliced`` or ``unspliced`` exist and are not
    marked as predicted, the predictions go to ``predicted_spliced`` and
    ``predicted_unspliced``. All written layers are named in
    ``uns["splicedvae"]["predicted"]``, and for each cell in ``obs["splicedvae_predicted"]``, which
    joining files keeps.

    Parameters
    ----------
    adata
        AnnData with total counts, cells x genes. It is changed in place.
    ratio
        Splicing ratio, same shape, as for `reconstruct_counts`.
    counts
        What the totals contain, as for `reconstruct_counts`.
    predictor
        What made the prediction, for the record.
    layer
        Layer with the total counts; ``None`` takes ``X``.
    details
        Anything else worth recording, such as how genes were aligned.

    Returns
    -------
    Names of the layers with spliced and unspliced counts.

    Raises
    ------
    DataError
        As for `reconstruct_counts`.
    """
    totals = adata.X if layer is None else adata.layers[layer]
    spliced, unspliced = reconstruct_counts(totals, ratio, counts=counts)
    names = mark_predicted(adata, counts=counts, predictor=predictor, details=details)
    pattern = csr_matrix(totals).astype(np.float32)
    pattern.sum_duplicates()
    pattern.eliminate_zeros()
    stored = pattern.copy()
    stored.data = _at_entries(ratio, pattern).astype(np.float32)
    adata.layers[names[0]] = spliced
    adata.layers[names[1]] = unspliced
    adata.layers[Layers.RATIO] = stored
    return names


def mark_predicted(
    adata: AnnData,
    *,
    counts: Counts = "with-introns",
    predictor: str = "SplicedVAE",
    details: Mapping[str, Any] | None = None,
) -> tuple[str, str]:
    """Choose names for predicted layers and record them, before the layers are written.

    Parameters
    ----------
    adata
        Data with its measured layers, if any. Its ``uns`` and ``obs`` are changed in place.
    counts, predictor, details
        As for `add_predicted_layers`.

    Returns
    -------
    Names for the layers with spliced and unspliced counts.
    """
    root = own_root(adata.uns)
    ours = {str(name) for name in own_record(adata.uns, Uns.PREDICTED).get("layers", [])}
    measured = {Layers.SPLICED, Layers.UNSPLICED} & set(adata.layers) - ours
    names = (
        (Layers.PREDICTED_SPLICED, Layers.PREDICTED_UNSPLICED)
        if measured
        else (Layers.SPLICED, Layers.UNSPLICED)
    )
    root[Uns.PREDICTED] = {
        **(details or {}),
        "layers": [*names, Layers.RATIO],
        "predictor": predictor,
        "counts": counts,
        "measured_layers_kept": sorted(measured),
    }
    adata.uns[Uns.ROOT] = root
    layers = LAYERS_JOINED.join(root[Uns.PREDICTED]["layers"])
    adata.obs[Obs.PREDICTED] = pd.Categorical([layers] * adata.n_obs)
    return names
