"""What the page of one gene shows, kept for all visitors; see `held` for the keys.

Intervals are drawn for all genes of a run's model at once, so that the next gene is there at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pandas as pd
import streamlit as st

from splicedvae import views
from splicedvae.dashboard.cache import Key, hold_key, key_of
from splicedvae.dashboard.theme import is_dark
from splicedvae.pipeline import RatioIntervals, ratio_intervals
from splicedvae.runs import Run

if TYPE_CHECKING:
    import plotly.graph_objects as go

Cells = Literal["held-out", "all"]


@st.cache_resource(max_entries=12, ttl="2h", show_spinner=False)
def _table(key: Key) -> pd.DataFrame:
    return views.gene_table(hold_key(key))


def gene_table(run: Run) -> pd.DataFrame:
    """Return `views.gene_table`, shared by all: treat it as read-only."""
    return _table(key_of(run))


@st.cache_resource(max_entries=256, ttl="2h", show_spinner=False)
def _facts(key: Key, gene: str) -> views.GeneFacts:
    return views.gene_facts(hold_key(key), gene, _table(key))


def gene_facts(run: Run, gene: str) -> views.GeneFacts:
    """Return `views.gene_facts`."""
    return _facts(key_of(run), gene)


@st.cache_resource(max_entries=64, ttl="2h", show_spinner="Drawing the phase portraits …")
def _phase(key: Key, gene: str, dark: bool) -> go.Figure:
    return views.phase_figure(hold_key(key), gene, dark=dark)


def phase_figure(run: Run, gene: str) -> go.Figure:
    """Draw phase portraits for the visitor's theme; see `views.phase_figure`."""
    return _phase(key_of(run), gene, is_dark())


@st.cache_resource(max_entries=64, ttl="2h", show_spinner=False)
def _clusters(key: Key, gene: str, which: Cells, dark: bool) -> go.Figure:
    return views.gene_cluster_figure(hold_key(key), gene, which=which, dark=dark)


def cluster_figure(run: Run, gene: str, which: Cells) -> go.Figure:
    """Draw the ratio by cluster for the visitor's theme; see `views.gene_cluster_figure`."""
    return _clusters(key_of(run), gene, which, is_dark())


@st.cache_resource(
    max_entries=4,
    ttl="2h",
    show_spinner="Asking the model how sure it is; the first time takes some seconds …",
)
def _intervals(key: Key, which: Cells) -> RatioIntervals:
    run = hold_key(key)
    return ratio_intervals(run, views.drawn_cells(run, which))


def intervals(run: Run, which: Cells) -> RatioIntervals:
    """Return the model's intervals in the cells that are drawn one by one."""
    return _intervals(key_of(run), which)


@st.cache_resource(max_entries=64, ttl="2h", show_spinner=False)
def _time(key: Key, gene: str, which: Cells, with_intervals: bool, dark: bool) -> go.Figure:
    drawn = _intervals(key, which) if with_intervals else None
    return views.gene_time_figure(hold_key(key), gene, drawn, which=which, dark=dark)


def time_figure(run: Run, gene: str, which: Cells, *, with_intervals: bool) -> go.Figure:
    """Draw the ratio over time for the visitor's theme; see `views.gene_time_figure`."""
    return _time(key_of(run), gene, which, with_intervals, is_dark())
