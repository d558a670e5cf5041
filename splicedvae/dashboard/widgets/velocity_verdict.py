"""Signs of a verdict on a velocity, and its reasons as a list; the words always say the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import streamlit as st

from splicedvae.dashboard import cards
from splicedvae.dashboard.text import plain

#: Color and icon of an answer.
SIGNS: Final[dict[str, tuple[cards.Color, str]]] = {
    "refused": ("gray", ":material/block:"),
    "do not show": ("red", ":material/warning:"),
    "look closer": ("orange", ":material/help:"),
    "trust": ("green", ":material/check:"),
    "known": ("gray", ":material/info:"),
    "not judged yet": ("gray", ":material/hourglass_empty:"),
}
#: Sign of a reason by its weight.
_WEIGHTS: Final = {
    "against": ":material/remove_circle:",
    "caution": ":material/error:",
    "unknown": ":material/help:",
    "for": ":material/add_circle:",
}


def badge(answer: str) -> None:
    """Show an answer as a badge.

    Parameters
    ----------
    answer
        A key of `SIGNS`.
    """
    color, icon = SIGNS[answer]
    st.badge(answer, color=color, icon=icon)


def reasons(found: Iterable[tuple[str, str]]) -> None:
    """Show reasons with their signs.

    Parameters
    ----------
    found
        Weight and sentence of each.
    """
    st.markdown(
        "\n".join(f"- {_WEIGHTS[weight]} {plain(sentence, 600)}" for weight, sentence in found)
    )
