"""What a first visitor reads: two sentences on what SplicedVAE does, three steps to a file."""

from __future__ import annotations

import streamlit as st

from splicedvae.dashboard import cards

_WORDS = (
    "RNA velocity needs spliced and unspliced counts, and most published data sets hold totals "
    "only. SplicedVAE learns from cells that have both how each gene's spliced fraction follows "
    "from the cell's total counts, predicts it where only totals exist, and hands the "
    "reconstructed layers to scVelo."
)
_BELOW = (
    "Below: a finished run on simulated cells. The more alike predicted and measured arrows are, "
    "beyond chance, the better."
)


def show(*, demo: bool = True) -> None:
    """Explain the app in one screen.

    Parameters
    ----------
    demo
        Whether the demo run stands below.
    """
    st.title("RNA velocity without spliced and unspliced counts", anchor=False)
    st.markdown(_WORDS)
    cards.steps()
    if demo:
        st.caption(_BELOW)
