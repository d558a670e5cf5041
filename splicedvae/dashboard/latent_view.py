"""The latent spaces of both models side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from splicedvae.dashboard import downloads, export, held, theme
from splicedvae.report import FigureCall
from splicedvae.runs import Run

if TYPE_CHECKING:
    pass


def show(run: Run, color: str) -> None:
    """Show the maps of both latent spaces.

    Parameters
    ----------
    run
        A finished run.
    color
        What its cells are coloured by, from `result.frame`.
    """
    figure = held.latent_figure(run, color)
    theme.show(figure, key="latents", name=f"{downloads.file_stem(run)}-latent-spaces")
    export.buttons(run, FigureCall("latents", {"color_by": color}))
    st.caption(
        "UMAPs of the two latent spaces. Positions in one cannot be compared with positions in the "
        "other; who is near whom can."
    )
