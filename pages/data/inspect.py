"""What is in a file: the first look, and the way on."""

from __future__ import annotations

import streamlit as st

from splicedvae import triage
from splicedvae.dashboard import cards, pages, reading
from splicedvae.dashboard.state import selection
from splicedvae.dashboard.uploads import StoredFile
from splicedvae.dashboard.widgets import (
    file_shelf,
    file_source,
    file_summary,
    first_look,
    minute,
    model_fit,
    prediction_form,
    progress,
    training_form,
)
from splicedvae.jobs import start


def _page() -> None:
    st.title(pages.INSPECT.title, anchor=False)
    stored = file_source.choose(selection.chosen_file())
    file_shelf.show(stored)
    if stored is None:
        st.info(
            "No file yet. Upload one above, or try the simulated example: 1,000 cells on a "
            "branching lineage whose true velocity is known.",
            icon=":material/upload_file:",
        )
        return
    with cards.show_errors():
        contents = reading.contents(stored)
        found = model_fit.candidates(stored, contents)
        summary, place = file_summary.show(stored, contents, model_fit.best(found))
        minute.show(stored, contents, summary, found)
        _next(stored, contents, summary, found)
        if not summary.has_measured_layers:
            # It takes a moment, so it is filled in when all else is there.
            with place:
                first_look.show(stored, summary.cluster_key)


def _next(
    stored: StoredFile,
    contents: reading.Contents,
    summary: triage.DataSummary,
    found: list[model_fit.Candidate],
) -> None:
    st.header("Next", anchor=False)
    if not summary.has_measured_layers:
        st.markdown(
            "The file has no spliced and unspliced counts, so it cannot be used for "
            "training. A model trained on similar cells can predict them from the totals."
        )
        _predict(stored, summary, found)
        return
    doubt = training_form.doubt(summary)
    st.markdown(
        doubt or "The file has spliced and unspliced counts, so a model can be trained on it."
    )
    if st.button(
        "Train SplicedVAE and scVI",
        type="primary" if doubt is None else "secondary",
        icon=":material/model_training:",
        key="to-train",
    ):
        st.switch_page(pages.TRAIN.script, query_params={"data": stored.id})
    with st.expander("Or predict with a trained model", icon=":material/neurology:"):
        _predict(stored, summary, found)


def _predict(
    stored: StoredFile, summary: triage.DataSummary, found: list[model_fit.Candidate]
) -> None:
    config = prediction_form.ask(stored, summary, found)
    if config is not None:
        run = start(config)
        selection.choose_run(run)
        progress.open_streams_of(run)
        st.switch_page(pages.TRAIN.script, query_params={"run": selection.run_id(run)})


_page()
