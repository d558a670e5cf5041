"""What a first visitor reads: a sentence on what SplicedVAE does, three steps to a file.

It is short so that the streams below are on the first screen of a small window, too.
"""

from __future__ import annotations

import streamlit as st

from splicedvae.dashboard import cards

_WORDS = (
    "Most published data have total counts only. SplicedVAE learns from cells with spliced (S) "
    "and unspliced (U) counts and predicts both where only totals exist."
)


def show() -> None:
    """Explain the app in a few lines."""
    st.title("RNA velocity without spliced and unspliced counts", anchor=False)
    st.markdown(_WORDS)
    cards.steps()
