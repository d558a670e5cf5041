"""Which columns of ``obs`` hold clusters, which batches, and which the time of a cell."""

from __future__ import annotations

import re

import pandas as pd
from anndata import AnnData

from splicedvae._core.keys import Obs

#: Usual names of cluster columns, the most specific first.
_CLUSTERS = (
    Obs.CLUSTERS,
    "cell_type",
    "celltype",
    "celltypes",
    "cell_types",
    "CellType",
    "cell type",
    "annotation",
    "cluster",
    "louvain",
    "leiden",
    "seurat_clusters",
    "ClusterName",
    "clusters_coarse",
    "clusters_fine",
)
_BATCHES = (
    Obs.BATCH,
    "sample",
    "sample_id",
    "samples",
    "donor",
    "donor_id",
    "patient",
    "library",
    "library_id",
    "orig.ident",
    "SRX_accession",
    "experiment",
    "dataset",
    "run",
    "lane",
    "plate",
    "replicate",
    "SampleID",
)
#: Words in names of columns with the time of a cell.
_TIMES = ("time", "hour", "day", "minute", "stage", "age", "dpf", "hpf")
_FEWEST, _MOST = 2, 100


def cluster_candidates(adata: AnnData) -> list[str]:
    """Columns of ``obs`` that could hold clusters or cell types, the likeliest first.

    Parameters
    ----------
    adata
        Data; only ``obs`` is looked at.

    Returns
    -------
    Names of text or categorical columns with 2 to 100 values, fewer than cells; whole numbers
    only under a usual name. Columns named like batches are left out: see `batch_candidates`.

    Examples
    --------
    >>> splicedvae.triage.cluster_candidates(adata)  # doctest: +SKIP
    ['clusters', 'leiden']
    """
    found = _grouping(adata, numbers_of={name.lower() for name in _CLUSTERS})
    batches = {name.lower() for name in _BATCHES}
    return sorted((name for name in found if name.lower() not in batches), key=_rank)


def batch_candidates(adata: AnnData) -> list[str]:
    """Columns of ``obs`` that are named like batches and hold 2 to 100 values.

    Parameters
    ----------
    adata
        Data; only ``obs`` is looked at.

    Returns
    -------
    Names of columns, the likeliest first.
    """
    order = [name.lower() for name in _BATCHES]
    found = _grouping(adata, numbers_of=set(order))
    return sorted(
        (name for name in found if name.lower() in order), key=lambda n: order.index(n.lower())
    )


def time_candidates(adata: AnnData) -> list[str]:
    """Columns of ``obs`` that could hold the time of a cell, such as hours of a time course.

    Parameters
    ----------
    adata
        Data; only ``obs`` is looked at.

    Returns
    -------
    Names of columns whose name has a word for time and whose values are at least two different
    numbers, or text of such, in the order of the file.
    """
    found = []
    for name in map(str, adata.obs.columns):
        words = re.split(r"[^a-z]+", name.lower())
        if not any(word.rstrip("s") in _TIMES or word.endswith("time") for word in words):
            continue
        column = adata.obs[name]
        if isinstance(column, pd.DataFrame):
            continue
        numbers = pd.to_numeric(column.astype(str), errors="coerce")
        if numbers.notna().mean() > 0.5 and numbers.nunique(dropna=True) >= _FEWEST:
            found.append(name)
    return found


def _rank(name: str) -> tuple[int, int]:
    lower = name.lower()
    usual = [item.lower() for item in _CLUSTERS]
    if lower in usual:
        return 0, usual.index(lower)
    if any(word in lower for word in ("cluster", "type", "leiden", "louvain", "annot", "label")):
        return 1, 0
    return 2, 0


def _grouping(adata: AnnData, *, numbers_of: set[str]) -> list[str]:
    found = []
    for name in map(str, adata.obs.columns):
        column = adata.obs[name]
        if isinstance(column, pd.DataFrame) or name == Obs.PREDICTED:  # the name occurs twice
            continue
        is_text = isinstance(column.dtype, pd.CategoricalDtype) or column.dtype == object
        is_text = is_text or isinstance(column.dtype, pd.StringDtype)
        is_number = pd.api.types.is_integer_dtype(column.dtype) and name.lower() in numbers_of
        if not (is_text or is_number):
            continue
        values = column.nunique(dropna=True)
        if _FEWEST <= values <= _MOST and (values < adata.n_obs or adata.n_obs <= _FEWEST):
            found.append(name)
    return found
