"""Velocities of a run side by side, and how far to trust them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import streamlit as st

from splicedvae._keys import Sources
from splicedvae.dashboard import address, cautions, downloads, export, held, theme
from splicedvae.dashboard.text import plain
from splicedvae.report import FigureCall, views
from splicedvae.runs import Run

if TYPE_CHECKING:
    pass

_DENSITIES: Final = {"sparse": 0.6, "medium": 1.0, "dense": 1.6}


def show(run: Run, color: str) -> None:
    """Show the velocities of a run side by side, with what speaks against trusting them.

    Parameters
    ----------
    run
        A finished run.
    color
        What its cells are coloured by, from `result.frame`.
    """
    tried = views.sources(run)
    if not tried:
        st.info("No velocity was tried in this run.", icon=":material/info:")
        return
    labels = {Sources.LABELS.get(source, source): source for source in tried}
    address.check("shown", labels, "velocity")
    address.check("density", _DENSITIES, "density")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        shown = st.pills(
            "Velocities",
            list(labels),
            selection_mode="multi",
            default=list(labels),
            key="shown",
            bind="query-params",
        )
        density = st.segmented_control(
            "Lines",
            list(_DENSITIES),
            default="medium",
            required=True,
            key="density",
            bind="query-params",
        )
    picked = [source for label, source in labels.items() if label in (shown or list(labels))]
    figure = held.stream_figure(run, picked, color, _DENSITIES[density or "medium"])
    theme.show(figure, key="streams", name=f"{downloads.file_stem(run)}-streams")
    export.buttons(
        run,
        FigureCall(
            "streams",
            {"sources": picked, "color_by": color, "density": _DENSITIES[density or "medium"]},
        ),
    )
    with st.container(border=True):
        st.markdown(":material/balance: **How far to trust these streams**")
        st.markdown("\n".join(f"- {plain(said, 600)}" for said in cautions.stream_cautions(run)))
