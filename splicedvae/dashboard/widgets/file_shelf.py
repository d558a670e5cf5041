"""The files this server keeps for its visitors: how large they are, and a way to delete them."""

from __future__ import annotations

import shutil

import streamlit as st

from splicedvae.dashboard import cards, uploads
from splicedvae.dashboard.state import selection
from splicedvae.dashboard.text import moment, plain, size
from splicedvae.dashboard.uploads import StoredFile

#: Rows before the rest is only counted; the newest stand first.
MOST = 30


def show(chosen: StoredFile | None) -> None:
    """Show the stored files, folded away.

    Parameters
    ----------
    chosen
        The file that is open.
    """
    stored = uploads.stored_files()
    if not stored:
        return
    kept = [item for item in stored if item.kind != "path"]
    used = sum(item.size for item in kept)
    free = shutil.disk_usage(uploads.folder()).free
    title = f"Stored files: {len(stored):,}, {size(used)} used"
    with st.expander(title, icon=":material/folder_managed:", key="shelf"):
        st.caption(
            f"{size(free)} are free on the server's disk. Files of the operator's folders are "
            "listed, but not copied. Runs keep their results when their file is deleted."
        )
        for item in stored[:MOST]:
            _row(item, is_open=chosen is not None and chosen.id == item.id)
        if len(stored) > MOST:
            st.caption(f"{len(stored) - MOST:,} older files are not listed: delete some above.")


def _row(item: StoredFile, *, is_open: bool) -> None:
    words = {
        "upload": "uploaded",
        "simulated": "simulated",
        "path": "in a folder of the operator, not copied",
    }
    with st.container(horizontal=True, vertical_alignment="center"):
        opened = " · open now" if is_open else ""
        st.markdown(
            f"**{plain(item.name, 60)}** · {size(item.size)} · {words[item.kind]} · "
            f"{moment(item.added)}{opened}"
        )
        with st.popover(
            "", icon=":material/delete:", help="Delete", key=f"drop-{item.id}", width="content"
        ):
            what = "Take it off this list" if item.kind == "path" else "Delete this file for good"
            sure = st.checkbox(what, key=f"drop-sure-{item.id}")
            if st.button("Delete", type="primary", disabled=not sure, key=f"drop-yes-{item.id}"):
                with cards.told():
                    uploads.delete(item)
                    if is_open:
                        selection.forget_file()
                    st.rerun()
