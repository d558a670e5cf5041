"""The address bar: what a page takes from it, and what it says about values it cannot use.

Widgets that hold a view (color, density, ...) are bound to the address by Streamlit itself,
which silently drops unknown values. `read` runs before the widgets and reports them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import streamlit as st

from splicedvae.dashboard.pages import PARAMETERS
from splicedvae.dashboard.text import plain

_REMARKS: Final = "_address_remarks"


def remark(sentence: str) -> None:
    """Keep a sentence (Markdown) about the address, shown once by `show_remarks`."""
    said = st.session_state.setdefault(_REMARKS, [])
    if sentence not in said:
        said.append(sentence)


def show_remarks() -> None:
    """Show, once, what was ignored in the address."""
    for sentence in st.session_state.pop(_REMARKS, []):
        st.warning(sentence, icon=":material/link_off:")


def drop_unknown() -> None:
    """Remove unknown parameters from the address and report them."""
    for name in [name for name in st.query_params if name not in PARAMETERS]:
        remark(
            f"The link has the parameter “{plain(name, 40)}”, which no page uses; it was ignored."
        )
        del st.query_params[name]


def rename(name: str, words: Mapping[str, str]) -> None:
    """Replace a value of the address by what a widget calls it now, as in earlier links.

    Parameters
    ----------
    name
        The parameter.
    words
        The widget's words by value.
    """
    given = st.query_params.get(name)
    if given is not None and given in words and words[given] != given:
        # A bound widget takes what the session holds before what the address was opened with.
        st.session_state[name] = st.query_params[name] = words[given]


def check(name: str, allowed: Iterable[str], what: str) -> None:
    """Say so if the address holds a value that a bound widget will drop.

    Parameters
    ----------
    name
        The parameter, which is the widget's key.
    allowed
        The labels the widget offers.
    what
        The widget's words, for the sentence.
    """
    given = st.query_params.get_all(name)
    known = set(allowed)
    for value in given:
        if value not in known:
            remark(
                f"The link asks for the {what} “{plain(value, 40)}”, which is not available "
                "here; the default is shown."
            )
