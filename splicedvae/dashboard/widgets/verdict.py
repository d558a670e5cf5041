"""The first thing said about a file: whether a velocity is worth trying, and why."""

from __future__ import annotations

from typing import Final

import streamlit as st

from splicedvae import triage
from splicedvae.dashboard.cards import Color
from splicedvae.dashboard.text import plain

_SHOWN: Final[dict[triage.Answer, tuple[str, Color, str]]] = {
    "yes": ("yes", "green", ":material/check_circle:"),
    "doubtful": ("doubtful", "orange", ":material/help:"),
    "no": ("no", "red", ":material/cancel:"),
}
_MEASURED: Final = (
    "A triage by counts, not a promise: whether the measured counts carry a velocity is tested by "
    "permutation in training, and whether it is predicted is told by cells held out."
)
_PREDICTED: Final = (
    "A triage by counts, not a promise: with totals alone no one can check a predicted velocity."
)


def show(verdict: triage.Verdict, *, measured: bool) -> None:
    """Show a verdict with its reasons.

    Parameters
    ----------
    verdict
        The verdict.
    measured
        Whether the file has measured S/U.
    """
    words, color, icon = _SHOWN[verdict.answer]
    with st.container(border=True, key="verdict", gap="small"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.subheader("Velocity worth trying?", anchor=False, width="content")
            st.badge(words, color=color, icon=icon)
        st.markdown("\n".join(f"- {plain(reason, 600)}" for reason in verdict.reasons))
        st.caption(f"{_MEASURED if measured else _PREDICTED} {plain(triage.NOT_LOOKED_FOR)}")
