"""The first statement on a file: whether a velocity is worth computing, and why."""

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
_TITLE: Final = "Is a velocity worth computing?"
_MEASURED: Final = (
    "This screening uses counts only and is no guarantee. Training tests by permutation "
    "whether the measured counts carry a velocity, and held-out cells show whether it is "
    "predicted."
)
_PREDICTED: Final = (
    "This screening uses counts only and is no guarantee: with totals alone, a predicted "
    "velocity cannot be checked."
)


#: The same of a file of totals by itself, and of the models there are.
_FILE: Final[dict[triage.Answer, tuple[str, Color, str]]] = {
    "yes": ("fine", "green", ":material/check_circle:"),
    "doubtful": ("look closer", "orange", ":material/help:"),
    "no": ("not usable", "red", ":material/cancel:"),
}
_MODELS: Final[dict[triage.Answer, tuple[str, Color, str]]] = {
    "yes": ("one fits", "green", ":material/check_circle:"),
    "doubtful": ("one may fit", "orange", ":material/help:"),
    "no": ("none fits yet", "red", ":material/cancel:"),
}


def show(verdict: triage.Verdict) -> None:
    """Show the verdict on a file with measured S/U, with its reasons.

    Parameters
    ----------
    verdict
        The verdict.
    """
    words, color, icon = _SHOWN[verdict.answer]
    with st.container(border=True, key="verdict", gap="small"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.subheader(_TITLE, anchor=False, width="content")
            st.badge(words, color=color, icon=icon)
        _reasons(verdict)
        st.caption(f"{_MEASURED} {plain(triage.NOT_LOOKED_FOR)}")


def show_apart(counts: triage.Verdict, models: triage.Verdict) -> None:
    """Show the verdicts on a file of totals and on the models there are, each by itself.

    Parameters
    ----------
    counts
        Of `triage.judge_counts`.
    models
        Of `triage.judge_models`.
    """
    with st.container(border=True, key="verdict", gap="small"):
        st.subheader(_TITLE, anchor=False)
        for title, shown, verdict in (
            ("Your file", _FILE, counts),
            ("Models here", _MODELS, models),
        ):
            words, color, icon = shown[verdict.answer]
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.markdown(f"**{title}**", width="content")
                st.badge(words, color=color, icon=icon)
            _reasons(verdict)
        st.caption(f"{_PREDICTED} {plain(triage.NOT_LOOKED_FOR)}")


def _reasons(verdict: triage.Verdict) -> None:
    st.markdown("\n".join(f"- {plain(reason, 600)}" for reason in verdict.reasons))
