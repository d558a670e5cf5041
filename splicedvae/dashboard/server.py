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
from splicedvae._core.files import why_unwritten
from splicedvae.dashboard import cards, uploads
from splicedvae.jobs import Limits, clean, reconcile
from splicedvae.runs import list_runs

#: Seconds after which it is looked again, for a server that runs for months.
_AGAIN: Final = 3600.0


@st.cache_resource(show_spinner=False, ttl=_AGAIN)
def begin() -> str:
    """Mark runs whose worker vanished while no server ran, and clear what was left behind.

    Runs older than the operator keeps (`splicedvae.jobs.Limits`) are removed.

    Returns
    -------
    Why nothing can be written, a sentence for every page; empty where all is well.

    Raises
    ------
    RunError
        If the folder of runs cannot be read.
    """
    with warnings.catch_warnings():
        # The list of runs reports unreadable ones.
        warnings.simplefilter("ignore", UserWarning)
        # What cannot be read is an error; what cannot be written leaves the results to be read.
        list_runs()
        try:
            reconcile()
            uploads.clear_leftovers()
            keep = Limits.of_environment().keep
            if keep is not None:
                clean(keep)
        except OSError as error:
            return why_unwritten(error, "nothing can be started or changed here")
        except RunError as error:
            return str(error)
    return ""


#: Seconds after which frozen objects are collected once, because some may be garbage.
_LOOK_AGAIN: Final = 600.0


@st.cache_resource(show_spinner=False)
def _frozen() -> dict[str, float]:
    return {"modules": 0, "at": 0.0}


def freeze_imports() -> bool:
    """Keep Python from looking through all modules whenever a script ends; call it last.

    Streamlit collects garbage after every script. The packages behind the pages hold half a
    million objects, and looking through them took 0.25 s of processor time, in which no
    connection was served. They never become garbage, so they are frozen
    (`gc.freeze`); what scripts leave behind is still collected. When a page has imported others,
    and every ten minutes, all is looked through once, as figures that were kept then may be
    garbage by now.

    Returns
    -------
    Whether all was looked through.
    """
    known, loaded, now = _frozen(), len(sys.modules), time.monotonic()
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
            "An unexpected error occurred on this page; details are in the server's log. "
            "Reload the page, and report the error if it happens again.",
            icon=":material/error:",
        )
    return True
