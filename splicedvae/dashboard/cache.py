"""Runs with results kept in memory for all visitors, and their figures, by stage.

Keys are the run's folder and the time of its last status or, while it works, of its last results,
so that a run begun anew is read anew.
Lines of a stream plot do not depend on colours, and colours not on lines: each is kept apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar

import numpy as np
import streamlit as st
from anndata import AnnData
from numpy.typing import NDArray

from splicedvae import plotting, views
from splicedvae.dashboard.theme import is_dark, training_curves
from splicedvae.dashboard.widgets import particles
from splicedvae.runs import Run

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from splicedvae.evaluation import SelectionScores
    from splicedvae.velocity import GridArrows, StreamLines

P = ParamSpec("P")
T = TypeVar("T")

#: Where a run lies, and when its status was last written.
Key = tuple[str, float]
#: Lines around cells, each as panel and corners (`plotting.Outline`), and names of clusters.
Chosen = tuple[
    tuple[tuple[int, tuple[float, ...], tuple[float, ...]], ...],
    tuple[str, ...],
]
#: No cell chosen.
NOTHING: Final[Chosen] = ((), ())


class HeldRun(Run):
    """A run whose velocities stay in memory, without their matrices: treat all as read-only.

    Figures need a velocity's map, arrows on the map and numbers of cells, about a hundredth of
    what scVelo writes.
    """

    def velocity(self, source: str) -> AnnData:
        """Return a velocity's cells, genes, maps and account, without layers and graphs."""
        return self.velocity_outline(source)


def key_of(run: Run) -> Key:
    """Return what the kept results of a run are found by.

    A run at work is found by when it last wrote results that can be shown.
    """
    status = run.status
    newest = status.updated if status.is_final or status.written is None else status.written
    return str(run.path), newest


def hold(run: Run) -> HeldRun:
    """Return the kept form of a finished run."""
    return _held(key_of(run))


def hold_key(key: Key) -> HeldRun:
    """Return the kept run of a key, for caches that stand in other files."""
    return _held(key)


@st.cache_resource(max_entries=6, ttl="2h", show_spinner=False)
def _held(key: Key) -> HeldRun:
    return HeldRun(key[0])


@st.cache_resource(max_entries=512, ttl="2h", show_spinner=False)
def _found(
    key: Key, name: str, options: tuple[Any, ...], named: tuple[Any, ...], _find: Callable[[], Any]
) -> Any:
    return _find()


def once(find: Callable[Concatenate[Run, P], T], run: Run, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function of a finished run once for all visitors, and keep what it returns.

    Parameters
    ----------
    find
        A function of a module, whose result depends on the run and the other arguments alone.
    run
        A finished run.
    *args, **kwargs
        Given to the function; numbers, texts and tuples of them.

    Returns
    -------
    What the function returns, shared by all: treat it as read-only. An error is not kept.
    """
    named = tuple(sorted(kwargs.items()))
    name = f"{find.__module__}.{find.__qualname__}"
    kept: T = _found(key_of(run), name, args, named, lambda: find(hold(run), *args, **kwargs))
    return kept


@st.cache_resource(max_entries=48, ttl="2h", show_spinner=False)
def _lines(key: Key, source: str, density: float, style: str, on: str) -> StreamLines | GridArrows:
    return views.velocity_drawn(_held(key), source, style, density=density, on=on)


# Figures are kept as they are, not pickled: Streamlit copies what it sends, and nobody else
# changes them.
@st.cache_resource(max_entries=48, ttl="2h", show_spinner="Drawing streams …")
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


@st.cache_resource(max_entries=6, ttl="2h", show_spinner=False)
def _maps(key: Key) -> tuple[plotting.LatentPanel, ...]:
    return views.latent_maps(_held(key))


@st.cache_resource(max_entries=6, ttl="2h", show_spinner="Adding up the entries of all cells …")
def _scores(key: Key) -> SelectionScores | None:
    return views.selection_scores(_held(key))


@st.cache_resource(max_entries=32, ttl="2h", show_spinner=False)
def _selected(key: Key, chosen: Chosen) -> NDArray[np.bool_]:
    lines = [plotting.Outline(*line) for line in chosen[0]]
    inside = views.cells_within(lines, [panel.embedding for panel in _maps(key)])
    return inside | views.cells_of_clusters(_held(key), chosen[1])


@st.cache_resource(max_entries=32, ttl="2h", show_spinner="Looking at these cells …")
def _summary(key: Key, chosen: Chosen) -> views.SelectionSummary:
    return views.summarise_selection(_held(key), _selected(key, chosen), _scores(key))


@st.cache_resource(max_entries=32, ttl="2h", show_spinner="Drawing latent spaces …")
def _latents(key: Key, color_by: str, dark: bool, chosen: Chosen) -> go.Figure:
    inside = _selected(key, chosen) if any(chosen) else None
    figure = views.latent_figure(
        _held(key),
        color_by,
        dark=dark,
        maps=_maps(key),
        selected=inside if inside is not None and inside.any() else None,
        outlines=[plotting.Outline(*line) for line in chosen[0]],
    )
    return figure.update_layout(dragmode="lasso")


def latent_figure(run: Run, color_by: str, chosen: Chosen = NOTHING) -> go.Figure:
    """Draw both latent spaces for the visitor's theme; see `views.latent_figure`."""
    return _latents(key_of(run), color_by, is_dark(), chosen)


def n_latent_maps(run: Run) -> int:
    """Return how many maps `latent_figure` draws."""
    return len(_maps(key_of(run)))


def selected(run: Run, chosen: Chosen) -> NDArray[np.bool_]:
    """Return which cells were chosen, shape (n_cells,): inside a line, or of a cluster."""
    return _selected(key_of(run), chosen)


def selection_summary(run: Run, chosen: Chosen) -> views.SelectionSummary:
    """Return the numbers of the chosen cells; see `views.summarise_selection`."""
    return _summary(key_of(run), chosen)


@st.cache_resource(max_entries=16, ttl="2h", show_spinner="Counting entries …")
def _ratios(key: Key, sources: tuple[str, ...], coverage: int, dark: bool) -> go.Figure:
    return views.ratio_figure(_held(key), sources, coverage=coverage, dark=dark)


def ratio_figure(run: Run, sources: Sequence[str], coverage: int) -> go.Figure:
    """Draw predicted against measured ratios; see `views.ratio_figure`."""
    return _ratios(key_of(run), tuple(sources), coverage, is_dark())


@st.cache_resource(max_entries=32, ttl="2h", show_spinner=False)
def _by_metrics(key: Key, kind: str, dark: bool) -> go.Figure:
    run = _held(key)
    if kind == "coverage":
        return views.coverage_figure(run, dark=dark)
    if kind == "within genes":
        return views.within_gene_figure(run, dark=dark)
    return training_curves(run.history)


def coverage_figure(run: Run) -> go.Figure:
    """Draw the metrics by coverage for the visitor's theme; see `views.coverage_figure`."""
    return _by_metrics(key_of(run), "coverage", is_dark())


def within_gene_figure(run: Run) -> go.Figure:
    """Draw the correlations within genes; see `views.within_gene_figure`."""
    return _by_metrics(key_of(run), "within genes", is_dark())


def _watched_figure(run: Run, *, dark: bool) -> go.Figure:
    return plotting.watched_curves(run.history, dark=dark)


def watched_figure(run: Run) -> go.Figure:
    """Draw the watched accuracy of a finished run; see `plotting.watched_curves`."""
    return once(_watched_figure, run, dark=is_dark())


def training_figure(run: Run) -> go.Figure:
    """Draw the losses of a finished run; see `theme.training_curves`."""
    return _by_metrics(key_of(run), "training", is_dark())
