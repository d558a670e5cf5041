"""The dashboard: `streamlit run app.py`. Routing, and what stands around every page.

Streamlit imports this file once, when its server starts, and finds `app`; then it runs the file
as a script for every visitor.
"""

from __future__ import annotations

import streamlit as st

from splicedvae.dashboard import cards, server
from splicedvae.dashboard.state import query_params, selection
from splicedvae.dashboard.widgets import link, slides


def _root() -> None:
    """Lead on from the bare address: the page that opens has an address of its own."""
    st.switch_page(cards.VELOCITY, query_params=st.query_params.to_dict())


def _visit() -> None:
    """Show the page that a visitor asks for."""
    st.set_page_config(
        page_title="SplicedVAE",
        page_icon=str(cards.ICON),
        layout="wide",
        menu_items={"About": "RNA velocity for data sets without spliced and unspliced counts."},
    )
    st.logo(str(cards.LOGO), size="large", icon_image=str(cards.ICON))
    home = st.Page(_root, title="SplicedVAE", default=True, visibility="hidden")
    inspect = st.Page(
        cards.INSPECT, title="What is in a file", icon=":material/upload_file:", url_path="data"
    )
    train = st.Page(
        cards.TRAIN, title="Train and watch", icon=":material/model_training:", url_path="train"
    )
    models = st.Page(cards.MODELS, title="Models", icon=":material/inventory_2:", url_path="models")
    velocity = st.Page(cards.VELOCITY, title="Velocity", icon=":material/air:", url_path="velocity")
    diagnostics = st.Page(
        cards.DIAGNOSTICS, title="Diagnostics", icon=":material/straighten:", url_path="diagnostics"
    )
    latent = st.Page(
        cards.LATENT, title="Latent spaces", icon=":material/scatter_plot:", url_path="latent"
    )
    genes = st.Page(cards.GENES, title="Genes", icon=":material/genetics:", url_path="genes")
    provenance = st.Page(
        cards.PROVENANCE,
        title="How it was made",
        icon=":material/history_edu:",
        url_path="provenance",
    )
    two_runs = st.Page(
        cards.TWO_RUNS, title="Two runs", icon=":material/difference:", url_path="two-runs"
    )
    present = st.Page(
        cards.PRESENT, title="Present", icon=":material/slideshow:", url_path=slides.URL
    )
    sections = {
        "": [home],
        "Your data": [inspect],
        "Models": [train, models],
        "Results": [velocity, diagnostics, latent, genes, two_runs, provenance, present],
    }
    page = st.navigation(sections)
    on_stage = page.url_path == slides.URL
    if on_stage:
        page = st.navigation(sections, position="hidden")
    else:
        slides.remember(page.url_path)
    server.begin()
    query_params.drop_unknown()
    above = st.container()
    page.run()
    if not on_stage:
        cards.opened(selection.chosen_run(), selection.chosen_file())
        with st.sidebar:
            link.offer(page.url_path)
    with above:
        query_params.show_remarks()
    if not on_stage:
        cards.footer()
    server.settle()


if __name__ == "__main__":
    _visit()
else:
    server.route_from_the_first_visit()
    app = st.App(__file__, on_script_error=server.tell_unforeseen)
