"""What the diagnostics page shows, kept for all visitors; see `held` for the keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from splicedvae import views
from splicedvae.dashboard.cache import Key, hold_key, key_of
from splicedvae.dashboard.theme import is_dark
from splicedvae.runs import Run

if TYPE_CHECKING:
    import plotly.graph_objects as go


@st.cache_data(max_entries=16, ttl="2h", show_spinner="Comparing predicted with observed shares …")
def _reliability(key: Key, dark: bool) -> go.Figure:
    return views.reliability_figure(hold_key(key), dark=dark)


def reliability_figure(run: Run) -> go.Figure:
    """Draw reliability for the visitor's theme; see `views.reliability_figure`."""
    return _reliability(key_of(run), is_dark())


@st.cache_resource(max_entries=8, ttl="2h", show_spinner="Judging each cell …")
def _cells(key: Key) -> pd.DataFrame:
    return views.cell_table(hold_key(key))


def cell_table(run: Run) -> pd.DataFrame:
    """Return `views.cell_table`, shared by all: treat it as read-only."""
    return _cells(key_of(run))


@st.cache_resource(max_entries=8, ttl="2h", show_spinner="Looking at each coverage …")
def _published(key: Key) -> pd.DataFrame:
    return views.published_table(hold_key(key))


def published_table(run: Run) -> pd.DataFrame:
    """Return `views.published_table`, shared by all: treat it as read-only."""
    return _published(key_of(run))
