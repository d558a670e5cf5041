"""Velocities of a run side by side, and how each came about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from splicedvae import plotting
from splicedvae._errors import DataError
from splicedvae._keys import Obsm, Sources
from splicedvae.report.views._colors import cell_colors, default_color
from splicedvae.report.views._parts import (
    points_of,
)
from splicedvae.velocity import StreamLines, VelocityAccount, streamlines

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from anndata import AnnData

    from splicedvae.runs import Run

#: Closeness of stream lines: as many as a panel of 350 pixels bears.
DENSITY: Final = 1.4

#: Order of stream panels.
_SOURCES: Final = (Sources.MEASURED, Sources.SPLICEDVAE, Sources.SCVI, Sources.TRUE)


def sources(run: Run) -> tuple[str, ...]:
    """Return the sources of velocity a run has tried, refused ones included, in their order."""
    account = run.velocity_account
    return tuple(source for source in _SOURCES if source in account)


def stream_lines(run: Run, source: str, *, density: float = DENSITY) -> StreamLines:
    """Follow one velocity of a run over its map.

    Parameters
    ----------
    run
        The run.
    source
        One of ``run.velocity_sources``.
    density
        Closeness of the lines, as `splicedvae.velocity.streamlines` takes it.

    Returns
    -------
    The lines, which do not depend on the colours.

    Raises
    ------
    RunError
        If the run has no velocity from this source.
    """
    return streamlines(run.velocity(source), density=density)


def stream_figure(
    run: Run,
    sources: Sequence[str] | None = None,
    color_by: str | None = None,
    *,
    dark: bool = False,
    density: float = DENSITY,
    columns: int | None = None,
    lines: Mapping[str, StreamLines] | None = None,
) -> go.Figure:
    """Draw the velocities of a run side by side, under one camera.

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
        Closeness of the lines.
    columns
        Panels in a row; chosen by their number if None.
    lines
        Results of `stream_lines` that are already there, by source.

    Returns
    -------
    One figure; each point's ``customdata`` is the index of its cell in the predictions.

    Raises
    ------
    DataError
        If the run has none of the sources, or nothing to colour by.
    RunError
        If the run is not finished.
    """
    account = run.velocity_account
    chosen = tuple(source for source in (sources or _SOURCES) if source in account)
    if not chosen:
        raise DataError(
            f"The run has no velocity from {', '.join(sources or _SOURCES)}: choose one of "
            f"{', '.join(account) or 'none'}."
        )
    color_by = color_by or default_color(run)
    cells = run.predictions
    results = {source: run.velocity(source) for source in chosen if source in run.velocity_sources}
    panels, colors = [], []
    for source in chosen:
        result = results.get(source)
        title = Sources.LABELS.get(source, source)
        if result is None:
            panel = plotting.StreamPanel(
                title, _any_map(run, results), None, message=_refusal(account[source])
            )
        else:
            panel = _stream_panel(cells, source, title, result, density, (lines or {}).get(source))
        panels.append(panel)
        colors.append(cell_colors(run, color_by, velocity=result))
    return plotting.streams(panels, colors=colors, columns=columns, dark=dark)


def velocity_table(run: Run) -> pd.DataFrame:
    """Tell of each velocity of a run how it came about.

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
    cells: AnnData,
    source: str,
    title: str,
    result: AnnData,
    density: float,
    lines: StreamLines | None,
) -> plotting.StreamPanel:
    rows = result.obs_names.get_indexer(cells.obs_names)
    points = np.full((cells.n_obs, 2), np.nan, dtype=np.float32)
    points[rows >= 0] = points_of(result, Obsm.UMAP)[rows[rows >= 0]]
    told = VelocityAccount.from_adata(result)
    caption = f"{told.n_velocity_genes:,} velocity genes"
    if source != Sources.TRUE:
        caption += f", {told.mode_used} model"
    lines = lines if lines is not None else streamlines(result, density=density)
    if not lines.n_lines:
        return plotting.StreamPanel(
            title,
            points,
            None,
            message="No cell moves far enough on this map for a stream line: look at the "
            "velocity's length, or at another map.",
        )
    return plotting.StreamPanel(title, points, lines, caption=caption)


def _any_map(run: Run, results: Mapping[str, AnnData]) -> NDArray[np.float32]:
    """Find a map for a panel whose own velocity was refused."""
    cells = run.predictions
    for source in run.velocity_sources:
        other = results[source] if source in results else run.velocity(source)
        rows = other.obs_names.get_indexer(cells.obs_names)
        points = np.full((cells.n_obs, 2), np.nan, dtype=np.float32)
        points[rows >= 0] = points_of(other, Obsm.UMAP)[rows[rows >= 0]]
        return points
    for key in (Obsm.UMAP, Obsm.UMAP_LATENT, Obsm.UMAP_LATENT_SCVI):
        if key in cells.obsm:
            return points_of(cells, key)
    return np.zeros((cells.n_obs, 2), dtype=np.float32)


def _refusal(entry: Mapping[str, Any]) -> str:
    return str(entry.get("message") or "This velocity was refused without a reason.")
