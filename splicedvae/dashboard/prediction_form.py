"""The form that asks a trained model about a file, and says how well their genes fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pandas as pd
import streamlit as st

from splicedvae import io
from splicedvae._errors import RunError
from splicedvae.dashboard import choice, held
from splicedvae.dashboard.text import line, plain
from splicedvae.dashboard.uploads import StoredFile
from splicedvae.runs import Run, RunConfig

#: Below this share of a model's genes the worker refuses to predict.
FEW: Final = 0.5
_NONE: Final = "none"


def models() -> list[Run]:
    """Return the finished trainings, the newest first, the demo last."""
    found = [run for run in choice.all_runs()[0] if run.is_finished and run.config.kind == "train"]
    demo = choice.shipped_run()
    return [*found, demo] if demo is not None else found


def overlap(run: Run, genes: pd.Index) -> tuple[int, int]:
    """Count the genes of a run's model, and how many of them a file has by name."""
    wanted = held.hold(run).predictions.var_names
    return int(wanted.isin(genes).sum()), len(wanted)


def _by_fit(runs: Sequence[Run], genes: pd.Index) -> list[tuple[Run, int, int]]:
    fits = []
    for run in runs:
        try:
            found, wanted = overlap(run, genes)
        except RunError:
            # Damaged: its list entry says so, and it has no model to offer.
            continue
        fits.append((run, found, wanted))
    return sorted(fits, key=lambda fit: -fit[1] / max(fit[2], 1))


def ask(stored: StoredFile, summary: io.DataSummary, genes: pd.Index) -> RunConfig | None:
    """Ask which model shall predict, and return the configuration once the button was pressed.

    Parameters
    ----------
    stored
        The file.
    summary
        What is in it.
    genes
        Names of its genes.

    Raises
    ------
    SplicedVAEError
        If a setting is outside what is allowed.
    """
    fits = _by_fit(models(), genes)
    if not fits:
        st.info(
            "There is no trained model on this server yet: train one on a file that has spliced "
            "and unspliced counts of the same species, then come back.",
            icon=":material/model_training:",
        )
        return None
    labels = choice.run_labels([run for run, _, _ in fits])
    told = {
        choice.run_id(run): f"{labels[choice.run_id(run)]}: {found:,} of {wanted:,} genes"
        for run, found, wanted in fits
    }
    by_id = {choice.run_id(run): (run, found, wanted) for run, found, wanted in fits}
    left, right = st.columns(2)
    with left:
        picked = st.selectbox(
            "Model",
            list(told),
            format_func=told.__getitem__,
            # A key for each file: the browser would keep the last file's labels.
            key=f"predict-model-{stored.sha256[:12]}",
            help="Finished trainings; the one that shares most genes with this file stands first.",
        )
    run, found, wanted = by_id[picked]
    batch = None
    with right:
        if run.config.batch_key is not None:
            columns = [_NONE, *summary.batch_columns]
            batch = st.selectbox(
                "Batches",
                columns,
                index=min(1, len(columns) - 1),
                format_func=lambda name: line(name, 60),
                key="predict-batch",
                help="The model was trained with batches and needs to know them.",
            )
    if found < FEW * wanted:
        st.warning(
            f"Only {found:,} of the {wanted:,} genes of “{plain(run.name, 60)}” are in this file, "
            f"and at least half are needed. The file has {plain(summary.gene_style, 120)}: map its "
            "genes to the model's names (orthologs for another species), or use a model trained on "
            "that species.",
            icon=":material/genetics:",
        )
    if not st.button(
        "Predict with this model",
        type="primary",
        icon=":material/play_arrow:",
        disabled=found < FEW * wanted,
    ):
        return None
    return RunConfig(
        data=stored.path,
        data_sha256=stored.sha256,
        name=f"{stored.name.split('.')[0]} by {run.name}"[:120],
        kind="predict",
        cluster_key=summary.cluster_key,
        batch_key=None if batch in (None, _NONE) else batch,
        counts=run.config.counts,
        velocity=run.config.velocity,
        seed=run.config.seed,
        model_run=choice.run_id(run),
    )
