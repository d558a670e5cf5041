"""Train and watch: start a run, see how far it is, stop it; all runs of this server."""

from __future__ import annotations

import streamlit as st

from splicedvae._core.errors import SplicedVAEError
from splicedvae.dashboard import cards, reading
from splicedvae.dashboard.state import selection
from splicedvae.dashboard.uploads import StoredFile
from splicedvae.dashboard.widgets import progress, run_list, training_form
from splicedvae.jobs import start
from splicedvae.triage import DataSummary


def _page() -> None:
    st.title("Train and watch", anchor=False)
    run = selection.chosen_run()
    stored = selection.chosen_file()
    if run is not None and selection.run_id(run) != selection.DEMO:
        with st.container(border=True):
            progress.watch(run)
    st.header("New training", anchor=False)
    if stored is None:
        st.markdown("A training starts from a file with spliced and unspliced counts.")
        _choose_a_file()
    else:
        try:
            _new(stored)
        except SplicedVAEError as failure:
            cards.error(failure)
            _choose_a_file()
    st.header("Runs", anchor=False)
    run_list.show(run)


def _choose_a_file() -> None:
    if st.button("Choose a file", icon=":material/upload_file:", key="to-file"):
        st.switch_page(cards.INSPECT)


def _new(stored: StoredFile) -> None:
    summary = reading.contents(stored).summary
    st.markdown(
        cards.facts(stored.name, f"{summary.n_cells:,} cells", f"{summary.n_genes:,} genes")
    )
    if not summary.has_measured_layers and len(summary.layers) >= 2:
        st.warning(
            "No layers of this file are called spliced and unspliced, which training needs. If it "
            "has such counts under other names, choose them here.",
            icon=":material/warning:",
        )
    elif not summary.has_measured_layers:
        st.warning(
            "This file has no spliced and unspliced counts, which training needs. Choose another, "
            "or ask a trained model about it.",
            icon=":material/warning:",
        )
        st.page_link(cards.INSPECT, label="Back to the file", icon=":material/arrow_back:")
        return
    doubt = training_form.doubt(summary)
    if doubt is not None:
        st.warning(doubt, icon=":material/warning:")
    _form(stored, summary)


@st.fragment
def _form(stored: StoredFile, summary: DataSummary) -> None:
    # A fragment: a changed setting draws the form again, with how long the run would take.
    with cards.told():
        config = training_form.ask(stored, summary, stored.name.split(".")[0].replace("_", " "))
        if config is not None:
            selection.choose_run(start(config))
            st.rerun()


_page()
