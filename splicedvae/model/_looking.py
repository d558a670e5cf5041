"""Check a user's AnnData before a model is set up on it or predicts from it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import pandas as pd
from anndata import AnnData
from scipy.sparse import csr_matrix

from splicedvae import io
from splicedvae._core.errors import DataError
from splicedvae._core.keys import Counts
from splicedvae._core.labels import batch_labels, label_texts
from splicedvae._core.layers import named_layers


def look_before_setup(
    adata: AnnData,
    *,
    layer: str | None,
    spliced_layer: str,
    unspliced_layer: str,
    batch_key: str | None,
) -> Counts | None:
    """Check the AnnData that a model is set up on, and warn about its counts.

    Returns
    -------
    What its totals contain; ``None`` if unknown.

    Raises
    ------
    DataError
        If its counts are not in memory, or a cell has no batch.
    """
    if not io.is_in_memory(adata):
        raise DataError(
            "The counts of the AnnData are not in memory (backed or dask arrays), expected "
            "counts in memory for training; call `adata = adata.to_memory()` first."
        )
    refuse_missing_labels(adata, batch_key)
    if adata.X is None if layer is None else layer not in adata.layers:
        return None  # scvi-tools says what is missing
    seen = io.see_counts(
        adata, layer=layer, spliced_layer=spliced_layer, unspliced_layer=unspliced_layer
    )
    if seen.refusal is not None:
        warnings.warn(seen.refusal, UserWarning, stacklevel=3)
    elif seen.is_spliced:
        warnings.warn(
            f"{seen.source} equals the spliced counts, so the totals are treated as exonic: "
            "predicted unspliced counts are added to them. For totals with introns, "
            "spliced + unspliced, set up `splicedvae.io.from_anndata(adata).adata`.",
            UserWarning,
            stacklevel=3,
        )
    return seen.counts


def refuse_missing_labels(adata: AnnData, batch_key: str | None) -> None:
    """Refuse cells without a batch.

    Raises
    ------
    DataError
        If there are some.
    """
    if batch_key is not None and batch_key in adata.obs:
        batch_labels(adata.obs[batch_key])


def looked_at(
    adata: AnnData,
    *,
    layer: str | None,
    spliced_layer: str,
    unspliced_layer: str,
    contents: Counts | None,
) -> tuple[AnnData, Counts | None]:
    """Check an AnnData for prediction as `splicedvae.io.read` checks a file.

    Parameters
    ----------
    adata
        Cells x genes. It is not changed.
    layer, spliced_layer, unspliced_layer
        Where the model looks for counts.
    contents
        What the totals of training contained.

    Returns
    -------
    The AnnData, or one with its counts in memory, or with spliced + unspliced as totals where its
    ``X`` is the spliced matrix and the model was trained on totals with introns; and what its
    totals contain, ``None`` if unknown.

    Raises
    ------
    DataError
        If its totals are not raw counts.
    """
    if not io.is_in_memory(adata):
        adata = adata.to_memory()
    seen = io.see_counts(
        adata, layer=layer, spliced_layer=spliced_layer, unspliced_layer=unspliced_layer
    )
    if seen.refusal is not None:
        raise DataError(
            "The total counts hold fractional, negative or non-finite values: "
            f"{seen.refusal}{_elsewhere(adata)}"
        )
    if not seen.is_spliced or contents == "exonic" or layer is not None:
        return adata, seen.counts
    warnings.warn(
        "X equals the spliced counts, so spliced + unspliced was used as total counts.",
        UserWarning,
        stacklevel=4,
    )
    made = adata.copy()
    made.X = csr_matrix(adata.layers[spliced_layer]) + csr_matrix(adata.layers[unspliced_layer])
    return made, "with-introns"


def _elsewhere(adata: AnnData) -> str:
    """Say whether the reader finds counts in ``raw`` or layers; nothing where there are none."""
    if adata.raw is None and not named_layers(adata):
        return ""
    try:
        found = io.from_anndata(adata)
    except DataError:
        return " The reader finds none in raw.X and layers either."
    return (
        f" The reader finds counts of {found.adata.n_vars:,} genes in {found.total_source}: pass "
        "`splicedvae.io.from_anndata(adata).adata`."
    )


def with_known_batches(adata: AnnData, batch_key: str, known: Sequence[object]) -> AnnData:
    """Write batches as the model does where they were read as another type, such as 1 for "1".

    Parameters
    ----------
    adata
        Its batches are among the known ones by their texts; it is not changed.
    batch_key
        Column of obs.
    known
        Batches of the model.
    """
    values = adata.obs[batch_key]
    if set(values.unique()) <= set(known):
        return adata
    texts = label_texts(pd.Series(list(known), dtype=object))
    by_text = dict(zip(texts, known, strict=True))
    out = adata.copy()
    written = [by_text[text] for text in batch_labels(values)]
    out.obs[batch_key] = pd.Categorical(written, categories=list(known))
    return out
