"""The form for predicting with a trained model, with each model's fit to the file."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd
import streamlit as st

from splicedvae import triage
from splicedvae.dashboard import cards
from splicedvae.dashboard.state import selection
from splicedvae.dashboard.text import defuse, line, plain
from splicedvae.dashboard.uploads import StoredFile
from splicedvae.dashboard.widgets import model_fit
from splicedvae.dashboard.widgets.model_fit import Candidate
from splicedvae.jobs import estimate
from splicedvae.runs import ModelSource, RunConfig

_NONE: Final = "none"
#: How to come by a model where none fits.
_HOW: Final = (
    "**How to get a model that fits:**\n1. Find a data set of the same species, tissue and "
    "protocol that has spliced and unspliced counts, or recount one with introns "
    "(velocyto, STARsolo's Velocyto, alevin-fry or kb count).\n2. Upload it above and "
    "train on it: a few hundred cells are the minimum, thousands are better.\n3. Return to "
    "this file under “Files on this server”: the new model is listed first."
)


def ask(
    stored: StoredFile, summary: triage.DataSummary, found: list[Candidate]
) -> RunConfig | None:
    """Let a visitor choose the model, and return the configuration when the button is pressed.

    Parameters
    ----------
    stored
        The file.
    summary
        What is in it.
    found
        The trained models, the best first.

    Raises
    ------
    SplicedVAEError
        If a setting is outside what is allowed.
    """
    if not found:
        st.info("There is no trained model on this server yet.", icon=":material/model_training:")
        st.markdown(_HOW)
        return None
    _propose(model_fit.proposed(found))
    _table(found)
    usable = [one for one in found if one.fit.fits]
    if not usable:
        best = found[0]
        st.info(
            f"No model here fits this file: the best one, “{plain(best.source.name, 60)}”, "
            f"finds {best.fit.n_found:,} of its {best.fit.n_genes:,} genes, but at least "
            f"half are needed. The file has {plain(summary.gene_style, 120)}"
            + (
                "; the demo model has simulated genes only."
                if all(model_fit.is_simulated(one.known.genes) for one in found)
                else ", and no model has half of these."
            ),
            icon=":material/genetics:",
        )
        st.markdown(_HOW)
        return None
    labels = _labels(usable)
    told = {
        one.source.reference: (
            f"{labels[one.source.reference]}: {one.fit.n_found:,} of {one.fit.n_genes:,} genes"
            + (" through orthologs" if one.fit.orthologs is not None else "")
        )
        for one in usable
    }
    by_id = {one.source.reference: one for one in usable}
    left, right = st.columns(2)
    with left:
        picked = by_id[
            st.selectbox(
                "Model",
                list(told),
                format_func=told.__getitem__,
                # A key for each file: the browser would keep the last file's labels.
                key=f"predict-model-{stored.sha256[:12]}",
                help="Models of the store and of finished trainings, the best fit for this file "
                "first.",
            )
        ]
    with right:
        batch = _batch(picked.source, summary)
    _caution(picked)
    row = st.container(horizontal=True, vertical_alignment="center")
    with row:
        pressed = st.button(
            "Predict with this model",
            type="primary",
            icon=":material/play_arrow:",
            key="predict",
        )
        if st.button(
            "Compare with its training cells",
            icon=":material/difference:",
            key="compare-cells",
            help="Novelty of these cells relative to the training cells, from their totals, 0 "
            "to 1. The first time takes a few seconds more.",
        ):
            with cards.show_errors():
                with st.spinner("Comparing the cells with the training cells …"):
                    model_fit.compare(stored, picked, batch)
                st.rerun()
    source = picked.source
    # A stored model is asked with the default settings of a velocity.
    settings: dict[str, Any] = {}
    if source.run is not None:
        settings = {"velocity": source.run.config.velocity, "seed": source.run.config.seed}
    config = RunConfig(
        data=stored.path,
        data_sha256=stored.sha256,
        name=f"{stored.name.split('.')[0]} by {source.name}"[:120],
        kind="predict",
        cluster_key=summary.cluster_key,
        batch_key=batch,
        counts=source.counts,
        model_run=source.reference,
        orthologs=picked.fit.file_species if picked.fit.orthologs is not None else None,
        **settings,
    )
    if pressed:
        return config
    expected = estimate(
        config,
        n_cells=summary.n_cells - summary.empty_cells,
        n_genes=picked.fit.n_found,
        measured=summary.has_measured_layers,
    )
    if expected is not None:
        row.caption(f":material/schedule: Takes {expected.with_streams}")
    return None


def _labels(usable: list[Candidate]) -> dict[str, str]:
    """Name models so that no two are called the same, by what finds them again."""
    labels = selection.run_labels([one.source.run for one in usable if one.source.run is not None])
    for one in usable:
        if one.source.stored is not None:
            labels[one.source.reference] = f"{one.source.name} · {one.source.stored.place}"
    return labels


def _propose(one: Candidate) -> None:
    """Say which model fits best and why, or that none of the file's species does."""
    fit = one.fit
    if not fit.fits:
        return
    compared = (
        " Its novelty is not computed yet: press “Compare with its training cells”."
        if fit.novelty is None
        else f" The novelty of the cells is {fit.novelty:.2f}, expected at most "
        f"{fit.novel_above:.2f}."
    )
    said = f"{plain(one.proposal.why, 600)}{compared}"
    if fit.other_species or (fit.novelty is not None and fit.novelty > fit.novel_above):
        st.warning(
            f"**No model here was trained for these cells.** The nearest is {said}",
            icon=":material/warning:",
        )
        st.markdown(_HOW)
    else:
        st.success(f"**Proposed:** {said}", icon=":material/recommend:")


def _batch(source: ModelSource, summary: triage.DataSummary) -> str | None:
    if source.batch_key is None:
        return None
    columns = [_NONE, *summary.batch_columns]
    picked = st.selectbox(
        "Batches",
        columns,
        index=min(1, len(columns) - 1),
        format_func=lambda name: line(name, 60),
        key="predict-batch",
        help="The model was trained with batches and needs them for a prediction.",
    )
    return None if picked == _NONE else picked


def _caution(one: Candidate) -> None:
    fit = one.fit
    if fit.other_species:
        st.warning(
            f"This model was trained on {plain(fit.model_species)} genes, and the file "
            f"looks like {plain(fit.file_species)}: splicing differs between species, so do "
            "not trust arrows from this model.",
            icon=":material/warning:",
        )
    elif fit.novelty is not None and fit.novelty > fit.novel_above:
        st.warning(
            "These cells are out of distribution for the model (novelty "
            f"{fit.novelty:.2f}): its predictions are hardly better than each gene's mean, "
            "so use a model of a more similar data set.",
            icon=":material/warning:",
        )


def _table(found: list[Candidate]) -> None:
    """Show what each model was trained on, and how it fits."""
    rows = [
        {
            "model": line(one.source.name, 60),
            "from": "run" if one.source.stored is None else one.source.stored.place,
            "trained on": line(one.known.file, 60),
            "cells": one.known.n_cells,
            "species": "simulated"
            if model_fit.is_simulated(one.known.genes)
            else one.fit.model_species or "not certain",
            "genes in this file": one.fit.share,
            "counts of this file": one.fit.counts_share,
            "novelty": one.fit.novelty,
        }
        for one in found
    ]
    st.dataframe(
        defuse(pd.DataFrame(rows)),
        hide_index=True,
        key="models",
        column_config={
            "cells": st.column_config.NumberColumn(
                "cells", format="localized", help="Cells of the run, including held-out ones."
            ),
            "species": st.column_config.TextColumn(
                "species", help="From the names of the model's genes."
            ),
            "genes in this file": st.column_config.ProgressColumn(
                "genes in this file",
                format="percent",
                min_value=0.0,
                max_value=1.0,
                help="Share of the model's genes that this file has, by name or through "
                "orthologs; at least half are needed.",
            ),
            "counts of this file": st.column_config.NumberColumn(
                "counts of this file",
                format="percent",
                help="Share of the file's counts in these genes.",
            ),
            "novelty": st.column_config.NumberColumn(
                "novelty",
                format="%.2f",
                help="Novelty of the cells relative to the training cells. Above 0.25 "
                "predictions are hardly better than each gene's mean. Press “Compare with "
                "its training cells”.",
            ),
        },
        placeholder="–",
        alt="Training data of each trained model, and its fit to this file.",
    )
