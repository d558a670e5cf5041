"""Velocities of a run side by side, and how each was computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from splicedvae import plotting
from splicedvae._core.errors import DataError
from splicedvae._core.keys import Layers, Obsm, Sources
from splicedvae.velocity import (
    FlowField,
    GridArrows,
    StreamLines,
    arrows_grid,
    cell_arrows,
    flow_field,
    streamlines,
)
from splicedvae.views._colors import cell_colors, default_color
from splicedvae.views._parts import points_of
from splicedvae.views._verdicts import Verdict, verdict

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from anndata import AnnData

    from splicedvae.runs import Run

#: Closeness of stream lines: as many as a panel of 350 pixels bears.
DENSITY: Final = 1.4

#: How a velocity is drawn.
STREAM: Final = "stream"
ARROWS: Final = "arrows"
GRID: Final = "grid"
#: Points of scVelo's grid for an arrow of `velocity_arrows`.
_GRID_SHARE: Final = 0.4

#: Which embedding: one for all, each model's own, or one model's for all.
COMMON: Final = "common"
OWN: Final = "each model's own"
_COMMON_BASIS: Final = "umap"
_OWN: Final[Mapping[str, str]] = {
    Sources.SPLICEDVAE: Obsm.UMAP_LATENT.removeprefix("X_"),
    Sources.SCVI: Obsm.UMAP_LATENT_SCVI.removeprefix("X_"),
}
#: The file's own embeddings, in which its readers know their cells.
_OF_FILE: Final[Mapping[str, str]] = {
    "the file's UMAP": Obsm.UMAP_FILE.removeprefix("X_"),
    "the file's t-SNE": Obsm.TSNE_FILE.removeprefix("X_"),
}
_LATENT: Final[Mapping[str, str]] = {
    "SplicedVAE's": _OWN[Sources.SPLICEDVAE],
    "scVI's": _OWN[Sources.SCVI],
    # The common embedding again, for velocities that rest on few genes.
    "without carrying genes": Obsm.UMAP_WITHOUT.removeprefix("X_"),
}


def sources(run: Run) -> tuple[str, ...]:
    """Return the sources of velocity a run has tried, refused ones included, in their order.

    Parameters
    ----------
    run
        A run.
    """
    account = run.velocity_account
    return tuple(source for source in Sources.VELOCITIES if source in account)


def verdicts(run: Run) -> dict[str, Verdict]:
    """Judge each velocity that a run has tried (`verdict`), in the order of `sources`.

    Parameters
    ----------
    run
        A run.
    """
    return {source: verdict(run, source) for source in sources(run)}


def map_choices(run: Run) -> tuple[str, ...]:
    """Return the embeddings in which the velocities of a run can be drawn.

    The file's own are first, then `COMMON`. A run of an earlier version has no velocity in the
    file's, nor in the latent UMAPs.

    Parameters
    ----------
    run
        A run.
    """
    moving = run.velocity_sources
    choices = [
        name
        for name, basis in _OF_FILE.items()
        if any(_has(run, source, basis) for source in moving)
    ]
    choices.append(COMMON)
    there = [_has(run, source, basis) for source, basis in _OWN.items()]
    if any(there):
        choices.append(OWN)
    for name, basis in _LATENT.items():
        if any(_has(run, source, basis) for source in moving):
            choices.append(name)
    return tuple(choices)


def first_map(run: Run) -> str:
    """Return the embedding that a page opens on: the file's own where it has one.

    Parameters
    ----------
    run
        A run.
    """
    return map_choices(run)[0]


def _has(run: Run, source: str, basis: str) -> bool:
    return source in run.velocity_sources and (
        f"{Layers.VELOCITY}_{basis}" in run.velocity(source).obsm
    )


def _basis(result: AnnData, source: str, on: str) -> str:
    """Return scVelo's ``basis``; the common embedding's if the velocity is not in the other."""
    wanted = _OF_FILE.get(on) or _LATENT.get(on) or (_OWN.get(source) if on == OWN else None)
    there = wanted is not None and f"{Layers.VELOCITY}_{wanted}" in result.obsm
    return wanted if wanted is not None and there else _COMMON_BASIS


def _drawn(
    result: AnnData, source: str, style: str, density: float, on: str
) -> StreamLines | GridArrows:
    basis = _basis(result, source, on)
    if style == STREAM:
        return streamlines(result, density=density, basis=basis)
    if style == ARROWS:
        return cell_arrows(result, density=density, basis=basis)
    if style == GRID:
        return arrows_grid(result, density=density * _GRID_SHARE, basis=basis)
    raise DataError(
        f"The style {style[:40]!r} is unknown: choose {STREAM!r}, {ARROWS!r} or {GRID!r}."
    )


def stream_lines(
    run: Run, source: str, *, density: float = DENSITY, on: str = COMMON
) -> StreamLines:
    """Compute stream lines of one velocity of a run in an embedding.

    Parameters
    ----------
    run
        The run.
    source
        One of ``run.velocity_sources``.
    density
        Closeness of the lines, as `splicedvae.velocity.streamlines` takes it.
    on
        One of `map_choices`.

    Returns
    -------
    The lines, which do not depend on the colors.

    Raises
    ------
    RunError
        If the run has no velocity from this source.
    """
    result = run.velocity(source)
    return streamlines(result, density=density, basis=_basis(result, source, on))


def velocity_drawn(
    run: Run, source: str, style: str = STREAM, *, density: float = DENSITY, on: str = COMMON
) -> StreamLines | GridArrows:
    """Return one velocity of a run as lines or arrows in an embedding.

    Parameters
    ----------
    run
        The run.
    source
        One of ``run.velocity_sources``.
    style
        `STREAM` for lines, `ARROWS` of single cells, thinned, or `GRID` for averaged arrows.
    density
        Closeness; at 1 about 30 side by side.
    on
        One of `map_choices`.

    Returns
    -------
    Lines or arrows, which do not depend on the colors.

    Raises
    ------
    DataError
        If the style is unknown.
    RunError
        If the run has no velocity from this source.
    """
    return _drawn(run.velocity(source), source, style, density, on)


def velocity_flow(run: Run, source: str, *, on: str = COMMON) -> FlowField:
    """Take one velocity of a run as a field on a grid, for particles to follow.

    Parameters
    ----------
    run
        The run.
    source
        One of ``run.velocity_sources``.
    on
        One of `map_choices`.

    Raises
    ------
    RunError
        If the run has no velocity from this source.
    """
    result = run.velocity(source)
    return flow_field(result, basis=_basis(result, source, on))


def map_points(run: Run, source: str, *, on: str = COMMON) -> NDArray[np.float32]:
    """Return the cells' positions in a velocity's embedding, shape (n_cells, 2); NaN if absent.

    Parameters
    ----------
    run
        The run.
    source
        One that was tried; a refused one gets the embedding of another.
    on
        One of `map_choices`.
    """
    cells = run.predictions
    if source not in run.velocity_sources:
        return _any_map(run, {})
    result = run.velocity(source)
    return _placed(cells, result, f"X_{_basis(result, source, on)}")


def stream_figure(
    run: Run,
    sources: Sequence[str] | None = None,
    color_by: str | None = None,
    *,
    dark: bool = False,
    density: float = DENSITY,
    columns: int | None = None,
    lines: Mapping[str, StreamLines | GridArrows] | None = None,
    style: str = STREAM,
    on: str = COMMON,
    window: plotting.Window | None = None,
) -> go.Figure:
    """Draw the velocities of a run side by side, with linked zoom if they share an embedding.

    Parameters
    ----------
    run
        The run.
    sources
        Which velocities, in this order; all that were tried if None. A refused one shows its
        reason.
    color_by
        One of `color_choices` or a gene; the clusters if None.
    dark
        Whether the page behind the figure is dark.
    density
        Closeness of the lines or arrows.
    columns
        Panels in a row; chosen by the window, or by their number, if None.
    lines
        Results of `stream_lines` or `velocity_drawn` that are already there, by source.
    style
        `STREAM`, `ARROWS` or `GRID`.
    on
        One of `map_choices`.
    window
        The browser's, which the panels fill; a usual page if None.

    Returns
    -------
    One figure; each point's ``customdata`` is the index of its cell in the predictions. Under each
    title is its verdict (`verdict`).

    Raises
    ------
    DataError
        If the run has none of the sources, no such style or embedding, or no such coloring.
    RunError
        If the run is not finished.
    """
    account = run.velocity_account
    chosen = tuple(source for source in (sources or Sources.VELOCITIES) if source in account)
    if not chosen:
        raise DataError(
            f"The run has no velocity from {', '.join(sources or Sources.VELOCITIES)}: choose one "
            f"of {', '.join(account) or 'none'}."
        )
    if on != COMMON and on not in map_choices(run):
        raise DataError(
            f"The run has no velocity in the embedding {on[:40]!r}: choose one of "
            f"{', '.join(map_choices(run))}."
        )
    color_by = color_by or default_color(run)
    cells = run.predictions
    results = {source: run.velocity(source) for source in chosen if source in run.velocity_sources}
    panels, colors, bases = [], [], set()
    for source in chosen:
        result = results.get(source)
        title = Sources.LABELS.get(source, source)
        if result is None:
            panel = plotting.StreamPanel(
                title, _any_map(run, results), None, message=_refusal(account[source])
            )
        else:
            basis = _basis(result, source, on)
            bases.add(basis)
            drawn = (lines or {}).get(source)
            if drawn is None:
                drawn = _drawn(result, source, style, density, on)
            panel = _stream_panel(
                title,
                _placed(cells, result, f"X_{basis}"),
                drawn,
                _caption(run, source, basis, on),
            )
        panels.append(panel)
        colors.append(cell_colors(run, color_by, velocity=result))
    # A panel without a velocity shows the common embedding.
    one_map = len(bases) <= 1 and (on == COMMON or len(results) == len(chosen))
    return plotting.streams(
        panels, colors=colors, columns=columns, dark=dark, matched=one_map, window=window
    )


def _caption(run: Run, source: str, basis: str, on: str) -> str:
    said = verdict(run, source).short
    if on != COMMON and basis == _COMMON_BASIS:
        said = f"common embedding; {said}"
    return said


def velocity_table(run: Run) -> pd.DataFrame:
    """List how each velocity of a run was computed.

    Parameters
    ----------
    run
        A run.

    Returns
    -------
    One row for each source that was tried: ``source``, ``state``, ``mode`` (scVelo's model
    that was fitted), ``genes`` (of the common ground), ``velocity_genes`` (fitted well enough
    to use), and ``remarks``: the reason of a refusal, fallbacks and notes.
    """
    rows = []
    for source in sources(run):
        entry = run.velocity_account[source]
        row: dict[str, Any] = {
            "source": Sources.LABELS.get(source, source),
            "state": str(entry.get("state", "")),
            "mode": "–",
            "genes": "–",
            "velocity_genes": "–",
        }
        if entry.get("state") == "ok":
            row["mode"] = str(entry.get("mode_used") or "–")
            for column, key in (("genes", "n_genes"), ("velocity_genes", "n_velocity_genes")):
                row[column] = f"{entry[key]:,}" if entry.get(key) is not None else "–"
        said = [str(entry.get("message") or "")]
        said += [str(item) for item in (*entry.get("fallbacks", ()), *entry.get("notes", ()))]
        row["remarks"] = " ".join(sentence for sentence in said if sentence) or "none"
        rows.append(row)
    return pd.DataFrame(
        rows, columns=["source", "state", "mode", "genes", "velocity_genes", "remarks"]
    )


def _stream_panel(
    title: str,
    points: NDArray[np.float32],
    drawn: StreamLines | GridArrows,
    caption: str,
) -> plotting.StreamPanel:
    is_empty = not (drawn.n_lines if isinstance(drawn, StreamLines) else drawn.x.size)
    if is_empty:
        return plotting.StreamPanel(
            title,
            points,
            None,
            message="No cell moves far enough in this embedding for an arrow: look at the "
            "velocity's length, or at another embedding.",
        )
    if isinstance(drawn, StreamLines):
        return plotting.StreamPanel(title, points, drawn, caption=caption)
    return plotting.StreamPanel(title, points, None, caption=caption, arrows=drawn)


def _placed(cells: AnnData, result: AnnData, key: str) -> NDArray[np.float32]:
    """Reorder a velocity's embedding to the cells of the predictions."""
    rows = result.obs_names.get_indexer(cells.obs_names)
    points = np.full((cells.n_obs, 2), np.nan, dtype=np.float32)
    points[rows >= 0] = points_of(result, key)[rows[rows >= 0]]
    return points


def _any_map(run: Run, results: Mapping[str, AnnData]) -> NDArray[np.float32]:
    """Find an embedding for a panel whose own velocity was refused."""
    cells = run.predictions
    for source in run.velocity_sources:
        other = results[source] if source in results else run.velocity(source)
        return _placed(cells, other, Obsm.UMAP)
    for key in (Obsm.UMAP, Obsm.UMAP_LATENT, Obsm.UMAP_LATENT_SCVI):
        if key in cells.obsm:
            return points_of(cells, key)
    return np.zeros((cells.n_obs, 2), dtype=np.float32)


def _refusal(entry: Mapping[str, Any]) -> str:
    return str(entry.get("message") or "This velocity was refused; the reason was not recorded.")
