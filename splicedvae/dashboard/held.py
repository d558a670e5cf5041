"""Finished runs kept in memory for all visitors, and their figures, by stage.

Keys are the run's folder and the time of its last status, so that a run begun anew is read anew.
Lines of a stream plot do not depend on colours, and colours not on lines: each is kept apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st
from anndata import AnnData

from splicedvae._keys import Uns
from splicedvae.dashboard import particles
from splicedvae.dashboard.theme import is_dark
from splicedvae.report import views
from splicedvae.runs import Run

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from splicedvae.velocity import GridArrows, StreamLines

#: Where a run lies, and when its status was last written.
Key = tuple[str, float]


class HeldRun(Run):
    """A run whose velocities stay in memory, without their matrices: treat all as read-only.

    Figures need a velocity's map, arrows on the map and numbers of cells, about a hundredth of
    what scVelo writes.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._velocities: dict[str, AnnData] = {}

    def velocity(self, source: str) -> AnnData:
        """Return a velocity's cells, genes, maps and account, without layers and graphs."""
        if source not in self._velocities:
            whole = super().velocity(source)
            self._velocities[source] = AnnData(
                obs=whole.obs,
                var=whole.var,
                obsm=dict(whole.obsm),
                uns={Uns.ROOT: whole.uns[Uns.ROOT]} if Uns.ROOT in whole.uns else {},
            )
        return self._velocities[source]


def key_of(run: Run) -> Key:
    """Return what the kept results of a run are found by."""
    return str(run.path), run.status.updated


def hold(run: Run) -> HeldRun:
    """Return the kept form of a finished run."""
    return _held(key_of(run))


@st.cache_resource(max_entries=6, ttl="2h", show_spinner=False)
def _held(key: Key) -> HeldRun:
    return HeldRun(key[0])


@st.cache_resource(max_entries=48, ttl="2h", show_spinner=False)
def _lines(key: Key, source: str, density: float, style: str, on: str) -> StreamLines | GridArrows:
    return views.velocity_drawn(_held(key), source, style, density=density, on=on)


@st.cache_data(max_entries=48, ttl="2h", show_spinner="Drawing streams …")
def _streams(
    key: Key,
    sources: tuple[str, ...],
    color_by: str,
    density: float,
    dark: bool,
    style: str,
    on: str,
) -> go.Figure:
    run = _held(key)
    lines = {
        source: _lines(key, source, density, style, on)
        for source in sources
        if source in run.velocity_sources
    }
    return views.stream_figure(
        run, sources, color_by, dark=dark, density=density, lines=lines, style=style, on=on
    )


def stream_figure(
    run: Run,
    sources: Sequence[str],
    color_by: str,
    density: float,
    *,
    style: str = views.STREAM,
    on: str = views.COMMON,
) -> go.Figure:
    """Draw velocities side by side for the visitor's theme; see `views.stream_figure`."""
    return _streams(key_of(run), tuple(sources), color_by, density, is_dark(), style, on)


@st.cache_resource(max_entries=16, ttl="2h", show_spinner="Gathering particles …")
def _particles(
    key: Key, sources: tuple[str, ...], color_by: str, density: float, on: str
) -> dict[str, Any]:
    run = _held(key)
    lines = {
        source: views.stream_lines(run, source, density=density, on=on)
        for source in sources
        if source in run.velocity_sources
    }
    return particles.payload(run, sources, color_by, density=density, on=on, lines=lines)


def particle_data(
    run: Run, sources: Sequence[str], color_by: str, density: float, on: str
) -> dict[str, Any]:
    """Gather what animated particles need; see `particles.payload`."""
    return _particles(key_of(run), tuple(sources), color_by, density, on)


@st.cache_data(max_entries=32, ttl="2h", show_spinner="Drawing latent spaces …")
def _latents(key: Key, color_by: str, dark: bool) -> go.Figure:
    return views.latent_figure(_held(key), color_by, dark=dark)


def latent_figure(run: Run, color_by: str) -> go.Figure:
    """Draw both latent spaces for the visitor's theme; see `views.latent_figure`."""
    return _latents(key_of(run), color_by, is_dark())


@st.cache_data(max_entries=16, ttl="2h", show_spinner="Counting entries …")
def _ratios(key: Key, sources: tuple[str, ...], coverage: int, dark: bool) -> go.Figure:
    return views.ratio_figure(_held(key), sources, coverage=coverage, dark=dark)


def ratio_figure(run: Run, sources: Sequence[str], coverage: int) -> go.Figure:
    """Draw predicted against measured ratios; see `views.ratio_figure`."""
    return _ratios(key_of(run), tuple(sources), coverage, is_dark())
