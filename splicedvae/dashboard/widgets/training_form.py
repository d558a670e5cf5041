"""The form of a training: the main settings visible, the rest under Advanced."""

from __future__ import annotations

from typing import Final

import streamlit as st

from splicedvae import io, triage
from splicedvae._core.errors import SplicedVAEError
from splicedvae._core.keys import HeadKind, RatioLikelihood, VelocityMode
from splicedvae._core.settings import RunFields, VelocityFields, settings_of
from splicedvae.dashboard.text import line
from splicedvae.dashboard.uploads import StoredFile
from splicedvae.dashboard.widgets import layer_choice, setting_fields
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
#: Label of the setting named when shallow data is refused.
_SHARED: Final = settings_of(RunFields)["min_shared_counts"].label


def doubt(summary: triage.DataSummary) -> str | None:
    """Say why a training with the usual settings would fail on a file.

    Parameters
    ----------
    summary
        What is in a file with spliced and unspliced counts.

    Returns
    -------
    A sentence, or None if there is no known reason.
    """
    if summary.genes_with_shared_counts != 0:
        return None
    return (
        "No gene has enough spliced and unspliced counts in the same cells, so training "
        "with the default settings would fail: use more cells or deeper data, or lower "
        f"“{_SHARED}” under Advanced."
    )


def _column(name: str, columns: tuple[str, ...], first: str | None, *, key: str) -> str | None:
    """Ask for a column of the cells, or none."""
    setting = settings_of(RunFields)[name]
    names = [NONE, *columns]
    picked = st.selectbox(
        setting.label,
        names,
        index=names.index(first) if first in names else 0,
        format_func=lambda name: line(name, 60),
        key=key,
        help=setting.words,
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
    declared = settings_of(RunFields)
    with st.container(border=True, key="training"):
        label = st.text_input("Name of the run", name, max_chars=120, key="form-name")
        matrices = (
            layer_choice.Matrices() if summary.has_measured_layers else layer_choice.ask(summary)
        )
        left, middle, right = st.columns(3)
        with left:
            clusters = _column(
                "cluster_key", summary.cluster_columns, summary.cluster_key, key="form-clusters"
            )
            batch = _column("batch_key", summary.batch_columns, None, key="form-batch")
        with middle:
            epochs = setting_fields.number(
                "max_epochs", key="form-epochs", most=100_000, unset="auto"
            )
            held_out = st.slider(
                declared["held_out"].label,
                5,
                50,
                round(100 * declared["held_out"].usual),
                format="%d%%",
                key="form-held-out",
                help=declared["held_out"].words,
            )
        with right:
            genes = setting_fields.number("n_top_genes", key="form-genes", most=100_000, step=100)
            seed = setting_fields.number("seed", key="form-seed", most=2**31 - 1)
        with st.expander("Advanced", icon=":material/tune:"):
            if summary.has_measured_layers and len(summary.layers) > 2:
                matrices = layer_choice.ask(summary)
            left, middle, right = st.columns(3)
            with left:
                likelihood = setting_fields.choice(
                    "ratio_likelihood", _LIKELIHOODS, key="form-likelihood"
                )
                head = setting_fields.choice("ratio_head", _HEADS, key="form-head")
                shrinkage = setting_fields.number(
                    "ratio_shrinkage", key="form-shrinkage", unset="learned"
                )
            with middle:
                n_latent = setting_fields.number("n_latent", key="form-latent", most=200)
                shared = setting_fields.number(
                    "min_shared_counts", key="form-shared", most=1_000_000
                )
                batch_size = setting_fields.number(
                    "batch_size", key="form-batch-size", most=100_000
                )
            with right:
                counts = setting_fields.choice(
                    "counts", _COUNTS, key="form-counts", first=summary.counts
                )
                mode = setting_fields.choice("mode", _MODES, key="form-mode", owner=VelocityFields)
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
            min_shared_counts=shared,
            n_top_genes=genes,
            max_epochs=epochs,
            batch_size=batch_size,
            n_latent=n_latent,
            ratio_likelihood=likelihood,
            ratio_head=head,
            ratio_shrinkage=shrinkage,
            seed=seed,
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
