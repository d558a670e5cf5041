"""What a reviewer would raise about a data set, judged from its counts and names alone.

Every sentence has a number and an advice, and a weight: what forbids a velocity, what makes it
doubtful, and remarks. Where a threshold is not a convention of the field but our
own, its comment says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd

from splicedvae._core.labels import label_texts
from splicedvae._core.messages import shown
from splicedvae._core.notes import Note

if TYPE_CHECKING:
    from splicedvae.triage._quality import LayerSums
    from splicedvae.triage._summary import ClusterRow, DataSummary

Weight = Literal["forbids", "doubt", "remark"]
#: Small clusters that are named.
_NAMED: Final = 5

#: What is not checked, stated with every verdict.
NOT_LOOKED_FOR: Final = (
    "Doublets and ambient RNA are not checked. Two cells in one droplet lie between "
    "clusters and distort the arrows there, so filter them first, for instance with "
    "scanpy.pp.scrublet."
)
#: scVelo's usual least number of shared counts for a gene.
MIN_SHARED_COUNTS: Final = 20
#: Own convention: fewer genes than this seldom agree on a direction.
_FEW_SHARED: Final = 100
#: Own convention; a held-out fifth is then 40 cells.
_FEW_CELLS: Final = 200
#: scVelo smooths over 30 neighbors (``scvelo.pp.moments``): fewer cells than twice that are one
#: neighborhood, and a cluster of fewer than 30 takes its neighbors from others.
_NEIGHBOURS: Final = 30
_TOO_FEW_CELLS: Final = 2 * _NEIGHBOURS
#: Median counts of a cell. Own convention; droplet data of whole cells mostly have more. Depth of
#: a file that holds a choice of genes says less, so below so many genes it is only remarked.
_SHALLOW, _MANY_GENES = 1_000, 2_000
#: Barcodes of fewer counts are taken for empty droplets by emptyDrops (``lower``; Lun et al. 2019,
#: Genome Biology 20:63). Own convention: from a tenth of the cells on, they were not filtered.
EMPTY_DROPLET, _MANY_EMPTY = 100, 0.1
#: Where a file holds a choice of genes, droplets of less than this share of the deepest cells'
#: counts. Own convention; Cell Ranger takes a tenth of the 99th percentile of called cells.
_OF_DEEPEST = 0.02
#: La Manno et al. 2018 (Nature 560:494) found 15 to 25% of the reads of four protocols to be
#: unspliced; nuclei hold mostly unspliced RNA. Bounds around it are our own.
_LOW, _HIGH, _NONE = 0.05, 0.6, 0.001
#: Own convention.
_FOLD: Final = 3.0
#: Counting noise gives a dispersion of 1; 0.5 cannot come from counting molecules.
_COMPUTED: Final = 0.5
#: Standard errors above 1 from which the ratios vary by more than counting.
_ERRORS: Final = 3.0
#: As in reading: totals and layers that are further apart come from different counting.
_OF_TOTAL: Final = 0.75
#: Coefficient of variation of cells' depths. Own convention: droplets give 0.3 or more.
_EVEN_DEPTH: Final = 0.02
#: Median share of mitochondrial counts by species: Osorio and Cai 2021 (Bioinformatics 37:963).
_MITOCHONDRIAL: Final = {"mouse": 0.05}
_MITOCHONDRIAL_ELSE: Final = 0.10
#: Own convention.
_DIVIDING: Final = 0.2
#: Share of a cluster's cells from one batch, and of cells in such clusters. Own convention.
_ONE_BATCH, _CONFOUNDED = 0.95, 0.5
#: Shares of names between which both ways of naming count as mixed. Own convention.
_MIXED: Final = 0.05


def empty_below(umis: np.ndarray, n_genes: int) -> float:
    """Return the counts below which a droplet is taken for empty.

    Parameters
    ----------
    umis
        Total counts of each cell.
    n_genes
        Number of genes.
    """
    if n_genes >= _MANY_GENES:
        return EMPTY_DROPLET
    return float(min(EMPTY_DROPLET, _OF_DEEPEST * np.quantile(umis, 0.99)))


@dataclass(frozen=True)
class Doubt:
    """One sentence of a reviewer."""

    words: str
    #: Whether it forbids a velocity, makes it doubtful, or is only to be known.
    weight: Weight


def doubts(
    summary: DataSummary, sums: LayerSums | None, ensembl: float, obs: pd.DataFrame
) -> list[Doubt]:
    """List the findings against a velocity, and remarks, the most severe first.

    Parameters
    ----------
    summary
        What was found; its own ``warnings`` and ``verdict`` are not looked at.
    sums
        Of the measured layers, if there are.
    ensembl
        Share of genes named by Ensembl identifiers.
    obs
        The cells.

    Returns
    -------
    The doubts.
    """
    found = [
        *_layers(summary, sums),
        *_depth(summary),
        *_cells(summary),
        *_states(summary),
        *_batches(summary, obs),
        *_genes(summary, ensembl),
    ]
    order = ("forbids", "doubt", "remark")
    return sorted(found, key=lambda doubt: order.index(doubt.weight))


def _layers(summary: DataSummary, sums: LayerSums | None) -> Iterator[Doubt]:
    if sums is None or summary.unspliced_fraction is None:
        yield Doubt(
            Note(
                "There are no spliced and unspliced counts: a trained model can predict "
                "them, but the prediction cannot be checked on this file.",
                "layers-missing",
            ),
            "doubt",
        )
        return
    yield from _fraction(summary, summary.unspliced_fraction)
    shared = summary.genes_with_shared_counts or 0
    if shared < _FEW_SHARED:
        yield Doubt(
            f"{(f'Only {shared:,} genes have' if shared else 'No gene has')} "
            f"{MIN_SHARED_COUNTS} or more shared spliced and unspliced counts, expected at "
            f"least {_FEW_SHARED} for a velocity: use more cells or deeper data.",
            "doubt" if shared else "forbids",
        )
    if summary.unspliced_fraction >= _NONE:
        yield from _scatter(sums)
    if sums.excess:
        yield Doubt(
            f"Spliced + unspliced exceeds the total in {sums.excess:,} entries, so totals "
            "and layers come from different counting: count them with one tool or use "
            "spliced + unspliced as totals.",
            "doubt",
        )
    if summary.ambiguous == "apart" and (summary.ambiguous_share or 0.0) > 1 - _OF_TOTAL:
        yield Doubt(
            f"{summary.ambiguous_share:.0%} of the counts are ambiguous and were kept "
            "separate from spliced and unspliced ones, expected less than "
            f"{1 - _OF_TOTAL:.0%}: add them to the spliced counts (ambiguous = spliced) if "
            "they come from kb or alevin-fry.",
            "doubt",
        )
    elif sums.of_total < _OF_TOTAL:
        yield Doubt(
            f"Spliced + unspliced are only {sums.of_total:.0%} of the total counts, "
            f"expected {_OF_TOTAL:.0%} or more: count layers and totals from the same reads "
            "and the same genes.",
            "doubt",
        )
    if summary.counts == "exonic":
        yield Doubt(
            "Totals hold exonic molecules only (no introns), so unspliced counts are "
            "additional: choose “exons only” when training.",
            "remark",
        )


def _fraction(summary: DataSummary, fraction: float) -> Iterator[Doubt]:
    if fraction < _NONE:
        yield Doubt(
            f"Unspliced counts are (nearly) all zero ({fraction:.2%}): introns were not "
            "counted, so these layers give no velocity; recount with introns.",
            "forbids",
        )
    elif fraction < _LOW:
        yield Doubt(
            f"Only {fraction:.1%} of the counts are unspliced, expected 10 to 40%: introns "
            "may not have been counted in full, so check how the layers were made.",
            "doubt",
        )
    elif fraction > _HIGH:
        yield Doubt(
            f"{fraction:.0%} of the counts are unspliced, expected 10 to 40% in whole "
            "cells: these are nuclei, or the two layers are swapped; in nuclei an "
            "unspliced count says little about the cell's future.",
            "doubt",
        )
    rows = [row for row in summary.clusters if row.unspliced_fraction is not None]
    if len(rows) > 1:
        low = min(rows, key=lambda row: row.unspliced_fraction or 0.0)
        high = max(rows, key=lambda row: row.unspliced_fraction or 0.0)
        if (high.unspliced_fraction or 0) > _FOLD * (low.unspliced_fraction or 0) > 0:
            yield Doubt(
                "The unspliced fraction differs more than threefold between clusters, from "
                f"{low.unspliced_fraction:.0%} in {shown(low.cluster)} to "
                f"{high.unspliced_fraction:.0%} in {shown(high.cluster)}: they may include "
                "damaged cells or nuclei, so check these clusters first.",
                "doubt",
            )


def _scatter(sums: LayerSums) -> Iterator[Doubt]:
    if sums.scatter is None or sums.scatter_error is None:
        return
    if sums.scatter < _COMPUTED:
        yield Doubt(
            f"The ratios within genes have {sums.scatter:.2f} times the variance of "
            "counting noise, so these layers were computed from a ratio, not counted: use "
            "the counted layers.",
            "forbids",
        )
    elif sums.scatter < 1 + _ERRORS * sums.scatter_error:
        yield Doubt(
            "The ratios within genes vary over cells no more than counting noise "
            f"({sums.scatter:.2f} times): one constant per gene explains them, so expect no "
            "velocity.",
            "doubt",
        )


def _depth(summary: DataSummary) -> Iterator[Doubt]:
    median, many_genes = summary.umis_per_cell.median, summary.n_genes >= _MANY_GENES
    if median < _SHALLOW:
        yield Doubt(
            f"The cells are shallow: the median is {median:,.0f} UMIs over "
            f"{summary.n_genes:,} genes, expected {_SHALLOW:,} or more; expect few velocity "
            "genes, and sequence deeper if you can.",
            "doubt" if many_genes else "remark",
        )
    if summary.empty_droplets > _MANY_EMPTY:
        yield Doubt(
            f"{summary.empty_droplets:.0%} of the cells have fewer than "
            f"{summary.empty_below:,.0f} UMIs, like empty droplets: use the filtered "
            "matrix, or leave them out.",
            "doubt",
        )
    if summary.depth_variation < _EVEN_DEPTH and summary.n_cells >= _NEIGHBOURS:
        yield Doubt(
            f"The cells' depths differ by only {summary.depth_variation:.1%}: the counts "
            "were normalized and rounded, or downsampled to one depth; give the counts "
            "from before.",
            "doubt",
        )
    if summary.largest_count <= 1:
        yield Doubt(
            "No entry is above 1, so the matrix only says whether a gene was detected: "
            "give the counts from before.",
            "doubt",
        )
    if summary.empty_cells:
        yield Doubt(
            f"{summary.empty_cells:,} cells have no counts and cannot be used for training: "
            "leave them out.",
            "remark",
        )


def _cells(summary: DataSummary) -> Iterator[Doubt]:
    if summary.n_cells < _FEW_CELLS:
        yield Doubt(
            f"There are only {summary.n_cells:,} cells; a model trained on fewer than "
            f"{_FEW_CELLS} does not generalize, so use more.",
            "forbids" if summary.n_cells < _TOO_FEW_CELLS else "doubt",
        )
    if summary.cluster_key is None:
        yield Doubt(
            "No column of obs holds clusters, so streams cannot be colored by cluster: add one.",
            "remark",
        )
    small: list[ClusterRow] = [row for row in summary.clusters if row.n_cells < _NEIGHBOURS]
    if small and summary.n_cells >= _FEW_CELLS:
        small.sort(key=lambda row: row.n_cells)
        named = [f"{shown(row.cluster)}: {row.n_cells:,}" for row in small[:_NAMED]]
        more = f" and {len(small) - _NAMED} more" if len(small) > _NAMED else ""
        yield Doubt(
            f"{_some(len(small), 'cluster has', 'clusters have')} fewer than {_NEIGHBOURS} "
            f"cells ({', '.join(named)}{more}), but scVelo smooths over "
            f"{_NEIGHBOURS} neighbors: do not interpret arrows there.",
            "remark",
        )


def _states(summary: DataSummary) -> Iterator[Doubt]:
    share = summary.mitochondrial_fraction
    most = _MITOCHONDRIAL.get(summary.species.species or "", _MITOCHONDRIAL_ELSE)
    if share is not None and share > most:
        yield Doubt(
            f"Half of the cells have more than {share:.0%} of their counts from "
            f"mitochondrial genes, expected up to {most:.0%}: stressed or damaged cells "
            "change unspliced counts, so filter them.",
            "doubt",
        )
    if summary.dividing_cells is not None and summary.dividing_cells > _DIVIDING:
        yield Doubt(
            f"{summary.dividing_cells:.0%} of the cells have counts of mitosis genes: the "
            "cell cycle produces arrows of its own, so do not interpret them as "
            "differentiation.",
            "remark",
        )


def _batches(summary: DataSummary, obs: pd.DataFrame) -> Iterator[Doubt]:
    if summary.batch_key is None:
        return
    batches = obs[summary.batch_key]
    advice = (
        "name it as batch key when training"
        if summary.has_measured_layers
        else "arrows between batches show the batches"
    )
    yield Doubt(
        f"The cells come from {batches.nunique():,} batches (obs column "
        f"{shown(summary.batch_key)}): {advice}.",
        "remark",
    )
    missing = sum(label is None for label in label_texts(batches))
    if missing:
        yield Doubt(
            f"{_some(missing, 'cell has', 'cells have')} no label in obs column "
            f"{shown(summary.batch_key)}: fill it in or leave them out before you name it "
            "as batch key.",
            "remark",
        )
    if summary.cluster_key is None or summary.cluster_key == summary.batch_key:
        return
    table = pd.crosstab(obs[summary.cluster_key], batches).to_numpy()
    of_cluster, of_batch = table.sum(axis=1), table.sum(axis=0)
    if not of_cluster.sum() or of_batch.max() >= _ONE_BATCH * of_batch.sum():
        return
    alone = table.max(axis=1) >= _ONE_BATCH * np.maximum(of_cluster, 1)
    share = float(of_cluster[alone].sum() / of_cluster.sum())
    if share > _CONFOUNDED:
        yield Doubt(
            f"{share:.0%} of the cells are in clusters that come from one batch "
            f"({int(alone.sum()):,} of {len(table):,} clusters), so batch and cell type are "
            "confounded: compare arrows within a batch only.",
            "doubt",
        )


def _genes(summary: DataSummary, ensembl: float) -> Iterator[Doubt]:
    if summary.empty_genes:
        yield Doubt(f"{summary.empty_genes:,} genes have no counts in any cell.", "remark")
    for note in summary.notes:
        if Note.of(note).code == "names-repeated":
            yield Doubt(note, "remark")
    if _MIXED < ensembl < 1 - _MIXED:
        yield Doubt(
            f"{ensembl:.0%} of the genes are named by Ensembl identifiers, the others by "
            "symbols, but models match genes by name: use one kind of name before using a "
            "model on several files.",
            "remark",
        )
    if summary.species.species is None and summary.species.confidence == "certain":
        yield Doubt(
            f"More than one species is in the data ({summary.species.how}): keep the cells and "
            "genes of one.",
            "doubt",
        )


def _some(n: int, one: str, more: str) -> str:
    return f"{n:,} {one if n == 1 else more}"
