"""Every name the package reads or writes in ``obs``, ``var``, ``layers``, ``obsm`` and ``uns``.

They are declared only here, so that a key has one spelling; a test checks it. So are the
choices that several packages offer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

#: What total counts contain: spliced and unspliced molecules, or spliced (exonic) ones alone.
Counts = Literal["with-introns", "exonic"]
#: Where ambiguous counts of measured layers go: to the spliced ones, or apart from both.
Ambiguous = Literal["spliced", "apart"]
#: Likelihoods of the spliced count given the counted molecules.
RatioLikelihood = Literal["binomial", "beta-binomial", "weighted-squared-error"]
#: Forms of the ratio's decoder.
HeadKind = Literal["linear", "mlp"]
#: How the steady state of a velocity is found.
VelocityMode = Literal["balanced", "stochastic", "deterministic"]
#: Which cells a benchmark holds out:
#:
#: * ``"cells"`` - a fifth of the cells, others with each seed.
#: * ``"folds"`` - every fifth in turn, so that each cell is held out once a seed.
#: * ``"halves"`` - one half, then the other: the protocol for velocities, whose neighbors,
#:   moments and reference are those of the held-out half alone.
#: * ``"groups"`` - each batch, donor, data set or species in turn.
#: * ``"transfer"`` - a tenth; the models are judged on another file.
Design = Literal["cells", "folds", "halves", "groups", "transfer"]


class Layers:
    """Names in ``adata.layers``, all of shape (n_cells, n_genes)."""

    SPLICED: Final = "spliced"
    UNSPLICED: Final = "unspliced"
    AMBIGUOUS: Final = "ambiguous"
    #: Predicted spliced fraction, stored where the total count is not zero.
    RATIO: Final = "splicing_ratio"
    RATIO_LOWER: Final = "splicing_ratio_lower"
    RATIO_UPPER: Final = "splicing_ratio_upper"
    #: The baseline's ratio (scVI with a ratio head on its frozen latent space).
    RATIO_SCVI: Final = "splicing_ratio_scvi"
    #: Names of predicted counts if measured layers have the plain ones.
    PREDICTED_SPLICED: Final = "predicted_spliced"
    PREDICTED_UNSPLICED: Final = "predicted_unspliced"
    #: Moments and velocity, as scVelo names them.
    MS: Final = "Ms"
    MU: Final = "Mu"
    #: Spliced moments expected from totals at the gene's mean ratio: what the graph of the
    #: balanced model compares. Computed where it is needed; only exports hold it.
    MS_EXPECTED: Final = "Ms_expected"
    VELOCITY: Final = "velocity"
    VARIANCE_VELOCITY: Final = "variance_velocity"
    #: Known in simulations only.
    TRUE_RATIO: Final = "true_splicing_ratio"
    TRUE_SPLICED: Final = "true_spliced"
    TRUE_UNSPLICED: Final = "true_unspliced"
    TRUE_VELOCITY: Final = "true_velocity"


#: Separator between names of layers in one text.
LAYERS_JOINED: Final = ", "


class Obs:
    """Columns of ``adata.obs``."""

    #: Names of a cell's layers that were predicted, joined by `LAYERS_JOINED`: joining files
    #: keeps columns of cells, and drops ``uns``.
    PREDICTED: Final = "splicedvae_predicted"
    CLUSTERS: Final = "clusters"
    BATCH: Final = "batch"
    #: "train" or "held-out".
    SPLIT: Final = "split"
    TRUE_TIME: Final = "true_time"
    #: Known in simulations only, like the time: the branch of the lineage, "trunk" before any.
    BRANCH: Final = "branch"
    #: Expected number of counts per spliced molecule of a simulated cell.
    TRUE_CAPTURE: Final = "true_capture"
    CONFIDENCE: Final = "velocity_confidence"
    LENGTH: Final = "velocity_length"
    #: How many genes draw a cell's arrow, were their shares equal.
    EFFECTIVE_GENES: Final = "velocity_effective_genes"
    SELF_TRANSITION: Final = "velocity_self_transition"
    CONFIDENCE_TRANSITION: Final = "velocity_confidence_transition"
    #: Over draws from a model's posterior; with "_umap" after it, of the arrows on that embedding.
    DIRECTION_UNCERTAINTY: Final = "velocity_direction_uncertainty"
    LENGTH_UNCERTAINTY: Final = "velocity_length_uncertainty"
    #: Where a velocity starts and ends, and the time along it, as scVelo names them.
    ROOT_CELLS: Final = "root_cells"
    END_POINTS: Final = "end_points"
    PSEUDOTIME: Final = "velocity_pseudotime"
    #: scanpy's diffusion pseudotime, from expression alone.
    EXPRESSION_PSEUDOTIME: Final = "dpt_pseudotime"
    #: Cosine of a cell's velocity to the measured one.
    COSINE_GENES: Final = "velocity_cosine_genes"
    COSINE_UMAP: Final = "velocity_cosine_umap"
    #: Followed by a layer's name: the layer's sum over all genes of the file, per cell.
    INITIAL_SIZE: Final = "initial_size_"


class Var:
    """Columns of ``adata.var``."""

    #: Identifier and symbol where the name does not say which gene it is, as scanpy calls them.
    GENE_IDS: Final = "gene_ids"
    GENE_SYMBOLS: Final = "gene_symbols"
    #: True where several genes share the name in the file.
    REPEATED: Final = "repeated_name"
    #: Rates of a simulation: transcription when on, splicing, degradation; per unit time.
    ALPHA: Final = "alpha"
    ALPHA_START: Final = "alpha_start"
    BETA: Final = "beta"
    GAMMA: Final = "gamma"
    #: Capture of an unspliced molecule relative to a spliced one, in a simulation.
    UNSPLICED_CAPTURE: Final = "unspliced_capture"
    #: Gene program of a simulation.
    PROGRAM: Final = "program"
    #: scanpy's normalized dispersion, by which variable genes are ranked.
    DISPERSION: Final = "dispersions_norm"
    VELOCITY_GENES: Final = "velocity_genes"
    VELOCITY_GAMMA: Final = "velocity_gamma"
    VELOCITY_R2: Final = "velocity_r2"
    VELOCITY_SLOPE: Final = "velocity_qreg_ratio"
    #: Count-weighted standard deviation of a source's ratio within the gene.
    RATIO_SD: Final = "velocity_ratio_sd"
    #: True where that deviation is only rounding, so that the gene has no velocity.
    DEGENERATE: Final = "velocity_degenerate"
    GENE_MEAN: Final = "gene_mean_splicing_ratio"
    #: Share of the squared length of the velocity, mean over cells.
    VELOCITY_SHARE: Final = "velocity_share"
    #: Rank correlation of the smoothed spliced counts with the velocity pseudotime.
    TIME_CORRELATION: Final = "velocity_pseudotime_correlation"


class Obsm:
    """Names in ``adata.obsm``."""

    PCA: Final = "X_pca"
    UMAP: Final = "X_umap"
    LATENT: Final = "X_splicedvae"
    LATENT_SCVI: Final = "X_scVI"
    UMAP_LATENT: Final = "X_umap_splicedvae"
    UMAP_LATENT_SCVI: Final = "X_umap_scvi"
    #: The common embedding again, for the arrows without the genes that carry a velocity.
    UMAP_WITHOUT: Final = "X_umap_without"
    VELOCITY_UMAP: Final = "velocity_umap"
    #: A velocity in the UMAPs of the models' latent spaces.
    VELOCITY_UMAP_LATENT: Final = "velocity_umap_splicedvae"
    VELOCITY_UMAP_LATENT_SCVI: Final = "velocity_umap_scvi"
    #: The file's own embeddings in a run.
    UMAP_FILE: Final = "X_umap_file"
    TSNE_FILE: Final = "X_tsne_file"
    #: How files call them, in lower case, the first found is taken; and how a run does.
    OF_FILE: Final = {UMAP_FILE: ("x_umap", "umap"), TSNE_FILE: ("x_tsne", "tsne", "x_t-sne")}


class Obsp:
    """Names in ``adata.obsp``: the neighbor graph that all velocities share."""

    DISTANCES: Final = "distances"
    CONNECTIVITIES: Final = "connectivities"


class Varm:
    """Names in ``adata.varm``, data frames with a column per lineage segment, in simulations."""

    #: Transcription rate after the switch in each segment.
    RATES: Final = "simulated_rates"
    #: Time from the start of each segment to the switch.
    SWITCHES: Final = "simulated_switches"


class Uns:
    """Everything the package writes to ``adata.uns`` is under one entry.

    The exceptions are the names that scanpy and scVelo look for.
    """

    ROOT: Final = "splicedvae"
    #: ``uns[ROOT][PREDICTED]``: which layers are predicted, by what, and how.
    PREDICTED: Final = "predicted"
    #: ``uns[ROOT][READ]``: what was taken from the file.
    READ: Final = "read"
    #: ``uns[ROOT][VELOCITY]``: settings, genes and fallbacks of a velocity.
    VELOCITY: Final = "velocity"
    #: ``uns[ROOT][DRIVERS]``: genes whose velocity sets a cluster apart, one row each.
    DRIVERS: Final = "velocity_drivers"
    #: ``uns[ROOT][GROUND]``: genes, graph and embedding that all velocities share.
    GROUND: Final = "velocity_ground"
    #: scanpy's and scVelo's own.
    NEIGHBORS: Final = "neighbors"
    ROOT_CELL: Final = "iroot"
    VELOCITY_GRAPH: Final = "velocity_graph"
    VELOCITY_GRAPH_NEG: Final = "velocity_graph_neg"
    VELOCITY_PARAMS: Final = "velocity_params"
    #: ``uns[ROOT][SIMULATION]``: parameters of a simulation.
    SIMULATION: Final = "simulation"
    #: ``uns[ROOT][SIMULATION][TRANSITIONS]``: pairs of clusters that follow each other.
    TRANSITIONS: Final = "transitions"
    #: ``uns[ROOT][EXPORT]``: what an exported file holds, its origin, and what is missing.
    EXPORT: Final = "export"


class Split:
    """Values of ``obs[Obs.SPLIT]``."""

    TRAIN: Final = "train"
    HELD_OUT: Final = "held-out"


@dataclass(frozen=True)
class Source:
    """One source of a ratio or a velocity, declared once in `Sources.ALL`."""

    #: Its name in files and columns.
    key: str
    #: What a person reads.
    label: str
    #: The same above a narrow column; two lines at most.
    narrow: str = ""
    #: Place of its color in `splicedvae.plotting.CATEGORICAL`; None is the gray of no color.
    color: int | None = None
    #: Whether it predicts ratios, and is judged with the others.
    predicts: bool = False
    #: Whether a run keeps a velocity of it.
    moves: bool = False


class Sources:
    """Where a ratio or a velocity comes from: file names and legends use these."""

    MEASURED: Final = "measured"
    SPLICEDVAE: Final = "splicedvae"
    SCVI: Final = "scvi"
    RIDGE: Final = "ridge"
    KNN: Final = "knn"
    GROUP_MEAN: Final = "group_mean"
    GENE_MEAN: Final = "gene_mean"
    TRUE: Final = "true"
    #: SplicedVAE's ratios permuted among the cells of each gene: the level of chance.
    SHUFFLED: Final = "shuffled"

    #: Each source with its words and color, in the order of tables and figures. To deuteranopes
    #: pink (3) is the gray of the gene mean, so nothing takes it.
    ALL: Final = (
        Source(MEASURED, "measured", color=2, moves=True),
        Source(SPLICEDVAE, "SplicedVAE", "SplicedVAE", color=0, predicts=True, moves=True),
        Source(SCVI, "scVI + ratio head", "scVI\n+head", color=1, predicts=True, moves=True),
        Source(RIDGE, "ridge on PCA", "ridge", color=6, predicts=True),
        Source(KNN, "k nearest neighbors", "kNN", color=4, predicts=True),
        Source(GROUP_MEAN, "gene x group mean", "group\nmean", color=8, predicts=True),
        Source(GENE_MEAN, "gene mean", "gene\nmean", predicts=True),
        Source(TRUE, "true (simulation)", color=5, moves=True),
        Source(SHUFFLED, "permuted ratios (control)", color=7),
    )
    #: Predictors of a ratio.
    PREDICTORS: Final = tuple(one.key for one in ALL if one.predicts)
    #: Sources of the velocities that a run keeps.
    VELOCITIES: Final = tuple(one.key for one in ALL if one.moves)
    #: What a person reads.
    LABELS: Final = {one.key: one.label for one in ALL}

    #: Layers of the ratios that a model predicts.
    RATIO_LAYERS: Final = {SPLICEDVAE: Layers.RATIO, SCVI: Layers.RATIO_SCVI}
