"""Cells in panels that share one legend or one color bar: as points, or many as an image.

Stream plots and latent embeddings use these parts. Up to `MOST_POINTS` cells are
WebGL points, with positions as float32 and indices as the smallest integers that hold them, which
plotly encodes as base64: 13 bytes a cell and panel, 18 where cells have numbers. A trace for each
category costs no more than one with an array of colors, and its legend hides and shows. More
cells are an image under the same axes (`_raster`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from splicedvae._core.errors import DataError
from splicedvae.plotting import _raster
from splicedvae.plotting._grid import (
    GAP,
    LEGEND_HEIGHT,
    TITLE_HEIGHT,
    Grid,
    Window,
    legend_height,
)
from splicedvae.plotting._raster import MOST_POINTS, MOST_VECTORS
from splicedvae.plotting._text import escape, label, wrap
from splicedvae.plotting._theme import MISSING, category_colors, color_axis, ink, template
from splicedvae.plotting._types import Categories, CellColors, FloatArray, Values


def check_colors(
    colors: CellColors | Sequence[CellColors], embeddings: Sequence[FloatArray], titles: list[str]
) -> list[CellColors]:
    """Give each panel its colors and check that there is one for each cell.

    Numbers without limits of their own get those of all panels, as they share one color bar.

    Raises
    ------
    DataError
        If the number of colors is not that of the cells, or that of the colorings is not
        that of the panels, or categories and numbers are mixed.
    """
    if isinstance(colors, Categories | Values):
        each: list[CellColors] = [colors] * len(embeddings)
    else:
        each = list(colors)
    if len(each) != len(embeddings):
        raise DataError(
            f"There are {len(each)} colorings for {len(embeddings)} panels: give one for "
            "all, or one for each."
        )
    for given, embedding, title in zip(each, embeddings, titles, strict=True):
        if len(given) != embedding.shape[0]:
            raise DataError(
                f"The colors {given.title!r} of the panel {title!r} are for {len(given)} "
                f"cells, but it shows {embedding.shape[0]}: give a color for each cell."
            )
    if len({type(given) for given in each}) > 1:
        raise DataError(
            "Some panels are colored by categories and others by numbers, which cannot "
            "share a legend: color all by the same kind."
        )
    numbers = [given for given in each if isinstance(given, Values)]
    if len(numbers) < len(each) or any(given.limits is not None for given in numbers):
        return each
    ends = [_raster.limits_of(given) for given in numbers if np.isfinite(given.values).any()]
    if not ends:
        return each
    limits = (min(low for low, _ in ends), max(high for _, high in ends))
    return [replace(given, limits=limits) for given in numbers]


def panels_figure(
    titles: Sequence[str],
    captions: Sequence[str | None],
    grid: Grid,
    *,
    dark: bool,
    matched: bool,
) -> go.Figure:
    """Make empty panels of equal aspect, without axes, each under its title and caption.

    Parameters
    ----------
    titles, captions
        One for each panel, as they come from the data.
    grid
        How they are arranged (`arrange`).
    dark
        Whether the page is dark.
    matched
        Whether all panels have one camera, so that zooming one zooms all.

    Returns
    -------
    A figure whose panel i has the axes ``x{i}`` and ``y{i}`` (``x`` and ``y`` for the first).
    """
    layout: dict[str, Any] = {
        "template": template(dark),
        "height": grid.height + TITLE_HEIGHT + LEGEND_HEIGHT,
        "margin": {"t": TITLE_HEIGHT, "b": 8, "l": 4, "r": 4},
        "uirevision": "panels",
        "dragmode": "pan",
        "hovermode": "closest",
    }
    # Panels with one camera keep their size: a domain that shrinks would do so for one alone.
    shared = {"visible": False, "constrain": "range" if matched else "domain"}
    spacing = 0.0 if grid.rows == 1 else TITLE_HEIGHT / grid.height
    for name, axis in _axes(grid.rows, grid.columns, spacing).items():
        layout[name] = {**axis, **shared}
    colors = ink(dark)
    words = []
    for panel, (title, caption) in enumerate(zip(titles, captions, strict=True)):
        suffix = axis_suffix(panel)
        if matched and panel:
            layout[f"xaxis{suffix}"] |= {"matches": "x"}
            layout[f"yaxis{suffix}"] |= {"matches": "y"}
        else:
            layout[f"yaxis{suffix}"] |= {"scaleanchor": f"x{suffix}", "scaleratio": 1}
        text = f"<b>{label(title, grid.title_length)}</b>"
        if caption:
            text += (
                f"<br><span style='font-size:12px;color:{colors.muted}'>"
                f"{label(caption, grid.caption_length)}</span>"
            )
        words.append(
            {
                "text": text,
                "hovertext": escape(f"{title}. {caption}" if caption else title),
                "xref": f"x{suffix} domain",
                "yref": f"y{suffix} domain",
                "x": 0.5,
                "y": 1,
                "xanchor": "center",
                "yanchor": "bottom",
                "yshift": 2,
                "showarrow": False,
                "font": {"size": 14, "color": colors.text},
            }
        )
    # Set at once: plotly validates the whole layout with every added part.
    return go.Figure(layout={**layout, "annotations": words})


@lru_cache(maxsize=64)
def _axes(rows: int, columns: int, spacing: float) -> dict[str, dict[str, Any]]:
    """Place the axes of a grid of panels: name in the layout, and its place; read-only."""
    empty = make_subplots(rows=rows, cols=columns, horizontal_spacing=GAP, vertical_spacing=spacing)
    placed_axes: dict[str, dict[str, Any]] = empty.layout.to_plotly_json()
    return {name: axis for name, axis in placed_axes.items() if name[1:5] == "axis"}


def axis_suffix(panel: int) -> str:
    """Return what plotly appends to ``x`` and ``y`` for a panel, counted from 0."""
    return "" if panel == 0 else str(panel + 1)


def point_size(n_cells: int) -> float:
    """Choose a marker's diameter in pixels so that neither few nor many cells vanish."""
    return float(np.clip(60.0 / math.sqrt(max(n_cells, 1)), 1.6, 7.0) + 1.2)


def add_cells(
    figure: go.Figure,
    panel: int,
    title: str,
    embedding: FloatArray,
    colors: CellColors,
    *,
    faint: bool = False,
    selected: NDArray[np.bool_] | None = None,
) -> None:
    """Draw the cells of a panel; each point's ``customdata`` is the cell's index.

    More than `MOST_POINTS` cells are drawn as an image, without hover, as stated in the figure's
    ``meta`` (`picture_note`); its legend entries cannot be switched.

    Parameters
    ----------
    figure
        Of `panels_figure`; it is changed.
    panel
        Counted from 0.
    title
        The panel's, for the hover text.
    embedding
        Shape (n_cells, 2).
    colors
        One for each cell.
    faint
        Whether the cells are background only.
    selected
        Which cells keep their colors, shape (n_cells,); the others are gray. All if None.

    Raises
    ------
    DataError
        If the selection does not fit the cells.
    """
    points = np.ascontiguousarray(embedding, dtype=np.float32)
    if selected is not None and selected.shape != points.shape[:1]:
        raise DataError(
            f"The selection has shape {selected.shape}, but the panel {title!r} shows "
            f"{points.shape[0]} cells: give True or False for each cell."
        )
    if points.shape[0] > MOST_POINTS:
        _add_picture(figure, panel, points, colors, selected, faint)
        return
    size = point_size(points.shape[0])
    opacity = 0.35 if faint else 0.9
    if selected is not None:
        _add_points(
            figure,
            panel,
            points,
            np.flatnonzero(~selected),
            name="not selected",
            showlegend=False,
            marker={"size": size, "color": MISSING, "opacity": 0.35},
            hoverinfo="skip",
        )
        if isinstance(colors, Categories):
            _add_categories(figure, panel, title, points, colors, size, opacity, selected)
        else:
            _add_values(figure, panel, title, points, colors, size, opacity, selected)
        return
    if isinstance(colors, Categories):
        _add_categories(figure, panel, title, points, colors, size, opacity)
    else:
        _add_values(figure, panel, title, points, colors, size, opacity)


def _add_picture(
    figure: go.Figure,
    panel: int,
    points: FloatArray,
    colors: CellColors,
    selected: NDArray[np.bool_] | None,
    faint: bool,
) -> None:
    """Put an image under the panel's axes, with two corner points for lasso and zoom."""
    suffix = axis_suffix(panel)
    picture = _raster.draw(points, colors, selected, faint=faint)
    if picture is None:
        return
    left, right, bottom, top = picture.extent
    figure.add_layout_image(
        source=picture.source,
        xref=f"x{suffix}",
        yref=f"y{suffix}",
        x=left,
        y=top,
        sizex=right - left,
        sizey=top - bottom,
        sizing="stretch",
        layer="below",
    )
    hidden = {"hoverinfo": "skip", "xaxis": f"x{suffix}", "yaxis": f"y{suffix}", "mode": "markers"}
    corners: dict[str, object] = {"size": 1, "opacity": 0}
    if isinstance(colors, Values):
        corners |= {"color": list(_raster.limits_of(colors)), "coloraxis": "coloraxis"}
    figure.add_trace(
        go.Scatter(
            x=[left, right],
            y=[bottom, top],
            name="corners of the embedding",
            showlegend=False,
            marker=corners,
            **hidden,
        )
    )
    note = f"{points.shape[0]:,} cells are drawn as an image: {_raster.WORDS}"
    figure.layout.meta = {**(figure.layout.meta or {}), "picture": note}
    if isinstance(colors, Categories):
        palette = category_colors(colors.names, colors.colors)
        shown = {trace.legendgroup for trace in figure.data if trace.showlegend}
        named = [(code, name, palette[str(name)]) for code, name in enumerate(colors.names)]
        named.append((-1, "none", MISSING))
        present = set(np.unique(colors.codes).tolist())
        for code, name, color in named:
            group = f"category {code}"
            if code in present and group not in shown:
                figure.add_trace(
                    go.Scatter(
                        x=[None],
                        y=[None],
                        name=label(name),
                        legendgroup=group,
                        legendrank=1000 + code if code >= 0 else 5000,
                        showlegend=True,
                        marker={"color": color, "size": 8},
                        **hidden,
                    )
                )
        figure.update_layout(
            legend={
                "title": {"text": label(colors.title)},
                "itemclick": False,
                "itemdoubleclick": False,
            }
        )


def picture_note(figure: go.Figure) -> str:
    """Return a sentence if the cells of a figure are drawn as an image, else an empty one.

    Parameters
    ----------
    figure
        A figure of cells.
    """
    meta = figure.layout.meta
    return str(meta.get("picture", "")) if meta else ""


def add_outline(
    figure: go.Figure, panel: int, x: Sequence[float], y: Sequence[float], dark: bool
) -> None:
    """Draw the closed line of a selection over a panel.

    Parameters
    ----------
    figure
        Of `panels_figure`; it is changed.
    panel
        Counted from 0.
    x, y
        The line's corners in the units of the panel, at least three.
    dark
        Whether the page is dark.
    """
    suffix = axis_suffix(panel)
    # A hand draws hundreds of corners, and a page does not need them all.
    step = max(len(x) // 300, 1)
    corners = [f"{a:.7g},{b:.7g}" for a, b in zip(x[::step], y[::step], strict=True)]
    figure.add_shape(
        type="path",
        path="M" + "L".join(corners) + "Z",
        xref=f"x{suffix}",
        yref=f"y{suffix}",
        line={"color": ink(dark).text, "width": 1.2, "dash": "dot"},
    )


def points_trace(n_cells: int) -> type[go.Scatter] | type[go.Scattergl]:
    """Return what draws so many cells of a panel, and all that must lie above them.

    Few cells are vector graphics: in a screenshot of a page longer than the window, a browser
    without a graphics card leaves the part of a canvas blank that was not visible yet (scrolled to,
    it is drawn). plotly lays its canvas over all vector graphics, so what lies above cells on a
    canvas must be on it too.

    Parameters
    ----------
    n_cells
        Cells in the panel, at most `MOST_POINTS`; beyond these they are an image.
    """
    return go.Scatter if n_cells <= MOST_VECTORS or n_cells > MOST_POINTS else go.Scattergl


def _add_points(
    figure: go.Figure,
    panel: int,
    points: FloatArray,
    cells: np.ndarray,
    **options: object,
) -> None:
    suffix = axis_suffix(panel)
    figure.add_trace(
        points_trace(points.shape[0])(
            x=points[cells, 0],
            y=points[cells, 1],
            customdata=cells.astype(np.int32),
            mode="markers",
            xaxis=f"x{suffix}",
            yaxis=f"y{suffix}",
            **options,
        )
    )


def _add_categories(
    figure: go.Figure,
    panel: int,
    title: str,
    points: FloatArray,
    colors: Categories,
    size: float,
    opacity: float,
    selected: NDArray[np.bool_] | None = None,
) -> None:
    palette = category_colors(colors.names, colors.colors)
    shown = {trace.legendgroup for trace in figure.data if trace.showlegend}
    named = [(-1, "none", MISSING)]
    named += [(code, name, palette[str(name)]) for code, name in enumerate(colors.names)]
    for code, name, color in named:
        drawn = colors.codes == code
        cells = np.flatnonzero(drawn if selected is None else drawn & selected)
        if not cells.size:
            continue
        group = f"category {code}"
        _add_points(
            figure,
            panel,
            points,
            cells,
            name=label(name),
            legendgroup=group,
            legendrank=1000 + code if code >= 0 else 5000,
            showlegend=group not in shown,
            marker={"size": size, "color": color, "opacity": opacity},
            hovertemplate=f"{escape(name)}<extra>{label(title)}</extra>",
        )
    figure.update_layout(legend={"title": {"text": label(colors.title)}})


def _add_values(
    figure: go.Figure,
    panel: int,
    title: str,
    points: FloatArray,
    colors: Values,
    size: float,
    opacity: float,
    selected: NDArray[np.bool_] | None = None,
) -> None:
    drawn = np.ones(len(colors), dtype=bool) if selected is None else selected
    known = np.isfinite(colors.values)
    name, where = label(colors.title), label(title)
    if (drawn & ~known).any():
        _add_points(
            figure,
            panel,
            points,
            np.flatnonzero(drawn & ~known),
            name="no value",
            showlegend=False,
            marker={"size": size, "color": MISSING, "opacity": 0.4 * opacity},
            hovertemplate=f"{name}: none<extra>{where}</extra>",
        )
    cells = np.flatnonzero(drawn & known)
    _add_points(
        figure,
        panel,
        points,
        cells,
        name=name,
        showlegend=False,
        marker={
            "size": size,
            "color": colors.values[cells].astype(np.float32),
            "coloraxis": "coloraxis",
            "opacity": opacity,
        },
        hovertemplate=f"{name}: %{{marker.color:.3g}}<extra>{where}</extra>",
    )


def add_color_bar(figure: go.Figure, colors: CellColors, dark: bool) -> None:
    """Add the one color bar of a figure whose cells are colored by numbers."""
    if isinstance(colors, Values):
        axis = color_axis(colors.scale, colors.limits, label(colors.title, 60), dark)
        figure.layout.coloraxis = axis


def fit_legend(figure: go.Figure, window: Window | None) -> None:
    """Give the legend below the panels the height that its entries take in a window."""
    names = [str(trace.name) for trace in figure.data if trace.showlegend]
    if window is not None and names:
        figure.layout.height += legend_height(names, window.width) - LEGEND_HEIGHT


def add_message(figure: go.Figure, panel: int, message: str, length: int, dark: bool) -> None:
    """Write a sentence, in lines of so many characters, in the middle of a panel, on a plate."""
    suffix = axis_suffix(panel)
    colors = ink(dark)
    figure.add_annotation(
        text=wrap(message, length),
        xref=f"x{suffix} domain",
        yref=f"y{suffix} domain",
        x=0.5,
        y=0.5,
        showarrow=False,
        align="left",
        font={"size": 13, "color": colors.text},
        bgcolor=colors.plate,
        bordercolor=colors.grid,
        borderpad=8,
    )
