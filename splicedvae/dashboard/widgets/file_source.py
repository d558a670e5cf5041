"""Where a file comes from: an upload, a folder the operator allowed, a simulation, or earlier."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Final

import streamlit as st

from splicedvae._core.errors import SplicedVAEError
from splicedvae._core.formats import FILE_ENDINGS, UPLOADS
from splicedvae.dashboard import cards, reading, uploads
from splicedvae.dashboard.state import selection
from splicedvae.dashboard.text import line, moment

_TAKEN: Final = "_taken_upload"
_CELLS: Final = 1000
_GENES: Final = 200


def choose(chosen: uploads.StoredFile | None) -> uploads.StoredFile | None:
    """Let a visitor upload or choose a file.

    Parameters
    ----------
    chosen
        The file that is open.

    Returns
    -------
    The file that is open now, or None.
    """
    with cards.show_errors():
        found = _upload()
        if found is not None:
            selection.choose_file(found)
            chosen = found
    left, right = st.columns([5, 3], vertical_alignment="bottom")
    with left:
        _earlier(chosen)
    with right, st.container(horizontal=True, horizontal_alignment="right"):
        _allowed()
        if st.button("Simulated example", icon=":material/science:", key="simulate"):
            with cards.show_errors():
                selection.choose_file(_simulated())
                st.rerun()
    return chosen


def _upload() -> uploads.StoredFile | None:
    """Save a new upload that can be read; None if there is none, or it was saved before."""
    given = st.file_uploader(
        f"Counts: {UPLOADS}",
        # What a browser offers; `splicedvae.io.read` looks at the content.
        type=[ending.removeprefix(".") for ending in FILE_ENDINGS],
        key="upload",
    )
    if given is None:
        st.session_state.pop(_TAKEN, None)
        return None
    if st.session_state.get(_TAKEN) == given.file_id:
        return None
    st.session_state[_TAKEN] = given.file_id
    with st.spinner("Saving the file …"):
        stored = uploads.add_upload(given.name, given)
    try:
        reading.contents(stored)
    except SplicedVAEError:
        uploads.remove(stored)
        raise
    return stored


def _earlier(chosen: uploads.StoredFile | None) -> None:
    stored = {item.id: item for item in uploads.stored_files()}
    if chosen is not None:
        stored.setdefault(chosen.id, chosen)
    if not stored:
        return
    names = labels(list(stored.values()))
    st.session_state["earlier"] = chosen.id if chosen is not None else None
    st.selectbox(
        "Files on this server",
        list(names),
        index=None,
        format_func=lambda key: names.get(key, key),
        placeholder="choose a file",
        key="earlier",
        on_change=_take_earlier,
    )


def labels(files: list[uploads.StoredFile]) -> dict[str, str]:
    """Name files so that no two are called the same.

    Parameters
    ----------
    files
        The files.

    Returns
    -------
    Id to label: name and time, and the id's first digits where those are shared.
    """
    names = {item.id: f"{line(item.name, 60)} · {moment(item.added)}" for item in files}
    often = Counter(names.values())
    return {
        key: label if often[label] == 1 else f"{label} · {key[:6]}" for key, label in names.items()
    }


def _take_earlier() -> None:
    key = st.session_state.get("earlier")
    try:
        if key:
            selection.choose_file(uploads.find(key))
        else:
            selection.forget_file()
    except SplicedVAEError:
        # Removed in the meantime: the page then shows none.
        selection.forget_file()


def _allowed() -> None:
    """Offer the files of the operator's folders."""
    files = uploads.allowed_files()
    if not files:
        return
    with st.popover("From a folder", icon=":material/folder_open:", key="from-folder"):
        picked = st.selectbox(
            "File", list(files), index=None, format_func=lambda name: line(name, 80), key="allowed"
        )
        if st.button("Open", key="open-allowed", disabled=picked is None) and picked is not None:
            with cards.show_errors():
                with st.spinner("Reading the file …"):
                    selection.choose_file(uploads.add_path(files[picked]))
                st.rerun()


def _simulated() -> uploads.StoredFile:
    """Simulate the example, or return it if it exists; the same seed gives the same file."""
    name = f"simulated_{_CELLS}_cells.h5ad"
    for item in uploads.stored_files():
        if item.kind == "simulated" and item.name == name:
            return item
    from splicedvae.datasets import simulate

    with (
        st.spinner("Simulating cells …"),
        tempfile.TemporaryDirectory(prefix="splicedvae-simulate-") as folder,
    ):
        file = Path(folder) / name
        simulate(n_cells=_CELLS, n_genes=_GENES, seed=0).write_h5ad(file, compression="gzip")
        with file.open("rb") as content:
            return uploads.add_upload(name, content, kind="simulated")
