"""What the pages keep in memory for all visitors: runs, and what functions made of them.

`cached` calls a function of a run once for each question, `figure` does so in the visitor's theme.
A result is found by the run's folder and the time of its last status or, while the run works, of
its last results, so that a restarted run is read again. Results are kept as they are, not copied:
treat them as read-only. Figures whose parts are kept apart are drawn by functions of this module,
since lines of a stream plot do not depend on colors, and colors not on lines.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar

import numpy as np
import streamlit as st
from anndata import AnnData
from numpy.typing import NDArray

from splicedvae import plotting, views
from splicedvae.dashboard.theme import is_dark
from splicedvae.dashboard.widgets import particles
from splicedvae.pipeline import RatioIntervals, ratio_intervals
from splicedvae.runs import Run

if TYPE_CHECKING:
    import plotly.graph_objects as go

P = ParamSpec("P")
T = TypeVar("T")

#: The folder of a run, and when its status was last written.
Key = tuple[str, float]
#: Lines around cells, each as panel and corners (`plotting.Outline`), and names of clusters.
Chosen = tuple[
    tuple[tuple[int, tuple[float, ...], tuple[float, ...]], ...],
    tuple[str, ...],
]
#: No cell chosen.
NOTHING: Final[Chosen] = ((), ())
_TTL: Final = "2h"


@dataclass(frozen=True)
class _Limits:
    """How many results of a function are kept, and what a visitor reads while one is made."""

    entries: int = 64
    spinner: str | None = None


class CachedRun(Run):
    """A run whose velocities stay in memory, without their matrices: treat all as read-only.

    Figures need a velocity's embedding, arrows and values per cell, about a hundredth of
    what scVelo writes.
    """

    def velocity(self, source: str) -> AnnData:
        """Return a velocity's cells, genes, embeddings and record, without layers and graphs."""
        return self.velocity_outline(source)


def key_of(run: Run) -> Key:
    """Return what the kept results of a run are found by.

    The key of a running run includes the time of its last displayable results.
    """
    status = run.status
    newest = status.updated if status.is_final or status.written is None else status.written
    return str(run.path), newest


def cached_run(run: Run) -> CachedRun:
    """Return the kept form of a run."""
    return _cached_run(key_of(run))


@st.cache_resource(max_entries=6, ttl=_TTL, show_spinner=False)
def _cached_run(key: Key) -> CachedRun:
    return CachedRun(key[0])


def cached(
    find: Callable[Concatenate[Run, P], T], run: Run, *args: P.args, **kwargs: P.kwargs
) -> T:
    """Call a function of a run once for all visitors, and keep what it returns.

    Parameters
    ----------
    find
        A function of a module, whose result depends on the run and the other arguments alone.
    run
        A run with results.
    *args, **kwargs
        Given to the function; numbers, texts and tuples of them.

    Returns
    -------
    What the function returns, shared by all. An error is not kept.

    Raises
    ------
    TypeError
        If the function is defined in a page or in another function: scripts are executed each time,
        so it would be another function each time.
    """
    if find.__module__ == "__main__" or "<" in find.__qualname__:
        raise TypeError(f"{find.__qualname__} is no function of a module, so it cannot be cached.")
    results = _results_of(find)
    found: T = results(
        key_of(run),
        args,
        tuple(sorted(kwargs.items())),
        lambda: find(cached_run(run), *args, **kwargs),
    )
    return found


@functools.cache
def _results_of(find: Callable[..., Any]) -> Callable[..., Any]:
    """Return the cache of one function."""

    def call(
        key: Key, args: tuple[Any, ...], named: tuple[Any, ...], _call: Callable[[], Any]
    ) -> Any:
        return _call()

    # Streamlit keeps the results of functions apart by these names.
    call.__module__, call.__qualname__ = find.__module__, find.__qualname__
    limits = _LIMITS.get(find, _Limits())
    return st.cache_resource(
        max_entries=limits.entries, ttl=_TTL, show_spinner=limits.spinner or False
    )(call)


def figure(draw: Callable[..., go.Figure], run: Run, *args: Any, **kwargs: Any) -> go.Figure:
    """Draw a figure of a run for the visitor's theme, once for all visitors; see `cached`."""
    return cached(draw, run, *args, dark=is_dark(), **kwargs)


# --- Results whose parts are kept apart: for `cached` and `figure` -------------------------------


def streams(
    run: Run,
    sources: Sequence[str],
    color_by: str,
    density: float,
    *,
    style: str = views.STREAM,
    on: str = views.COMMON,
    window: plotting.Window | None = None,
    dark: bool = False,
) -> go.Figure:
    """Draw velocities side by side; see `views.stream_figure`."""
    lines = {
        source: cached(views.velocity_drawn, run, source, style, density=density, on=on)
        for source in sources
        if source in run.velocity_sources
    }
    return views.stream_figure(
        run,
        sources,
        color_by,
        dark=dark,
        density=density,
        lines=lines,
        style=style,
        on=on,
        window=window,
    )


def particle_data(
    run: Run, sources: Sequence[str], color_by: str, density: float, on: str
) -> dict[str, Any]:
    """Gather what animated particles need; see `particles.payload`."""
    lines = {
        source: views.stream_lines(run, source, density=density, on=on)
        for source in sources
        if source in run.velocity_sources
    }
    return particles.payload(run, sources, color_by, density=density, on=on, lines=lines)


def selected(run: Run, chosen: Chosen) -> NDArray[np.bool_]:
    """Return which cells were chosen, shape (n_cells,): inside a line, or of a cluster."""
    lines = [plotting.Outline(*line) for line in chosen[0]]
    maps = cached(views.latent_maps, run)
    inside = views.cells_within(lines, [panel.embedding for panel in maps])
    return inside | views.cells_of_clusters(run, chosen[1])


def selection_summary(run: Run, chosen: Chosen) -> views.SelectionSummary:
    """Return the numbers of the chosen cells; see `views.summarise_selection`."""
    scores = cached(views.selection_scores, run)
    return views.summarise_selection(run, cached(selected, run, chosen), scores)


def latents(
    run: Run,
    color_by: str,
    chosen: Chosen = NOTHING,
    *,
    window: plotting.Window | None = None,
    dark: bool = False,
) -> go.Figure:
    """Draw both latent spaces and the chosen cells; see `views.latent_figure`."""
    inside = cached(selected, run, chosen) if any(chosen) else None
    drawn = views.latent_figure(
        run,
        color_by,
        dark=dark,
        maps=cached(views.latent_maps, run),
        selected=inside if inside is not None and inside.any() else None,
        outlines=[plotting.Outline(*line) for line in chosen[0]],
        window=window,
    )
    return drawn.update_layout(dragmode="lasso")


def gene_facts(run: Run, gene: str) -> views.GeneFacts:
    """Return the facts of a gene; see `views.gene_facts`."""
    return views.gene_facts(run, gene, cached(views.gene_table, run))


def intervals(run: Run, which: views.Cells) -> RatioIntervals:
    """Return the model's intervals in the cells that are drawn one by one.

    They are drawn for all genes of the run's model, so that the next gene is there at once.
    """
    return ratio_intervals(run, views.drawn_cells(run, which))


def gene_over_time(
    run: Run, gene: str, which: views.Cells, *, with_intervals: bool, dark: bool = False
) -> go.Figure:
    """Draw a gene's ratio over time; see `views.gene_time_figure`."""
    drawn = cached(intervals, run, which) if with_intervals else None
    return views.gene_time_figure(run, gene, drawn, which=which, dark=dark)


#: Results with much memory or a visible wait; all others have the default limits.
_LIMITS: Final[dict[Callable[..., Any], _Limits]] = {
    streams: _Limits(48, "Drawing streams …"),
    particle_data: _Limits(16, "Preparing particles …"),
    latents: _Limits(32, "Drawing latent spaces …"),
    views.latent_maps: _Limits(6),
    views.selection_scores: _Limits(6, "Counting the entries of all cells …"),
    selected: _Limits(32),
    selection_summary: _Limits(32, "Summarizing these cells …"),
    views.ratio_figure: _Limits(16, "Counting entries …"),
    views.reliability_figure: _Limits(16, "Comparing predicted with observed fractions …"),
    views.cell_table: _Limits(8, "Evaluating each cell …"),
    views.published_table: _Limits(8, "Evaluating each minimum count …"),
    views.gene_table: _Limits(12),
    gene_facts: _Limits(256),
    views.phase_figure: _Limits(64, "Drawing the phase portraits …"),
    intervals: _Limits(4, "Sampling from the model; the first time takes a few seconds …"),
}
