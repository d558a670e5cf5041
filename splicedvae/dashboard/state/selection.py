"""Which run and which file a visitor has before them.

Both are in the address (``?run=``, ``?data=``), so that a link and a refresh lead to the same
view, and in the session, so that they stay when the page changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import streamlit as st

from splicedvae._core.errors import RunError, SplicedVAEError
from splicedvae.dashboard import uploads
from splicedvae.dashboard.pages import DATA_PARAMETER, RUN_PARAMETER
from splicedvae.dashboard.state import query_params
from splicedvae.dashboard.text import line, moment, plain
from splicedvae.runs import Run, all_runs, demo_run, find_run

#: The id under which the shipped run is requested.
DEMO: Final = "demo"

_RUN_STATE: Final = "_chosen_run"
_DATA_STATE: Final = "_chosen_data"


def run_id(run: Run) -> str:
    """Return the id of a run in the address; the demo has its own name."""
    demo = shipped_run()
    return DEMO if demo is not None and run.path == demo.path else run.path.name


def shipped_run() -> Run | None:
    """Return the demo run, or None where the installation has none."""
    try:
        return demo_run()
    except RunError:
        return None


def chosen_run() -> Run | None:
    """Return the run that the address or the session names.

    Returns
    -------
    The run, or None if none was chosen. An address that names no run is ignored, which
    `query_params.show_remarks` then says.
    """
    asked = st.query_params.get(RUN_PARAMETER)
    for wanted in (asked, st.session_state.get(_RUN_STATE)):
        if not wanted:
            continue
        try:
            run = find_run(wanted)
        except RunError:
            if wanted == asked:
                query_params.remark(
                    f"The link names the run “{plain(wanted, 40)}”, which was not found or "
                    "cannot be read; it was ignored."
                )
                del st.query_params[RUN_PARAMETER]
            st.session_state.pop(_RUN_STATE, None)
            continue
        _remember(run)
        return run
    return None


def choose_run(run: Run) -> None:
    """Make a run the chosen one, in the session and in the address."""
    _remember(run)


def forget_run() -> None:
    """Choose no run, as after deleting it."""
    st.session_state.pop(_RUN_STATE, None)
    if RUN_PARAMETER in st.query_params:
        del st.query_params[RUN_PARAMETER]


def _remember(run: Run) -> None:
    name = run_id(run)
    st.session_state[_RUN_STATE] = name
    if st.query_params.get(RUN_PARAMETER) != name:
        st.query_params[RUN_PARAMETER] = name


def opening_run() -> Run | None:
    """Return the run the first page opens on: the demo, else the newest finished one."""
    demo = shipped_run()
    if demo is not None:
        return demo
    return next((run for run in all_runs()[0] if run.is_finished), None)


def run_labels(runs: Sequence[Run]) -> dict[str, str]:
    """Name runs so that no two are called the same.

    Parameters
    ----------
    runs
        The runs.

    Returns
    -------
    Id (as in the address) to label. Labels are plain text, not Markdown.
    """
    labels: dict[str, str] = {}
    for run in runs:
        key = run_id(run)
        kind = "" if run.config.kind == "train" else " (prediction)"
        label = f"{line(run.name, 60)}{kind}"
        if key == DEMO:
            label = f"{label} · shipped"
        elif label in labels.values():
            label = f"{label} · {moment(run.created)}"
        if label in labels.values():
            label = f"{label} · {key[:6]}"
        labels[key] = label
    return labels


def chosen_file() -> uploads.StoredFile | None:
    """Return the data file that the address or the session names, or None."""
    asked = st.query_params.get(DATA_PARAMETER)
    for wanted in (asked, st.session_state.get(_DATA_STATE)):
        if not wanted:
            continue
        try:
            stored = uploads.find(wanted)
        except SplicedVAEError:
            if wanted == asked:
                query_params.remark(
                    f"The link names the file “{plain(wanted, 40)}”, which was not found; "
                    "it was ignored."
                )
                del st.query_params[DATA_PARAMETER]
            st.session_state.pop(_DATA_STATE, None)
            continue
        choose_file(stored)
        return stored
    return None


def choose_file(stored: uploads.StoredFile) -> None:
    """Make a file the chosen one, in the session and in the address."""
    st.session_state[_DATA_STATE] = stored.id
    if st.query_params.get(DATA_PARAMETER) != stored.id:
        st.query_params[DATA_PARAMETER] = stored.id


def forget_file() -> None:
    """Choose no file, as after removing it."""
    st.session_state.pop(_DATA_STATE, None)
    if DATA_PARAMETER in st.query_params:
        del st.query_params[DATA_PARAMETER]
