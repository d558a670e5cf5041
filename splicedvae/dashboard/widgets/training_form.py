"""The form that asks for a training: what matters in sight, the rest folded away."""

from __future__ import annotations

from typing import Final

import streamlit as st

from splicedvae import io, triage
from splicedvae._core.errors import SplicedVAEError
from splicedvae._core.keys import HeadKind, RatioLikelihood, VelocityMode
from splicedvae.dashboard.text import line
from splicedvae.dashboard.uploads import StoredFile
from splicedvae.dashboard.widgets import layer_choice
from splicedvae.jobs import estimate
from splicedvae.runs import RunConfig

NONE: Final = "none"
_LIKELIHOODS: Final[dict[RatioLikelihood, str]] = {
    "binomial": "binomial",
    "beta-binomial": "beta-binomial",
    "weighted-squared-error": "squared error",
}
_HEADS: Final[dict[HeadKind, str]] = {"linear": "linear", "mlp": "small network"}
_COUNTS: Final[dict[io.Counts, str]] = {
    "with-introns": "introns too",
    "exonic": "exons only",
}
_MODES: Final[dict[VelocityMode, str]] = {
    "balanced": "balanced",
    "stochastic": "scVelo stochastic",
    "deterministic": "scVelo determ.",
}
#: Label of the setting that a refusal of shallow data speaks of.
_SHARED: Final = "Least shared counts"


def doubt(summary: triage.DataSummary) -> str | None:
    """Say why a training with the usual settings would fail on a file.

    Parameters
    ----------
    summary
        What is in a file with spliced and unspliced counts.

    Returns
    -------
    A sentence, or None where nothing is known against it.
    """
    if summary.genes_with_shared_counts != 0:
        return None
    return (
        "No gene has enough spliced and unspliced counts in the same cells, so a training with "
        "the usual settings would fail: bring more cells or deeper data, or lower "
        f"“{_SHARED}” under Advanced."
    )


def _column(
    label: str, columns: tuple[str, ...], first: str | None, *, key: str, words: str
) -> str | None:
    """Ask for a column of the cells, or none."""
    names = [NONE, *columns]
    picked = st.selectbox(
        label,
        names,
        index=names.index(first) if first in names else 0,
        format_func=lambda name: line(name, 60),
        key=key,
        help=words,
    )
    return None if picked == NONE else picked


def ask(stored: StoredFile, summary: triage.DataSummary, name: str) -> RunConfig | None:
    """Ask for a training's settings.

    Parameters
    ----------
    stored
        The file to train on.
    summary
        What is in it.
    name
        Display name to propose.

    Returns
    -------
    The configuration once the button was pressed, else None.

    Raises
    ------
    SplicedVAEError
        If a setting is outside what is allowed.
    """
    defaults = RunConfig(stored.path, stored.sha256, name)
    with st.container(border=True, key="training"):
        label = st.text_input("Name of the run", name, max_chars=120, key="form-name")
        matrices = (
            layer_choice.Matrices() if summary.has_measured_layers else layer_choice.ask(summary)
        )
        left, middle, right = st.columns(3)
        with left:
            clusters = _column(
                "Clusters",
                summary.cluster_columns,
                summary.cluster_key,
                key="form-clusters",
                words="Colours the figures and keeps each cluster's share in the held-out cells.",
            )
            batch = _column(
                "Batches",
                summary.batch_columns,
                None,
                key="form-batch",
                words="The models correct for it. Choose none for one experiment.",
            )
        with middle:
            epochs = st.number_input(
                "Epochs",
                min_value=1,
                max_value=100_000,
                value=None,
                placeholder="auto",
                key="form-epochs",
                help="Passes over the training cells, the same for SplicedVAE and scVI. Left "
                "empty: 100, and fewer above 20,000 cells.",
            )
            held_out = st.slider(
                "Held-out cells",
                5,
                50,
                round(100 * defaults.held_out),
                format="%d%%",
                key="form-held-out",
                help="Outside everything fitted; all numbers come from them.",
            )
        with right:
            genes = st.number_input(
                "Most variable genes",
                min_value=10,
                max_value=100_000,
                value=defaults.n_top_genes,
                step=100,
                key="form-genes",
                help="Chosen on the training cells.",
            )
            seed = st.number_input(
                "Seed",
                min_value=0,
                max_value=2**31 - 1,
                value=0,
                key="form-seed",
                help="Where all random choices start: another seed is another run.",
            )
        with st.expander("Advanced", icon=":material/tune:"):
            if summary.has_measured_layers and len(summary.layers) > 2:
                matrices = layer_choice.ask(summary)
            left, middle, right = st.columns(3)
            with left:
                likelihood = st.selectbox(
                    "Ratio likelihood",
                    list(_LIKELIHOODS),
                    format_func=_LIKELIHOODS.__getitem__,
                    key="form-likelihood",
                    help="How far counts may scatter around the predicted ratio. Binomial: by "
                    "sampling alone. Beta-binomial: further. Squared error: of the ratio, "
                    "weighted by the count.",
                )
                head = st.selectbox(
                    "Ratio decoder",
                    list(_HEADS),
                    format_func=_HEADS.__getitem__,
                    key="form-head",
                    help="What leads from a cell's latent state to the ratio of each gene.",
                )
                shrinkage = st.number_input(
                    "Ratio shrinkage",
                    min_value=0.0,
                    value=None,
                    placeholder="learned",
                    key="form-shrinkage",
                    help="Strength of the pull to the gene's mean; more is safer and flatter. "
                    "Learned from the data if left empty.",
                )
            with middle:
                n_latent = st.number_input(
                    "Latent dimensions",
                    min_value=1,
                    max_value=200,
                    value=defaults.n_latent,
                    key="form-latent",
                    help="How many numbers both models describe a cell by.",
                )
                shared = st.number_input(
                    _SHARED,
                    min_value=0,
                    max_value=1_000_000,
                    value=defaults.min_shared_counts,
                    key="form-shared",
                    help="Genes with fewer are left out. Spliced and unspliced counts together, "
                    "over the training cells that have both.",
                )
                batch_size = st.number_input(
                    "Cells in one step",
                    min_value=2,
                    max_value=100_000,
                    value=defaults.batch_size,
                    key="form-batch-size",
                    help="The batch size of training.",
                )
            with right:
                counts = st.selectbox(
                    "Totals contain",
                    list(_COUNTS),
                    index=list(_COUNTS).index(summary.counts or defaults.counts),
                    format_func=_COUNTS.__getitem__,
                    key="form-counts",
                    help="Introns too: spliced + unspliced = total. Exons only: spliced = total, "
                    "and unspliced counts come on top. Proposed from the file's layers.",
                )
                mode = st.selectbox(
                    "Velocity model",
                    list(_MODES),
                    format_func=_MODES.__getitem__,
                    key="form-mode",
                    help="Balanced: a ratio that is constant within a gene gives no velocity. "
                    "scVelo's models, stochastic (its default) and deterministic, draw arrows of "
                    "composition and noise too.",
                )
        row = st.container(horizontal=True, vertical_alignment="center")
        pressed = row.button(
            "Start training", type="primary", icon=":material/play_arrow:", key="start-training"
        )
    try:
        config = RunConfig(
            data=stored.path,
            data_sha256=stored.sha256,
            name=label.strip() or name,
            total=matrices.total,
            spliced_layer=matrices.spliced,
            unspliced_layer=matrices.unspliced,
            ambiguous_layer=matrices.ambiguous,
            ambiguous=matrices.place,
            cluster_key=clusters,
            batch_key=batch,
            counts=counts,
            held_out=held_out / 100,
            min_shared_counts=int(shared),
            n_top_genes=None if genes is None else int(genes),
            max_epochs=None if epochs is None else int(epochs),
            batch_size=int(batch_size),
            n_latent=int(n_latent),
            ratio_likelihood=likelihood,
            ratio_head=head,
            ratio_shrinkage=shrinkage,
            seed=int(seed),
        ).with_velocity(mode=mode)
    except SplicedVAEError:
        if pressed:
            raise
        return None
    if pressed:
        layer_choice.check(matrices, summary)
        return config
    expected = estimate(
        config,
        n_cells=summary.n_cells - summary.empty_cells,
        n_genes=_usable_genes(summary, config.min_shared_counts),
    )
    if expected is not None:
        row.caption(f":material/schedule: Takes {expected.with_streams}")
    return None


def _usable_genes(summary: triage.DataSummary, least: int) -> int:
    """Return about how many genes pass the filter of a training."""
    known = summary.genes_with_shared_counts
    if known is None or least < RunConfig.min_shared_counts:
        return summary.n_genes - summary.empty_genes
    return known
