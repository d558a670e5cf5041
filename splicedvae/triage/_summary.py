"""`inspect`: what a reviewer would ask about a data set before believing a velocity from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from splicedvae._core.errors import DataError
from splicedvae._core.gene_identity import GeneIdentity
from splicedvae._core.keys import Ambiguous, Layers
from splicedvae._core.messages import about, shown, shown_list
from splicedvae._core.species import SpeciesGuess, ensembl_share, gene_style, guess_species
from splicedvae.io import Counts, ReadResult
from splicedvae.triage._columns import batch_candidates, cluster_candidates
from splicedvae.triage._findings import MIN_SHARED_COUNTS, Doubt, doubts, empty_below
from splicedvae.triage._quality import layer_sums, marker_sums
from splicedvae.triage._verdict import Verdict, judge

_BINS = 40


@dataclass(frozen=True)
class Quartiles:
    """Five numbers of a distribution."""

    minimum: float
    lower: float
    median: float
    upper: float
    maximum: float

    @classmethod
    def of(cls, values: np.ndarray) -> Quartiles:
        """Take the quartiles of some numbers.

        Parameters
        ----------
        values
            Finite numbers, at least one.
        """
        return cls(*(float(q) for q in np.quantile(values, (0, 0.25, 0.5, 0.75, 1))))


@dataclass(frozen=True)
class Histogram:
    """How often values fall between edges; there is one edge more than counts."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, values: np.ndarray, edges: np.ndarray) -> Histogram:
        """Count numbers between edges.

        Parameters
        ----------
        values
            Finite numbers; what lies outside the edges is not counted.
        edges
            Rising edges of the bins, one more than bins.
        """
        counts, _ = np.histogram(values, edges)
        return cls(tuple(float(e) for e in edges), tuple(int(c) for c in counts))


@dataclass(frozen=True)
class ClusterRow:
    """One cluster's cells."""

    cluster: str
    n_cells: int
    #: UMIs (total counts) per cell.
    median_umis: float
    #: Unspliced share of all spliced + unspliced counts; ``None`` without layers or counts.
    unspliced_fraction: float | None
    #: The same for each cell that has counts.
    unspliced_fraction_per_cell: Quartiles | None


@dataclass(frozen=True)
class DataSummary:
    """What is in a data set, as the command line prints it and the data page shows it."""

    name: str
    sha256: str
    n_cells: int
    n_genes: int
    total_source: str
    spliced_source: str | None
    unspliced_source: str | None
    counts: Counts | None
    has_spliced: bool
    has_unspliced: bool
    has_ambiguous: bool
    has_measured_layers: bool
    #: Total counts (UMIs) per cell.
    umis_per_cell: Quartiles
    #: Genes with at least one count per cell.
    genes_per_cell: Quartiles
    #: UMIs per cell, over edges of equal ratio; cells without counts are not in it.
    umis_histogram: Histogram
    #: Share of all entries of the total matrix that are zero.
    zero_fraction: float
    empty_cells: int
    empty_genes: int
    #: Share of cells with fewer than `empty_below` counts, as empty droplets have.
    empty_droplets: float
    #: 100, and less where a file holds a choice of genes.
    empty_below: float
    #: Standard deviation of the cells' depths over their mean.
    depth_variation: float
    #: Largest entry of the total matrix.
    largest_count: float
    #: Unspliced share of all spliced + unspliced counts.
    unspliced_fraction: float | None
    unspliced_fraction_per_cell: Quartiles | None
    unspliced_histogram: Histogram | None
    #: Genes with at least `MIN_SHARED_COUNTS` counts in cells that have both spliced and
    #: unspliced counts of the gene (scVelo's ``min_shared_counts``).
    genes_with_shared_counts: int | None
    #: Scatter of the ratios within genes over what counting alone gives, and its standard error
    #: if ratios were constant within genes: 1 is no signal at all.
    ratio_scatter: float | None
    ratio_scatter_error: float | None
    #: Median over cells of the share of mitochondrial counts.
    mitochondrial_fraction: float | None
    #: Share of cells with counts of several genes of mitosis.
    dividing_cells: float | None
    cluster_key: str | None
    clusters: tuple[ClusterRow, ...]
    cluster_columns: tuple[str, ...]
    batch_key: str | None
    batch_columns: tuple[str, ...]
    #: How genes are named.
    gene_style: str
    species: SpeciesGuess
    #: What was taken from where, from reading.
    notes: tuple[str, ...]
    #: What a reviewer would raise, one sentence each, the gravest first.
    warnings: tuple[str, ...]
    #: Those of `warnings` that do not weigh on the verdict.
    remarks: tuple[str, ...]
    #: Whether a velocity is worth trying, by these numbers alone.
    verdict: Verdict
    #: Names of the layers of the file that may hold measured counts, in its order.
    layers: tuple[str, ...] = ()
    ambiguous_source: str | None = None
    #: Where ambiguous counts went.
    ambiguous: Ambiguous | None = None
    #: Share of spliced + unspliced + ambiguous counts that are ambiguous.
    ambiguous_share: float | None = None

    @property
    def ambiguous_place(self) -> str:
        """Where ambiguous counts went, in words."""
        return "added to spliced" if self.ambiguous == "spliced" else "kept apart"

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain numbers, text, lists and dictionaries, ready for JSON."""
        plain: dict[str, Any] = _plain(dataclasses.asdict(self))
        return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def inspect(
    result: ReadResult, *, cluster_key: str | None = None, batch_key: str | None = None
) -> DataSummary:
    r"""Describe data that were read, and say what a reviewer would raise.

    Parameters
    ----------
    result
        From `splicedvae.io.read` or `splicedvae.io.from_anndata`.
    cluster_key
        Column of ``obs`` with clusters; ``None`` takes the likeliest.
    batch_key
        Column of ``obs`` with batches; ``None`` takes the likeliest.

    Returns
    -------
    The summary.

    Raises
    ------
    DataError
        A named column is not there.

    Examples
    --------
    >>> summary = splicedvae.triage.inspect(splicedvae.io.read("cells.h5ad"))  # doctest: +SKIP
    >>> print(*summary.warnings, sep="\n")  # doctest: +SKIP
    """
    adata = result.adata
    total = adata.X
    umis = _row_sums(total)
    genes = np.diff(total.indptr).astype(float)
    cluster_columns, batch_columns = cluster_candidates(adata), batch_candidates(adata)
    with about(result.name):
        _check_column(adata.obs, cluster_key, cluster_columns)
        _check_column(adata.obs, batch_key, batch_columns)
    clusters_in = cluster_key or (cluster_columns[0] if cluster_columns else None)
    batches_in = batch_key or (batch_columns[0] if batch_columns else None)

    overall: float | None = None
    per_cell = sums = s = u = None
    if result.has_measured_layers:
        spliced, unspliced = adata.layers[Layers.SPLICED], adata.layers[Layers.UNSPLICED]
        s, u = _row_sums(spliced), _row_sums(unspliced)
        overall = float(u.sum() / (s.sum() + u.sum())) if (s.sum() + u.sum()) > 0 else 0.0
        with np.errstate(invalid="ignore", divide="ignore"):
            per_cell = u / (s + u)
        sums = layer_sums(
            total,
            spliced,
            unspliced,
            min_shared=MIN_SHARED_COUNTS,
            are_sum=result.totals_are_sum,
        )
    finite = per_cell[np.isfinite(per_cell)] if per_cell is not None else np.empty(0)
    gene_counts = np.bincount(total.indices, minlength=total.shape[1])
    positive = umis[umis > 0]
    edges = np.geomspace(max(1.0, positive.min()), max(2.0, positive.max() * 1.0001), _BINS + 1)
    markers = marker_sums(total, umis, adata.var)
    below = empty_below(umis, adata.n_vars)
    ids = GeneIdentity.of(adata.var).identifiers
    summary = DataSummary(
        name=result.name,
        sha256=result.sha256,
        n_cells=adata.n_obs,
        n_genes=adata.n_vars,
        total_source=result.total_source,
        spliced_source=result.spliced_source,
        unspliced_source=result.unspliced_source,
        counts=result.counts,
        has_spliced=result.spliced_source is not None,
        has_unspliced=result.unspliced_source is not None,
        has_ambiguous=result.ambiguous_source is not None,
        has_measured_layers=result.has_measured_layers,
        umis_per_cell=Quartiles.of(umis),
        genes_per_cell=Quartiles.of(genes),
        umis_histogram=Histogram.of(positive, edges),
        zero_fraction=1.0 - total.nnz / (total.shape[0] * total.shape[1]),
        empty_cells=int(np.count_nonzero(umis == 0)),
        empty_genes=int(np.count_nonzero(gene_counts == 0)),
        empty_droplets=float(np.mean(umis < below)),
        empty_below=below,
        depth_variation=float(umis.std() / umis.mean()),
        largest_count=float(total.data.max()),
        unspliced_fraction=overall,
        unspliced_fraction_per_cell=Quartiles.of(finite) if finite.size else None,
        unspliced_histogram=Histogram.of(finite, np.linspace(0, 1, _BINS + 1))
        if finite.size
        else None,
        genes_with_shared_counts=None
        if sums is None
        else int(np.count_nonzero(sums.shared >= MIN_SHARED_COUNTS)),
        ratio_scatter=None if sums is None else sums.scatter,
        ratio_scatter_error=None if sums is None else sums.scatter_error,
        mitochondrial_fraction=markers.mitochondrial,
        dividing_cells=markers.dividing,
        cluster_key=clusters_in,
        clusters=_cluster_rows(adata.obs[clusters_in], umis, s, u) if clusters_in else (),
        cluster_columns=tuple(cluster_columns),
        batch_key=batches_in,
        batch_columns=tuple(batch_columns),
        gene_style=gene_style(adata.var_names),
        species=guess_species(adata.var_names, ids),
        notes=result.notes,
        warnings=(),
        layers=result.layers,
        ambiguous_source=result.ambiguous_source,
        ambiguous=result.ambiguous,
        ambiguous_share=result.ambiguous_share,
        remarks=(),
        verdict=Verdict("no", ()),
    )
    found = doubts(summary, sums, ensembl_share(adata.var_names), adata.obs)
    return _judged(summary, found)


def _judged(summary: DataSummary, found: Sequence[Doubt]) -> DataSummary:
    return dataclasses.replace(
        summary,
        warnings=tuple(doubt.words for doubt in found),
        remarks=tuple(doubt.words for doubt in found if doubt.weight == "remark"),
        verdict=judge(summary, found),
    )


def _row_sums(matrix: sparse.csr_matrix) -> np.ndarray:
    return np.asarray(matrix.sum(axis=1, dtype=np.float64)).ravel()


def _check_column(obs: pd.DataFrame, key: str | None, usual: Sequence[str]) -> None:
    if key is not None and key not in obs:
        there = shown_list(usual or map(str, obs.columns)) or "none"
        raise DataError(
            f"obs has no column '{shown(key)}', one of its columns ({there}) was expected; name "
            "one that is there."
        )


def _cluster_rows(
    column: pd.Series, umis: np.ndarray, s: np.ndarray | None, u: np.ndarray | None
) -> tuple[ClusterRow, ...]:
    codes, labels = pd.factorize(column, sort=False)
    if isinstance(column.dtype, pd.CategoricalDtype):
        order = {str(label): rank for rank, label in enumerate(column.cat.categories)}
    else:
        order = {label: rank for rank, label in enumerate(sorted(map(str, labels)))}
    groups: list[tuple[str, np.ndarray]] = [
        (str(label), np.flatnonzero(codes == code)) for code, label in enumerate(labels)
    ]
    groups.sort(key=lambda group: order[group[0]])
    without = np.flatnonzero(codes < 0)
    if without.size:
        groups.append(("(none)", without))
    rows = []
    for label, cells in groups:
        fraction, quartiles = None, None
        if s is not None and u is not None:
            both = s[cells] + u[cells]
            if both.sum() > 0:
                fraction = float(u[cells].sum() / both.sum())
                quartiles = Quartiles.of(u[cells][both > 0] / both[both > 0])
        rows.append(
            ClusterRow(label, int(cells.size), float(np.median(umis[cells])), fraction, quartiles)
        )
    return tuple(rows)
