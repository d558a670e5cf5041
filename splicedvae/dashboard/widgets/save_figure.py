"""Two small buttons under a figure: save it for paper, and the Python that draws it."""

from __future__ import annotations

from typing import Final, cast

import streamlit as st

from splicedvae.dashboard import cache
from splicedvae.dashboard.widgets import downloads
from splicedvae.plotting import PRINT_SIZES, PrintForm
from splicedvae.report import FigureCall
from splicedvae.runs import Run

_KINDS: Final = {"pdf": "application/pdf", "svg": "image/svg+xml", "png": "image/png"}


def buttons(run: Run, call: FigureCall) -> None:
    """Show "Save figure" and "Python" for a figure that stands above.

    Parameters
    ----------
    run
        A finished run.
    call
        The figure as it is drawn now.
    """
    with st.container(horizontal=True):
        with st.popover("Save figure", icon=":material/print:"):
            _save(run, call)
        with st.popover("Python", icon=":material/code:"):
            st.caption("Draws this figure from the run's folder, with SplicedVAE installed.")
            st.code(call.python(run), language="python")


def _save(run: Run, call: FigureCall) -> None:
    form = st.segmented_control(
        "File",
        list(_KINDS),
        default="pdf",
        required=True,
        format_func=str.upper,
        key=f"save-form-{call.name}",
        help="PDF and SVG can be scaled, PNG has 300 dots per inch.",
    )
    size = st.selectbox(
        "Size",
        list(PRINT_SIZES),
        index=list(PRINT_SIZES).index("double"),
        format_func=lambda name: PRINT_SIZES[name].label,
        key=f"save-size-{call.name}",
    )
    form, size = form or "pdf", size or "double"
    chosen = PRINT_SIZES[size]
    kept = cache.hold(run)
    st.download_button(
        f"Save {form.upper()}",
        lambda: call.printed(
            kept, cast("PrintForm", form), width=chosen.width, height=chosen.height
        ),
        f"{downloads.file_stem(run)}-{call.name}-{size}.{form}",
        _KINDS[form],
        icon=":material/download:",
        on_click="ignore",
        key=f"save-{call.name}",
    )
    st.caption("Drawn for paper from the same numbers, with its caution and source under it.")
