"""Which features are genes: antibodies, guides, hashtags and peaks are left out, whatever the file.

A column says what kind of feature each row is if its words are those of a tool. Columns with other
words, such as biotypes or chromosomes, say nothing of it, whatever they are called.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

from splicedvae._core.errors import DataError
from splicedvae._core.messages import shown_list

#: Words that no column holds for another reason: 10x's, and those of muon and Seurat alike.
_GENES = frozenset({"gene expression"})
_OTHERS = frozenset(
    {
        "antibody capture", "antigen capture", "crispr guide capture", "multiplexing capture",
        "peaks", "chromatin accessibility", "antibody derived tags", "antibody derived tag",
        "hashtag oligos", "hashtag oligo",
    }
)  # fmt: skip
#: Words that count in columns with a name of `_COLUMNS` only, and only where both kinds are there.
_LOOSE_GENES = frozenset(
    {"gene", "genes", "rna", "gex", "mrna", "expression", "transcriptome", "sct", "spliced"}
)
_LOOSE_OTHERS = frozenset(
    {
        "adt", "ab", "antibody", "antibodies", "protein", "proteins", "prot", "hto", "hashtag",
        "hashtags", "hashing", "multiplexing", "cmo", "crispr", "grna", "sgrna", "guide", "guides",
        "atac", "peak", "spike in", "spikein", "ercc", "antigen", "tag", "tags", "cite", "custom",
        "gene activity", "protein expression", "barcode", "barcodes",
    }
)  # fmt: skip
_MISSING = frozenset({"", "nan", "none", "na"})
_COLUMNS = re.compile(
    r"(feature|library|assay|modalit|capture|omic).*|(gene|var|probe)?types?|feature_biotype"
)


def kinds_of(column: pd.Series, name: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
    """Say which features a column calls genes and which others, or nothing if it does neither.

    Parameters
    ----------
    column
        One value for each feature.
    name
        Of the column.

    Returns
    -------
    Two masks: genes, and other features. ``None`` if the words are not kinds of features.
    """
    if pd.api.types.is_numeric_dtype(column.dtype) or isinstance(column, pd.DataFrame):
        return None
    codes, labels = pd.factorize(column.astype(object), use_na_sentinel=True)
    words = [_words(label) for label in labels]
    said = set(words) - _MISSING
    genes, others = _GENES, _OTHERS
    if _COLUMNS.fullmatch(re.sub(r"[^a-z]", "", name.lower())) and said & (_GENES | _LOOSE_GENES):
        genes, others = _GENES | _LOOSE_GENES, _OTHERS | _LOOSE_OTHERS
    if not said & (genes | others):
        return None
    if said & _GENES:
        others = frozenset(said - genes)  # with 10x's word for genes, all others are not genes
    elif not said <= genes | others:
        return None  # there are other words too, such as biotypes
    is_gene, is_other = (
        np.array([*(word in kind for word in words), False]) for kind in (genes, others)
    )
    return is_gene[codes], is_other[codes]


def gene_mask(var: pd.DataFrame) -> tuple[NDArray[np.bool_], str] | None:
    """Find the features that are genes.

    Parameters
    ----------
    var
        Features with their columns.

    Returns
    -------
    Which of them are genes, and the column that says so; ``None`` where all are or none says.
    """
    for column in map(str, var.columns):
        values: Any = var[column]
        kinds = kinds_of(values, column) if isinstance(values, pd.Series) else None
        if kinds is not None and kinds[1].any():
            return ~kinds[1], column
    return None


def only_genes(adata: AnnData, notes: list[str]) -> AnnData:
    """Leave out features that are not genes, with a note.

    Parameters
    ----------
    adata
        Data whose ``var`` may give the kinds of features.
    notes
        Gets a sentence when features are left out.

    Returns
    -------
    The data with genes only; the same object where all are genes.

    Raises
    ------
    DataError
        None of the features is a gene.
    """
    found = gene_mask(adata.var)
    raw = None if adata.raw is None else _genes_of_raw(adata, found)
    if found is None and raw is None:
        return adata
    keep = np.ones(adata.n_vars, dtype=bool)
    if found is not None:
        keep, column = found
        others = shown_list(sorted(set(adata.var.loc[~keep, column].astype(str))))
        if not keep.any():
            raise DataError(
                f"its features are {others}, expected gene expression; give the gene "
                "expression matrix."
            )
        notes.append(
            f"{int((~keep).sum()):,} features that are not genes ({others}) were left out."
        )
    out = adata[:, keep].copy()
    if raw is not None:
        out.raw = raw
    return out


def _genes_of_raw(adata: AnnData, found: tuple[NDArray[np.bool_], str] | None) -> AnnData | None:
    """Cut ``raw`` to its genes; ``None`` where all its features are genes."""
    raw = adata.raw
    of_raw = gene_mask(raw.var)
    keep = np.ones(raw.n_vars, dtype=bool) if of_raw is None else of_raw[0]
    if found is not None:
        keep = keep & ~raw.var_names.isin(adata.var_names[~found[0]])
    if keep.all() or not keep.any():
        return None
    return AnnData(X=raw.X[:, keep], obs=adata.obs[[]], var=raw.var.loc[keep])


def _words(label: object) -> str:
    text = label.decode("utf-8", "replace") if isinstance(label, bytes) else str(label)
    return " ".join(re.sub(r"[^a-z0-9]+", " ", text.lower()).split())
