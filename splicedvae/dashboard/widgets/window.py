"""How large the visitor's window is: figures of several panels are arranged by it.

A server does not know a window. The first figure of a visit is drawn for a usual one; a component
without a surface then measures, and where the window is another, the part of the page that holds
the figure is drawn again. The size is kept for the pages after it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import streamlit as st

from splicedvae import plotting

#: A window of 1400 x 900 pixels beside the sidebar, and a telephone.
USUAL: Final = plotting.Window(960, 880)
TELEPHONE: Final = plotting.Window(340, 720)
#: Bounds of what a browser may claim.
_LEAST: Final = plotting.Window(160, 160)
_MOST: Final = plotting.Window(4000, 4000)
_STATE: Final = "_window"

_mount = st.components.v2.component(
    "splicedvae.window",
    html='<div class="ruler"></div>',
    css=".ruler { height: 0; width: 100%; }",
    js=Path(__file__).with_suffix(".js").read_text(encoding="utf-8"),
)


def size() -> plotting.Window:
    """Return the window of this visit, as last measured; a usual one before that."""
    known = st.session_state.get(_STATE)
    if known is not None:
        return plotting.Window(*known)
    return TELEPHONE if "Mobi" in st.context.headers.get("User-Agent", "") else USUAL


def watch(key: str) -> None:
    """Measure the window where this is called, and draw the fragment again if it is another.

    Call it in the fragment that draws the figure, in the same column.

    Parameters
    ----------
    key
        Name of the element on the page.
    """
    now = size()
    _mount(
        key=key,
        data={"width": now.width, "height": now.height},
        default={"size": None},
        on_size_change=lambda: _keep(st.session_state[key]),
    )


def _keep(state: Mapping[str, Any]) -> None:
    """Keep what a browser measured, within bounds; what is no size is ignored."""
    found = state.get("size")
    if not isinstance(found, Mapping):
        return
    sizes = [found.get(name) for name in plotting.Window._fields]
    if any(not isinstance(value, int | float) or not math.isfinite(value) for value in sizes):
        return
    st.session_state[_STATE] = tuple(
        int(min(max(float(value), least), most))
        for value, least, most in zip(sizes, _LEAST, _MOST, strict=True)
        if value is not None
    )
