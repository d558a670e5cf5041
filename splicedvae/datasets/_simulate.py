"""Cells whose splicing ratio and velocity are known, for tests, demos and benchmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import anndata as ad
import numpy as np
import pandas as pd

from splicedvae._core.keys import Layers, Obs, Uns, Var, Varm
from splicedvae.datasets._counts import Counts, draw_counts
from splicedvae.datasets._lineage import Lineage, Segment, lineage
from splicedvae.datasets._parameters import Parameters, default_depth
from splicedvae.datasets._population import Cells, Genes, draw_cells, draw_genes
from splicedvae.datasets._programs import assign, shares_for


def simulate(
    n_cells: int = 2000,
    n_genes: int = 300,
    *,
    topology: str | Sequence[Segment] = "bifurcation",
    mean_depth: float | None = None,
    capture_efficiency: float = 0.1,
    capture_sd: float = 0.35,
    unspliced_capture: float = 0.8,
    unspliced_capture_sd: float = 1.3,
    alpha_sd: float = 0.9,
    beta_median: float = 3.0,
    beta_sd: float = 0.6,
    gamma_median: float = 1.0,
    gamma_sd: float = 0.6,
    fold_change: float = 15.0,
    program_shares: Mapping[str, float] | None = None,
    expression_noise: float = 0.1,
    ratio_concentration: float | None = 45.0,
    n_batches: int = 1,
    batch_sd: float = 0.2,
    truth: bool = True,
    seed: int = 0,
) -> ad.AnnData:
    r"""Simulate branching differentiation with real splicing kinetics.

    Each gene follows :math:`du/dt = \alpha - \beta u`, :math:`ds/dt = \beta u - \gamma s` along
    a lineage tree or cycle. Transcription :math:`\alpha` is constant between switches, so that
    the equations are solved in closed form, and the state is carried over every switch and
    branching. Counts are then drawn as a droplet experiment draws them.

    Parameters
    ----------
    n_cells, n_genes
        Size of the result.
    topology
        ``"linear"``, ``"bifurcation"``, ``"trifurcation"``, ``"tree"`` (two levels of branching)
        or ``"cycle"``, or the :class:`Segment` of a lineage of your own.
    mean_depth
        Mean number of counts per cell, spliced and unspliced together. By default 0.86 per gene,
        and up to 2.5 per gene (but at most 1,000 in all) where few genes are requested, as the
        genes that an analysis selects are the well expressed ones.
    capture_efficiency
        Share of a cell's spliced molecules that is counted, mean over cells: it sets how many
        molecules that ``mean_depth`` corresponds to.
    capture_sd
        Standard deviation of the log capture of cells.
    unspliced_capture
        Capture of unspliced relative to spliced molecules, median over genes; 1 for none lost.
    unspliced_capture_sd
        Standard deviation of its logarithm over genes, as introns differ in where primers bind.
    alpha_sd, beta_sd, gamma_sd
        Standard deviations of the logarithms of the transcription, splicing and degradation
        rates over genes.
    beta_median, gamma_median
        Medians of the splicing and degradation rates, per unit time.
    fold_change
        Transcription of a gene that is on over the same gene off, median over genes.
    program_shares
        Share of the genes per program: ``housekeeping`` (constant), ``induction``,
        ``repression``, ``transient`` and ``branch`` (on or off in one branch only). What a
        topology does not allow goes to the others; around a cycle, all but housekeeping genes
        are ``cyclic``.
    expression_noise
        Squared coefficient of variation of a gene's content among cells of one state, median
        over genes (gamma distributed, shared by its spliced and unspliced molecules); 0 for none.
    ratio_concentration
        Concentration of the beta distribution of the ratio in an entry around its true value, so
        that counts are beta-binomial as transcription in bursts makes them; None for binomial.
    n_batches
        Number of batches, to which cells are given at random.
    batch_sd
        Standard deviation of the log capture of batches; half of it for that of each gene in a
        batch and for the capture of unspliced molecules in a batch. One batch has no effect.
    truth
        Whether to keep the dense layers of the truth (16 bytes per entry); the counts are the
        same without.
    seed
        Seed; the same arguments give the same counts.

    Returns
    -------
    AnnData of n_cells x n_genes:

    - ``X``: total counts, spliced plus unspliced, and the layers ``spliced`` and ``unspliced``;
      CSR, float32, whole numbers.
    - layers ``true_spliced`` and ``true_unspliced``: expected molecules per cell, before any loss.
    - layer ``true_velocity``: :math:`\beta u - \gamma s`, spliced molecules per cell and unit
      time, of the same scale as ``true_spliced``.
    - layer ``true_splicing_ratio``: the expected share of spliced among the counts of an entry
      whatever its total, :math:`s / (s + c\,u)` with :math:`c` the relative capture of unspliced
      molecules. These four are dense float32 and left out with ``truth=False``.
    - ``obs``: ``clusters`` (the segment), ``true_time``, ``branch``, ``true_capture`` and, with
      several batches, ``batch``.
    - ``var``: ``alpha`` (when on, molecules per unit time), ``alpha_start`` (before the lineage
      begins), ``beta``, ``gamma``, ``unspliced_capture`` and ``program``; ``varm``: transcription
      rate and time of the switch to it in each segment.
    - ``uns["splicedvae"]["simulation"]``: every parameter, and the known ``transitions`` between
      clusters as pairs of names.

    Raises
    ------
    SplicedVAEError
        A parameter is outside its range, or the topology is neither a tree nor a cycle.

    Notes
    -----
    The defaults were set against 591 cells of the mouse pancreas at E15.5 (7,192 genes, and its
    2,000 most variable genes in brackets), and simulations of 2,000 cells x 2,000 genes (mean of
    three seeds):

    ============================================  ========================  ==================
    statistic                                     pancreas                  simulation
    ============================================  ========================  ==================
    counts per cell and gene                      0.86 (0.84)               0.86
    zeros in the total counts                     0.69 (0.73)               0.61
    zeros in spliced, in unspliced counts         0.76, 0.89 (0.83, 0.87)   0.69, 0.86
    sd of log10 mean counts over genes            0.49 (0.48)               0.51
    unspliced share of all counts                 0.19 (0.35)               0.27
    of genes (5, 50, 95 %)                        0.02, 0.31, 0.84          0.02, 0.21, 0.78
    of cells (5, 50, 95 %)                        0.12, 0.20, 0.29          0.25, 0.27, 0.29
    CV² beyond Poisson, median gene               0.26 (1.23)               0.23
    zeros beyond Poisson, median gene             0.011 (0.042)             0.017
    ratio between 12 clusters, sd of log-odds     0.14                      0.23
    ============================================  ========================  ==================

    Cells of the simulation differ less in their unspliced share, as it has no cells that lose more
    of their cytoplasm than others.

    scVelo (deterministic) on the measured layers of 2,000 cells x 300 genes reaches a mean cosine
    to the true velocity of 0.30 to 0.36 along trees and of 0.44 along a line or cycle, over its
    velocity genes that are not housekeeping; of 0.18 to 0.30 with 2,000 genes at their lower
    depth. It cannot match time scales, and the capture of unspliced molecules differs by gene.

    Zeros come from sampling few molecules alone, as in droplet data: no entry is set to zero
    besides. The time unit is the median lifetime of a spliced molecule, so that half of the
    molecules of a median gene are replaced in 0.7 units.

    Examples
    --------
    >>> import splicedvae
    >>> adata = splicedvae.datasets.simulate(500, 100, topology="linear", seed=1)
    >>> adata.obs["clusters"].cat.categories.tolist()
    ['Progenitor', 'Early', 'Late', 'Mature']
    """
    parameters = Parameters(
        n_cells=n_cells,
        n_genes=n_genes,
        mean_depth=default_depth(n_genes) if mean_depth is None else mean_depth,
        capture_efficiency=capture_efficiency,
        capture_sd=capture_sd,
        unspliced_capture=unspliced_capture,
        unspliced_capture_sd=unspliced_capture_sd,
        alpha_sd=alpha_sd,
        beta_median=beta_median,
        beta_sd=beta_sd,
        gamma_median=gamma_median,
        gamma_sd=gamma_sd,
        fold_change=fold_change,
        expression_noise=expression_noise,
        ratio_concentration=np.inf if ratio_concentration is None else ratio_concentration,
        n_batches=n_batches,
        batch_sd=batch_sd,
        seed=seed,
    )
    tree = lineage(topology)
    shares = shares_for(tree, program_shares)
    # A generator for each purpose: what is drawn from one does not shift the others.
    streams = np.random.SeedSequence(seed).spawn(3)
    genes_rng, cells_rng = (np.random.default_rng(stream) for stream in streams[:2])
    programs = assign(tree, n_genes, shares, genes_rng)
    genes = draw_genes(tree, programs, parameters, genes_rng)
    cells = draw_cells(tree, parameters, cells_rng)
    counts = draw_counts(genes, cells, parameters, streams[2], truth=truth)

    adata = ad.AnnData(
        X=counts.total,
        obs=_obs(tree, cells, genes, n_batches),
        var=_var(genes, list(shares)),
    )
    adata.layers[Layers.SPLICED] = counts.spliced
    adata.layers[Layers.UNSPLICED] = counts.unspliced
    _add_truth(adata, counts)
    path = genes.trajectory
    for key, values in {Varm.RATES: path.rate_out, Varm.SWITCHES: path.switch}.items():
        adata.varm[key] = pd.DataFrame(values.T, columns=tree.names, index=adata.var_names)
    adata.uns[Uns.ROOT] = {
        Uns.SIMULATION: {
            **parameters.as_dict(),
            "topology": topology if isinstance(topology, str) else "custom",
            "program_shares": shares,
            "truth": truth,
            Uns.TRANSITIONS: tree.transitions,
            "segments": pd.DataFrame(
                {
                    "parent": [segment.parent or "" for segment in tree.segments],
                    "duration": tree.durations,
                    "share": tree.probabilities,
                },
                index=pd.Index(tree.names, name="segment"),
            ),
            "batch_unspliced_capture": genes.batch_unspliced,
        }
    }
    return adata


def _obs(tree: Lineage, cells: Cells, genes: Genes, n_batches: int) -> pd.DataFrame:
    """Describe the cells."""
    branches = np.array(tree.branches)
    obs = pd.DataFrame(
        {
            Obs.CLUSTERS: pd.Categorical(
                np.array(tree.names)[cells.segment], categories=tree.names
            ),
            Obs.TRUE_TIME: tree.starts[cells.segment] + cells.time,
            Obs.BRANCH: pd.Categorical(
                branches[cells.segment], categories=list(dict.fromkeys(tree.branches))
            ),
            Obs.TRUE_CAPTURE: cells.capture * genes.batch_capture[cells.batch],
        },
        index=_numbered("Cell", len(cells.segment)),
    )
    if n_batches > 1:
        labels = [f"Batch {i + 1}" for i in range(n_batches)]
        obs[Obs.BATCH] = pd.Categorical(np.array(labels)[cells.batch], categories=labels)
    return obs


def _var(genes: Genes, programs: list[str]) -> pd.DataFrame:
    """Describe the genes."""
    path = genes.trajectory
    return pd.DataFrame(
        {
            Var.ALPHA: np.maximum(path.rate_out.max(axis=0), path.rate_in.max(axis=0)),
            Var.ALPHA_START: path.rate_in[0],
            Var.BETA: path.beta,
            Var.GAMMA: path.gamma,
            Var.UNSPLICED_CAPTURE: genes.unspliced_capture,
            Var.PROGRAM: pd.Categorical(genes.programs, categories=programs),
        },
        index=_numbered("Gene", len(path.beta)),
    )


def _add_truth(adata: ad.AnnData, counts: Counts) -> None:
    """Add the layers of the truth, where they were kept."""
    if counts.truth is None:
        return
    adata.layers[Layers.TRUE_SPLICED] = counts.truth.spliced
    adata.layers[Layers.TRUE_UNSPLICED] = counts.truth.unspliced
    adata.layers[Layers.TRUE_VELOCITY] = counts.truth.velocity
    adata.layers[Layers.TRUE_RATIO] = counts.truth.ratio


def _numbered(prefix: str, n: int) -> pd.Index:
    """Names ``prefix`` and a number of at least four digits, which sort as they count."""
    width = max(4, len(str(n)))
    return pd.Index([f"{prefix}{i:0{width}d}" for i in range(1, n + 1)])
