"""Models: what is in the store, with cards; bring one, remove one."""

from __future__ import annotations

import streamlit as st

from splicedvae.dashboard import models_view


def _page() -> None:
    st.title("Models", anchor=False)
    models_view.show()


_page()
