"""The address bar: what a page takes from it, and what it says about values it cannot use.

Widgets that hold a view (colour, density, ...) are bound to the address by Streamlit itself,
which drops values it does not know without a word. `read` runs before the widgets and says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import streamlit as st

from splicedvae.dashboard.text import plain

#: Every name a page of this app may put into the address.
KNOWN: Final = frozenset(
    {
        "run",
        "data",
        "color",
        "color-gene",
        "density",
        "coverage",
        "shown",
        "clusters",
        "other",
        "gene",
        "gene-cells",
        "find-genes",
        "part",
        "details",
        "driver-source",
        "driver-group",
        "time-source",
        "cells-of",
        "find-runs",
        "order-runs",
        "slide",
        "style",
        "basis",
    }
)
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
    """Take parameters that no page knows out of the address and say so."""
    for name in [name for name in st.query_params if name not in KNOWN]:
        remark(f"The address holds “{plain(name, 40)}”, which no page here knows; it was ignored.")
        del st.query_params[name]


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
                f"The address asks for the {what} “{plain(value, 40)}”, which is not "
                "offered here; the usual one is shown."
            )
