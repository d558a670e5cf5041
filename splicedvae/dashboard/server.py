"""What a server does once, before it shows the first page."""

from __future__ import annotations

import warnings

import streamlit as st

from splicedvae._errors import RunError
from splicedvae.dashboard import uploads
from splicedvae.runs import reconcile


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
