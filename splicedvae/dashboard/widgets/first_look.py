"""The cells of a file on its page, unasked: embedding, clusters, depth and every gene."""

from __future__ import annotations

from typing import Final

import streamlit as st

from splicedvae import views
from splicedvae.dashboard import cards, reading, theme
from splicedvae.dashboard.text import plain
from splicedvae.dashboard.uploads import StoredFile
from splicedvae.dashboard.widgets import window
from splicedvae.pipeline import FirstLook, first_look

_CLUSTERS: Final = "clusters"
_GENE: Final = "counts of a gene"
#: Genes offered at once: all of them would be sent with every click.
_OFFERED: Final = 300


@st.fragment
def show(stored: StoredFile, cluster_key: str | None) -> None:
    """Show the cells of a file, computed when it is first opened.

    Parameters
    ----------
    stored
        The file.
    cluster_key
        Column of the cells with clusters; None computes them.
    """
    with st.container(border=True, key="first-look"), cards.show_errors():
        st.subheader("A first look at the cells", anchor=False)
        look = _look(stored.sha256, cluster_key, stored)
        cells = reading.cells(stored)
        with st.container(horizontal=True, vertical_alignment="bottom"):
            kind = st.selectbox("Color by", [_CLUSTERS, views.CELL_DEPTH, _GENE], key="look-color")
            color = None if kind == _CLUSTERS else kind
            if kind == _GENE:
                color = _pick_gene([str(name) for name in cells.var_names])
        figure = views.first_look_figure(
            look, color, cells=cells, dark=theme.is_dark(), window=window.size()
        )
        theme.show(figure, key="look", name="first-look")
        said = [f"{look.embedding[:1].upper()}{look.embedding[1:]}. Clusters: {look.clustering}."]
        said += look.notes
        said.append("No model was needed for this, and it says nothing about a velocity.")
        st.caption(plain(" ".join(said), 800))
        window.watch("window-look")


def _pick_gene(genes: list[str]) -> str:
    wanted = st.text_input(
        "Find a gene", placeholder="part of its name", max_chars=60, key="look-find"
    ).strip()
    found = [gene for gene in genes if wanted.casefold() in gene.casefold()]
    if not found:
        st.caption(f"No gene of the file matches “{plain(wanted, 60)}”.")
    # Exact names first: Ins1 before Ins10.
    offered = sorted(found or genes, key=lambda gene: gene.casefold() != wanted.casefold())
    return str(st.selectbox("Gene", offered[:_OFFERED], key="look-gene") or offered[0])


@st.cache_resource(max_entries=8, ttl="2h", show_spinner="Embedding the cells …")
def _look(sha256: str, cluster_key: str | None, _stored: StoredFile) -> FirstLook:
    return first_look(reading.cells(_stored), cluster_key)
