"""The address of what is shown, to copy into a chat or a slide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlencode

import streamlit as st

#: Said under a link.
_WORDS: Final = (
    "Everyone who can reach this server sees the same run and view. Lines drawn around "
    "cells are not part of the link."
)


def offer(url_path: str, more: Mapping[str, str] | None = None) -> None:
    """Show a small button with the address of the view in it.

    Parameters
    ----------
    url_path
        Path of the page in the address.
    more
        Parts of the view that the page's own address lacks.
    """
    # Opening it reruns the page: a fragment may have changed the address since.
    with st.popover("Copy link", icon=":material/link:", key="link", on_change="rerun") as box:
        if box.open:
            st.code(address_of(url_path, more), language=None, wrap_lines=True)
            st.caption(_WORDS)


def address_of(url_path: str, more: Mapping[str, str] | None = None) -> str:
    """Return the address of the current view, without a host if the browser gave none.

    Parameters
    ----------
    url_path
        Path of the page in the address.
    more
        As for `offer`.
    """
    parts = {name: [value] for name, value in (more or {}).items()}
    parts |= {name: st.query_params.get_all(name) for name in st.query_params}
    query = urlencode(sorted(parts.items()), doseq=True)
    # The app's own address; including the page if Streamlit does not give its name.
    home = (st.context.url or "").rstrip("/").removesuffix(f"/{url_path}")
    return f"{home}/{quote(url_path)}" + (f"?{query}" if query else "")
