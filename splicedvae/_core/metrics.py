"""Every metric, declared once: its key in a run's tables, its labels, digits and direction.

Tables, figures, the command line and the pages choose which metrics they show and take the words
from here. `splicedvae.evaluation` defines and computes them.
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
        Whether it evaluates the predicted ratio, the velocity computed from it, or expression and
        the latent space.
    digits
        Decimals shown.
    better
        Which direction is better; None if a certain value is right, or neither direction is.
    short
        Name for a column, a panel or a narrow table; the label if empty.
    help
        What it means, in a sentence.
    by_coverage
        Whether it is computed at several minimum counts of an entry.
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
        """The help and, for metrics where lower is better, a sentence that says so."""
        lower = " Lower is better." if self.better == "lower" else ""
        return f"{self.help}{lower}".strip()

    def at(self, coverage: float | None, *, full: bool = False) -> str:
        """Name the metric at a coverage.

        Parameters
        ----------
        coverage
            Minimum S + U of an entry; None gives the name alone.
        full
            Whether to use the label instead of the short name.
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
        help="Correlation over all genes and held-out cells. Most of it comes from differences "
        "between genes, which a constant per gene captures too.",
        by_coverage=True,
    ),
    Metric("nll", "negative log-likelihood per count", digits=4, better="lower"),
    Metric(
        "skill",
        "likelihood skill over gene mean",
        digits=4,
        better="higher",
        short="skill over gene mean",
        help="Reduction of the negative log-likelihood relative to the gene mean, over all "
        "entries: 0 is no better than a constant per gene.",
    ),
    Metric(
        "within_gene_r",
        "within-gene r",
        better="higher",
        help="Correlation across cells within a gene, which a velocity needs. 0 for a constant.",
    ),
    Metric(
        "within_gene_r_by_cluster",
        "within-gene r, pooled by cluster",
        better="higher",
        short="within-gene r by cluster",
        help="Correlation within a gene between counts summed over clusters, which have less "
        "noise. A velocity needs it. 0 for a constant.",
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
        help="Mean absolute difference between predicted and measured fractions, in bins of the "
        "prediction.",
    ),
    Metric(
        "interval_coverage",
        "counts inside 90% intervals",
        short="90% intervals",
        help="Share of held-out counts inside the predicted 90% intervals, for entries with 5 or "
        "more counts: 0.90 is right.",
        by_coverage=True,
    ),
    Metric(
        "interval_coverage_inclusive",
        "counts inside 90% intervals, ends included",
        by_coverage=True,
    ),
    Metric(
        "velocity_cosine_genes",
        "cosine to the measured velocity, gene space",
        "velocity",
        better="higher",
        short="cosine to measured, gene space",
        help="Over the genes that both velocities use, mean over held-out cells.",
    ),
    Metric(
        "velocity_cosine_genes_equal",
        "the same, each gene scaled by its own spread",
        "velocity",
        better="higher",
        short="cosine, genes scaled",
        help="Each gene's velocity is divided by its own spread, so all genes weigh the same.",
    ),
    Metric(
        "velocity_cosine_umap",
        "cosine to the measured velocity, embedding",
        "velocity",
        better="higher",
        short="cosine to measured, embedding",
        help="Of the arrows in the embedding, mean over held-out cells.",
    ),
    Metric(
        "agreement_genes_chance",
        "95% limit by chance, gene space",
        "velocity",
        short="chance, gene space",
        help="95th percentile of the cosine in gene space to velocities from permuted measured "
        "ratios, which carry no cell state.",
    ),
    Metric("agreement_genes_p", "permutation p-value of the cosine, gene space", "velocity"),
    Metric("agreement_genes_equal_chance", "95% limit by chance, genes scaled", "velocity"),
    Metric(
        "agreement_genes_equal_p", "permutation p-value of the cosine, genes scaled", "velocity"
    ),
    Metric(
        "agreement_umap_chance",
        "95% limit by chance, embedding",
        "velocity",
        short="chance, embedding",
        help="95th percentile of the cosine in the embedding to the same permuted velocities.",
    ),
    Metric("agreement_umap_p", "permutation p-value of the cosine, embedding", "velocity"),
    Metric(
        "velocity_cosine_genes_true",
        "cosine to the true velocity, gene space",
        "velocity",
        better="higher",
        short="cosine to true, gene space",
        help="To the simulation's true velocity, in gene space.",
    ),
    Metric(
        "velocity_cosine_genes_equal_true",
        "the same, each gene scaled by its own spread",
        "velocity",
        better="higher",
        short="cosine to true, genes scaled",
    ),
    Metric(
        "velocity_cosine_umap_true",
        "cosine to the true velocity, embedding",
        "velocity",
        better="higher",
        short="cosine to true, embedding",
        help="To the simulation's true velocity, in the embedding.",
    ),
    Metric(
        "velocity_cosine_genes_own_graph",
        "cosine to the measured, gene space, own latent graph",
        "velocity",
        better="higher",
    ),
    Metric(
        "velocity_cosine_genes_equal_own_graph",
        "the same, each gene scaled by its own spread, own latent graph",
        "velocity",
        better="higher",
    ),
    Metric(
        "velocity_cosine_umap_own_graph",
        "cosine to the measured, embedding, own latent graph",
        "velocity",
        better="higher",
    ),
    Metric(
        "cbdir",
        "known transitions (CBDir)",
        "velocity",
        better="higher",
        help="Mean cosine of arrows with the direction from a cluster to its known successor.",
    ),
    Metric("cbdir_null", "known transitions, random neighbors", "velocity"),
    Metric(
        "time_order",
        "neighbor pairs in the right order of time",
        "velocity",
        better="higher",
        short="time order",
        help="Share of neighboring cells whose order in true time follows from the velocity; 0.5 "
        "is chance.",
    ),
    Metric(
        "velocity_effective_genes",
        "effective number of genes behind an arrow",
        "velocity",
        digits=0,
        short="effective genes",
        help="Effective number of genes behind a cell's arrow, from their shares, mean over cells.",
    ),
    Metric(
        "velocity_confidence",
        "velocity confidence (smoothness)",
        "velocity",
        short="confidence",
        help="Similarity of the arrows of neighboring cells: smoothness, not correctness.",
    ),
    Metric("coherence_genes", "coherence within clusters, gene space (smoothness)", "velocity"),
    Metric("coherence_umap", "coherence within clusters, embedding (smoothness)", "velocity"),
    Metric("velocity_evidence", "evidence of a velocity in the counts, log2", "velocity", digits=2),
    Metric("velocity_evidence_p", "evidence of a velocity, permutation p-value", "velocity"),
    Metric(
        "velocity_evidence_within_p",
        "evidence of a velocity within groups, permutation p-value",
        "velocity",
    ),
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
        help="Separation of the file's clusters in the latent space, 0 to 1; 0.5 is none.",
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
        "R² of time from neighbors",
        "latent",
        better="higher",
        short="time R²",
        help="How well a cell's true time is predicted from its neighbors in the latent space.",
    ),
)

_BY_KEY: Final = {one.key: one for one in METRICS}


def metric_of(key: str) -> Metric:
    """Return the declaration of a metric.

    Parameters
    ----------
    key
        Its name in a run's metrics. A metric of another version, which is not declared, is named
        by its key.
    """
    if key in _BY_KEY:
        return _BY_KEY[key]
    of_velocity = key.startswith(("velocity_", "agreement_"))
    return Metric(key, key.replace("_", " "), "velocity" if of_velocity else "ratio")
