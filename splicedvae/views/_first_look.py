"""The cells of a file before any model, colored by cluster, depth or a gene."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from splicedvae import plotting
from splicedvae.views._colors import CELL_DEPTH
from splicedvae.views._parts import column_of

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from anndata import AnnData

    from splicedvae.pipeline import FirstLook


def first_look_figure(
    look: FirstLook,
    color_by: str | None = None,
    *,
    cells: AnnData | None = None,
    dark: bool = False,
    window: plotting.Window | None = None,
) -> go.Figure:
    """Draw the cells of a file in their embedding.

    Parameters
    ----------
    look
        Of `splicedvae.pipeline.first_look`.
    color_by
        `CELL_DEPTH`, or a gene of ``cells``; the clusters if None.
    cells
        The file's, for the counts of a gene.
    dark
        Whether the page behind the figure is dark.
    window
        The browser's, which the figure fills; a usual page if None.

    Returns
    -------
    One figure; each point's ``customdata`` is the place of its cell in ``look.rows``.
    """
    colors: plotting.CellColors
    if color_by is None:
        colors = plotting.Categories(
            look.clustering,
            look.clusters.codes,
            tuple(str(name) for name in look.clusters.categories),
        )
    elif color_by == CELL_DEPTH or cells is None:
        colors = plotting.Values("total counts of a cell, log10", np.log10(look.depth))
    else:
        at: Any = cells.var_names.get_loc(color_by)
        counts = column_of(cells.X, at)[look.rows]
        colors = plotting.Values(
            f"{color_by}, log(1 + counts per 10,000)", np.log1p(1e4 * counts / look.depth)
        )
    panel = plotting.LatentPanel(look.embedding, look.points)
    return plotting.latents([panel], colors=colors, dark=dark, window=window)
