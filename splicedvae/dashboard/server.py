"""What a server does once, before it shows the first page, and when a page breaks."""

from __future__ import annotations

import gc
import sys
import time
import warnings
from typing import Final

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

from splicedvae._core.errors import RunError, SplicedVAEError
from splicedvae.dashboard import cards, uploads
from splicedvae.jobs import reconcile


@st.cache_resource(show_spinner=False)
def begin() -> int:
    """Mark runs whose worker vanished while no server ran, and clear what was left behind.

    Returns
    -------
    How many runs were found lost.

    Raises
    ------
    RunError
        If the folder of runs cannot be read or written.
    """
    try:
        with warnings.catch_warnings():
            # The list of runs tells of unreadable ones.
            warnings.simplefilter("ignore", UserWarning)
            lost = reconcile()
        uploads.clear_leftovers()
    except OSError as error:
        raise RunError(
            "The folder of runs cannot be read or written: make it writable, or name another in "
            "SPLICEDVAE_RUNS."
        ) from error
    return len(lost)


#: Seconds after which what was left out is looked through once, as some of it may be garbage.
_LOOK_AGAIN: Final = 600.0


@st.cache_resource(show_spinner=False)
def _settled() -> dict[str, float]:
    return {"modules": 0, "at": 0.0}


def settle() -> bool:
    """Keep Python from looking through all modules whenever a script ends; call it last.

    Streamlit collects garbage after every script. The packages behind the pages hold half a
    million objects, and looking through them took 0.25 s of processor time, in which no
    connection was served. They never become garbage, so they are left out from now on
    (`gc.freeze`); what scripts leave behind is still collected. When a page has imported others,
    and every ten minutes, all is looked through once, as figures that were kept then may be
    garbage by now.

    Returns
    -------
    Whether all was looked through.
    """
    known, loaded, now = _settled(), len(sys.modules), time.monotonic()
    if known["modules"] == loaded and now - known["at"] < _LOOK_AGAIN:
        return False
    known.update(modules=loaded, at=now)
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    return True


def route_from_the_first_visit() -> None:
    """Keep Streamlit from guessing pages of the folder ``pages`` until app.py has run once.

    Otherwise a deep link that is the first visit to a fresh server brings up "Page not found"
    over the right page.
    """
    PagesManager.uses_pages_directory = False


def tell_unforeseen(failure: Exception) -> bool:
    """Show one sentence where a page broke; Streamlit has logged the error before.

    Parameters
    ----------
    failure
        What was raised.

    Returns
    -------
    True: Streamlit shows nothing of its own.
    """
    if isinstance(failure, SplicedVAEError):
        cards.error(failure)
    else:
        st.error(
            "Something unforeseen went wrong on this page, and the server's log says what: reload "
            "the page, and report it if it happens again.",
            icon=":material/error:",
        )
    return True
