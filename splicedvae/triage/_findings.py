"""What a reviewer would raise about a data set, judged from its counts and names alone.

Every sentence has a number and an advice, and a weight: what forbids a velocity, what makes it
doubtful, and what is only to be known. Where a threshold is not a convention of the field but our
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

#: What no warning speaks of, beside every verdict.
NOT_LOOKED_FOR: Final = (
    "Not looked for: doublets and ambient RNA. Two cells in one droplet lie between clusters and "
    "draw arrows there, so filter them first, for instance with scanpy.pp.scrublet."
)
#: scVelo's usual least number of shared counts for a gene.
MIN_SHARED_COUNTS: Final = 20
#: Own convention: fewer genes than this seldom agree on a direction.
_FEW_SHARED: Final = 100
#: Own convention; a held-out fifth is then 40 cells.
_FEW_CELLS: Final = 200
#: scVelo smooths over 30 neighbours (``scvelo.pp.moments``): fewer cells than twice that are one
#: neighbourhood, and a cluster of fewer than 30 takes its neighbours from others.
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
#: Counting alone gives a scatter of 1; a half of it cannot come from counting molecules.
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
    """List what speaks against a velocity, and what is to be known, the gravest first.

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
                "There are no spliced and unspliced counts: a trained model can predict them, but "
                "nothing here can check the prediction.",
                "layers-missing",
            ),
            "doubt",
        )
        return
    yield from _fraction(summary, summary.unspliced_fraction)
    shared = summary.genes_with_shared_counts or 0
    if shared < _FEW_SHARED:
        yield Doubt(
            f"{f'Only {shared:,} genes have' if shared else 'No gene has'} {MIN_SHARED_COUNTS} or "
            f"more shared spliced and unspliced counts, at least {_FEW_SHARED} are usual for a "
            "velocity: bring more cells or deeper data.",
            "doubt" if shared else "forbids",
        )
    if summary.unspliced_fraction >= _NONE:
        yield from _scatter(sums)
    if sums.excess:
        yield Doubt(
            f"Spliced + unspliced exceeds the total in {sums.excess:,} entries: totals and layers "
            "come from different counting, so count them with one tool or take spliced + unspliced "
            "as totals.",
            "doubt",
        )
    if summary.ambiguous == "apart" and (summary.ambiguous_share or 0.0) > 1 - _OF_TOTAL:
        yield Doubt(
            f"{summary.ambiguous_share:.0%} of the counts are ambiguous and were kept apart from "
            f"spliced and unspliced ones, less than {1 - _OF_TOTAL:.0%} are usual: add them to the "
            "spliced counts (ambiguous = spliced) if they come from kb or alevin-fry.",
            "doubt",
        )
    elif sums.of_total < _OF_TOTAL:
        yield Doubt(
            f"Spliced + unspliced are only {sums.of_total:.0%} of the total counts, "
            f"{_OF_TOTAL:.0%} or more are usual: count layers and totals from the same reads and "
            "the same genes.",
            "doubt",
        )
    if summary.counts == "exonic":
        yield Doubt(
            "Totals hold exonic molecules only (no introns), so unspliced counts come on top of "
            "them: choose “exons only” when training.",
            "remark",
        )


def _fraction(summary: DataSummary, fraction: float) -> Iterator[Doubt]:
    if fraction < _NONE:
        yield Doubt(
            f"Unspliced counts are (nearly) all zero ({fraction:.2%}): introns were not counted, "
            "so no velocity can come from these layers; count again with introns.",
            "forbids",
        )
    elif fraction < _LOW:
        yield Doubt(
            f"Only {fraction:.1%} of the counts are unspliced, 10 to 40% are usual: introns may "
            "not have been counted in full, so look at how the layers were made.",
            "doubt",
        )
    elif fraction > _HIGH:
        yield Doubt(
            f"{fraction:.0%} of the counts are unspliced, 10 to 40% are usual in whole cells: "
            "these are nuclei, or the two layers are swapped; in nuclei an unspliced count says "
            "little about what comes next.",
            "doubt",
        )
    rows = [row for row in summary.clusters if row.unspliced_fraction is not None]
    if len(rows) > 1:
        low = min(rows, key=lambda row: row.unspliced_fraction or 0.0)
        high = max(rows, key=lambda row: row.unspliced_fraction or 0.0)
        if (high.unspliced_fraction or 0) > _FOLD * (low.unspliced_fraction or 0) > 0:
            yield Doubt(
                f"The unspliced fraction differs more than threefold between clusters, from "
                f"{low.unspliced_fraction:.0%} in {shown(low.cluster)} to "
                f"{high.unspliced_fraction:.0%} in {shown(high.cluster)}: damaged cells or nuclei "
                "may be among them, so look at these clusters first.",
                "doubt",
            )


def _scatter(sums: LayerSums) -> Iterator[Doubt]:
    if sums.scatter is None or sums.scatter_error is None:
        return
    if sums.scatter < _COMPUTED:
        yield Doubt(
            f"The ratios within genes scatter {sums.scatter:.2f} times as much as counting alone "
            "would have them: these layers were computed from a ratio and not counted, so take the "
            "counted ones.",
            "forbids",
        )
    elif sums.scatter < 1 + _ERRORS * sums.scatter_error:
        yield Doubt(
            f"The ratios within genes vary over cells no more than counting alone lets them "
            f"({sums.scatter:.2f} times): one constant for each gene explains them, so expect no "
            "velocity.",
            "doubt",
        )


def _depth(summary: DataSummary) -> Iterator[Doubt]:
    median, many_genes = summary.umis_per_cell.median, summary.n_genes >= _MANY_GENES
    if median < _SHALLOW:
        yield Doubt(
            f"Cells are shallow: the median is {median:,.0f} UMIs over {summary.n_genes:,} genes, "
            f"{_SHALLOW:,} or more are usual; expect few velocity genes, and sequence deeper if "
            "you can.",
            "doubt" if many_genes else "remark",
        )
    if summary.empty_droplets > _MANY_EMPTY:
        yield Doubt(
            f"{summary.empty_droplets:.0%} of the cells have fewer than {summary.empty_below:,.0f} "
            "UMIs, as empty droplets have: take the filtered matrix, or leave them out.",
            "doubt",
        )
    if summary.depth_variation < _EVEN_DEPTH and summary.n_cells >= _NEIGHBOURS:
        yield Doubt(
            f"The cells' depths differ by {summary.depth_variation:.1%} only: the counts were "
            "normalised and rounded, or drawn down to one depth; give the counts from before.",
            "doubt",
        )
    if summary.largest_count <= 1:
        yield Doubt(
            "No entry is above 1: the matrix says only whether a gene was seen; give the counts "
            "from before.",
            "doubt",
        )
    if summary.empty_cells:
        yield Doubt(
            f"{summary.empty_cells:,} cells hold no counts and cannot be trained on: leave them "
            "out.",
            "remark",
        )


def _cells(summary: DataSummary) -> Iterator[Doubt]:
    if summary.n_cells < _FEW_CELLS:
        yield Doubt(
            f"There are only {summary.n_cells:,} cells; a model trained on fewer than "
            f"{_FEW_CELLS} does not generalise, so bring more.",
            "forbids" if summary.n_cells < _TOO_FEW_CELLS else "doubt",
        )
    if summary.cluster_key is None:
        yield Doubt(
            "No column of obs holds clusters, so streams cannot be told apart by colour: add one.",
            "remark",
        )
    small: list[ClusterRow] = [row for row in summary.clusters if row.n_cells < _NEIGHBOURS]
    if small and summary.n_cells >= _FEW_CELLS:
        least = min(small, key=lambda row: row.n_cells)
        yield Doubt(
            f"{_some(len(small), 'cluster has', 'clusters have')} fewer than {_NEIGHBOURS} cells "
            f"({shown(least.cluster)}: {least.n_cells:,}), and scVelo smooths over {_NEIGHBOURS} "
            "neighbours: do not read arrows there.",
            "remark",
        )


def _states(summary: DataSummary) -> Iterator[Doubt]:
    share = summary.mitochondrial_fraction
    most = _MITOCHONDRIAL.get(summary.species.species or "", _MITOCHONDRIAL_ELSE)
    if share is not None and share > most:
        yield Doubt(
            f"Half of the cells have more than {share:.0%} of their counts from mitochondrial "
            f"genes, up to {most:.0%} are usual: stressed or broken cells change unspliced counts, "
            "so filter them.",
            "doubt",
        )
    if summary.dividing_cells is not None and summary.dividing_cells > _DIVIDING:
        yield Doubt(
            f"{summary.dividing_cells:.0%} of the cells have counts of genes of mitosis: the cell "
            "cycle draws arrows of its own, so do not read them as differentiation.",
            "remark",
        )


def _batches(summary: DataSummary, obs: pd.DataFrame) -> Iterator[Doubt]:
    if summary.batch_key is None:
        return
    batches = obs[summary.batch_key]
    yield Doubt(
        f"The cells come from {batches.nunique():,} batches (obs column "
        f"{shown(summary.batch_key)}): name it as batch key when training.",
        "remark",
    )
    missing = sum(label is None for label in label_texts(batches))
    if missing:
        yield Doubt(
            f"{_some(missing, 'cell has', 'cells have')} no label in obs column "
            f"{shown(summary.batch_key)}: fill it in or leave them out before you name it as batch "
            "key.",
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
            f"{share:.0%} of the cells are in clusters that come from one batch ("
            f"{int(alone.sum()):,} of {len(table):,} clusters): batch and cell type cannot be told "
            "apart, so compare arrows within a batch only.",
            "doubt",
        )


def _genes(summary: DataSummary, ensembl: float) -> Iterator[Doubt]:
    if summary.empty_genes:
        yield Doubt(f"{summary.empty_genes:,} genes are counted in no cell.", "remark")
    for note in summary.notes:
        if Note.of(note).code == "names-repeated":
            yield Doubt(note, "remark")
    if _MIXED < ensembl < 1 - _MIXED:
        yield Doubt(
            f"{ensembl:.0%} of the genes are named by Ensembl identifiers, the others by symbols: "
            "models match genes by name, so name all in one way before using one model on several "
            "files.",
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
