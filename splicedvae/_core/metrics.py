"""Every metric, declared once: its key in a run's tables, its labels, digits and direction.

Tables, figures, the command line and the pages choose which metrics they show and take the words
from here. What a metric is and how it is computed stands in `splicedvae.evaluation`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

About = Literal["ratio", "velocity", "latent"]
Better = Literal["higher", "lower"]


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes
    ----------
    key
        Its name in ``metrics.csv``.
    label
        Full name, for the rows of a table that lists all metrics.
    about
        Whether it judges the predicted ratio, the velocity made from it, or expression and the
        latent space.
    digits
        Decimals shown.
    better
        Which direction is better; None where a certain value is right or none is.
    short
        Name for the head of a column, a panel or a narrow table; the label if empty.
    help
        What it means, in a sentence.
    by_coverage
        Whether it is taken over entries with at least some number of counts, at several such
        numbers.
    """

    key: str
    label: str
    about: About = "ratio"
    digits: int = 3
    better: Better | None = None
    short: str = ""
    help: str = ""
    by_coverage: bool = False

    @property
    def head(self) -> str:
        """The short name, or the label."""
        return self.short or self.label

    @property
    def explanation(self) -> str:
        """What it means and, where only that helps to read it, that less of it is better."""
        lower = " Lower is better." if self.better == "lower" else ""
        return f"{self.help}{lower}".strip()

    def at(self, coverage: float | None, *, full: bool = False) -> str:
        """Name the metric at a coverage.

        Parameters
        ----------
        coverage
            Least S + U of an entry; None, or a metric without coverages, names it alone.
        full
            Whether to take the label instead of the short name.
        """
        name = self.label if full else self.head
        return f"{name}, n ≥ {coverage:g}" if self.by_coverage and coverage is not None else name


#: In the order of tables that list them all.
METRICS: Final[tuple[Metric, ...]] = (
    Metric(
        "rmse",
        "RMSE",
        digits=4,
        better="lower",
        help="Root mean squared error of the spliced fraction over held-out entries.",
        by_coverage=True,
    ),
    Metric(
        "pearson",
        "Pearson r",
        better="higher",
        help="Correlation over all genes and held-out cells. Most of it is differences between "
        "genes, which a constant for each gene knows as well.",
        by_coverage=True,
    ),
    Metric("nll", "negative log-likelihood per count", digits=4, better="lower"),
    Metric(
        "skill",
        "likelihood skill over gene mean",
        digits=4,
        better="higher",
        short="skill over gene mean",
        help="Share of the gene mean's negative log-likelihood that is saved, over all entries: 0 "
        "is no better than a constant for each gene.",
    ),
    Metric(
        "within_gene_r",
        "within-gene r",
        better="higher",
        help="Correlation across cells within a gene: what a velocity needs. A constant has 0.",
    ),
    Metric(
        "within_gene_r_by_cluster",
        "within-gene r, pooled by cluster",
        better="higher",
        short="within-gene r by cluster",
        help="Correlation within a gene after the counts of each cluster are added up, where noise "
        "is smaller: what a velocity needs. A constant has 0.",
    ),
    Metric(
        "within_gene_r_by_cluster_50",
        "within-gene r, pooled by cluster, 50 counts or more",
        better="higher",
    ),
    Metric("within_gene_slope", "slope of measured on predicted, within genes", digits=2),
    Metric(
        "calibration_error",
        "calibration error",
        digits=4,
        better="lower",
        help="How far predicted and measured fractions differ on average, in bins of the "
        "prediction.",
    ),
    Metric(
        "interval_coverage",
        "counts inside 90% intervals",
        short="90% intervals",
        help="Share of held-out counts, of entries with 5 or more, inside the predicted 90% "
        "intervals: 0.90 is right.",
        by_coverage=True,
    ),
    Metric(
        "interval_coverage_inclusive",
        "counts inside 90% intervals, ends included",
        by_coverage=True,
    ),
    Metric(
        "velocity_cosine_genes",
        "cosine to the measured velocity, genes",
        "velocity",
        better="higher",
        short="cosine to measured, genes",
        help="Over the genes that both velocities use, mean over held-out cells.",
    ),
    Metric(
        "velocity_cosine_genes_equal",
        "the same, each gene in units of its own spread",
        "velocity",
        better="higher",
        short="cosine, genes alike",
        help="Each gene's velocity in units of its own spread, so that all genes count alike.",
    ),
    Metric(
        "velocity_cosine_umap",
        "cosine to the measured velocity, map",
        "velocity",
        better="higher",
        short="cosine to measured, map",
        help="Of the arrows on the map, mean over held-out cells.",
    ),
    Metric(
        "agreement_genes_chance",
        "the same by chance, genes, up to",
        "velocity",
        short="chance, genes",
        help="What the cosine over genes does not exceed in 95 of 100 draws where the measured "
        "ratios know nothing of a cell's state.",
    ),
    Metric("agreement_genes_p", "the same, genes, p by permutation", "velocity"),
    Metric("agreement_genes_equal_chance", "the same by chance, genes alike, up to", "velocity"),
    Metric("agreement_genes_equal_p", "the same, genes alike, p by permutation", "velocity"),
    Metric(
        "agreement_umap_chance",
        "the same by chance, map, up to",
        "velocity",
        short="chance, map",
        help="What the cosine on the map does not exceed in 95 of 100 such draws.",
    ),
    Metric("agreement_umap_p", "the same, map, p by permutation", "velocity"),
    Metric(
        "velocity_cosine_genes_true",
        "cosine to the true velocity, genes",
        "velocity",
        better="higher",
        short="cosine to true, genes",
        help="To the simulation's true velocity, over genes.",
    ),
    Metric(
        "velocity_cosine_genes_equal_true",
        "the same, each gene in units of its own spread",
        "velocity",
        better="higher",
        short="cosine to true, genes alike",
    ),
    Metric(
        "velocity_cosine_umap_true",
        "cosine to the true velocity, map",
        "velocity",
        better="higher",
        short="cosine to true, map",
        help="To the simulation's true velocity, on the map.",
    ),
    Metric(
        "velocity_cosine_genes_own_graph",
        "cosine to the measured, genes, own latent graph",
        "velocity",
        better="higher",
    ),
    Metric(
        "velocity_cosine_genes_equal_own_graph",
        "the same, each gene in units of its own spread, own latent graph",
        "velocity",
        better="higher",
    ),
    Metric(
        "velocity_cosine_umap_own_graph",
        "cosine to the measured, map, own latent graph",
        "velocity",
        better="higher",
    ),
    Metric(
        "cbdir",
        "known transitions (CBDir)",
        "velocity",
        better="higher",
        help="Mean cosine of arrows with the steps from a cluster to the one known to follow.",
    ),
    Metric("cbdir_null", "known transitions, random neighbours", "velocity"),
    Metric(
        "time_order",
        "pairs of cells in the right order of time",
        "velocity",
        better="higher",
        short="time order",
        help="Share of neighbouring cells whose order in true time the velocity tells; half is "
        "chance.",
    ),
    Metric(
        "velocity_effective_genes",
        "genes that draw the arrows, effective number",
        "velocity",
        digits=0,
        short="genes that draw",
        help="How many genes draw a cell's arrow: effective number of their shares, mean over "
        "cells.",
    ),
    Metric(
        "velocity_confidence",
        "velocity confidence (smoothness)",
        "velocity",
        short="confidence",
        help="How alike the arrows of neighbouring cells are: smoothness, not correctness.",
    ),
    Metric("coherence_genes", "coherence within clusters, genes (smoothness)", "velocity"),
    Metric("coherence_umap", "coherence within clusters, map (smoothness)", "velocity"),
    Metric("velocity_evidence", "evidence of a velocity in the counts, log2", "velocity", digits=2),
    Metric("velocity_evidence_p", "the same, p by permutation", "velocity"),
    Metric("velocity_evidence_within_p", "the same within groups of cells, p", "velocity"),
    Metric(
        "expression_nll",
        "negative log-likelihood of expression per cell",
        "latent",
        digits=1,
        better="lower",
        short="expression NLL",
        help="Negative log-likelihood of a held-out cell's counts, in nats.",
    ),
    Metric(
        "expression_elbo",
        "negative evidence lower bound per cell",
        "latent",
        digits=1,
        better="lower",
    ),
    Metric(
        "silhouette_clusters",
        "silhouette of clusters, 0 to 1",
        "latent",
        better="higher",
        short="silhouette of clusters",
        help="How well the file's clusters part in the latent space, 0 to 1; half is not at all.",
    ),
    Metric(
        "nmi_kmeans",
        "NMI of k-means with clusters",
        "latent",
        better="higher",
        short="NMI of clusters",
        help="Agreement of k-means in the latent space with the file's clusters, 0 to 1.",
    ),
    Metric("ari_kmeans", "ARI of k-means with clusters", "latent", better="higher"),
    Metric("silhouette_batches", "mixing of batches (1 - silhouette)", "latent", better="higher"),
    Metric(
        "time_r2",
        "R² of time from neighbours",
        "latent",
        better="higher",
        short="time R²",
        help="How well a cell's true time is told by its neighbours in the latent space.",
    ),
)

_BY_KEY: Final = {one.key: one for one in METRICS}


def metric_of(key: str) -> Metric:
    """Return what is declared of a metric.

    Parameters
    ----------
    key
        Its name in a run's metrics. One that is not declared, of a run of another version, is
        named by its key.
    """
    if key in _BY_KEY:
        return _BY_KEY[key]
    of_velocity = key.startswith(("velocity_", "agreement_"))
    return Metric(key, key.replace("_", " "), "velocity" if of_velocity else "ratio")
