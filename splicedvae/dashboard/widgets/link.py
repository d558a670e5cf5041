"""The address of what is shown, to copy into a chat or a slide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlencode

import streamlit as st

#: Said under a link.
_WORDS: Final = (
    "Whoever can reach this server sees the same run and view. Lines drawn around cells are not "
    "part of it."
)


def offer(url_path: str, more: Mapping[str, str] | None = None) -> None:
    """Show a small button with the address of the view in it.

    Parameters
    ----------
    url_path
        Path of the page in the address.
    more
        What belongs to the view and stands not in the page's own address.
    """
    # Opening it runs the page anew: a fragment may have changed the address since.
    with st.popover("Copy link", icon=":material/link:", key="link", on_change="rerun") as box:
        if box.open:
            st.code(address_of(url_path, more), language=None, wrap_lines=True)
            st.caption(_WORDS)


def address_of(url_path: str, more: Mapping[str, str] | None = None) -> str:
    """Return the address of the view as it is, without a host where the browser told none.

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
    # The app's own address; with the page in it where Streamlit does not know the page by name.
    home = (st.context.url or "").rstrip("/").removesuffix(f"/{url_path}")
    return f"{home}/{quote(url_path)}" + (f"?{query}" if query else "")
