"""Velocities as arrows over cells: of single cells, or averaged on a grid."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from splicedvae.plotting._cells import axis_suffix
from splicedvae.plotting._types import ArrowsLike


def add_arrows(figure: go.Figure, panel: int, arrows: ArrowsLike, color: str) -> None:
    """Draw arrows over the cells of a panel, in the units of its embedding.

    Parameters
    ----------
    figure
        Of `panels_figure`; it is changed.
    panel
        Counted from 0.
    arrows
        Tails and extents.
    color
        Of all arrows.
    """
    suffix = axis_suffix(panel)
    figure.add_trace(
        go.Quiver(
            x=np.asarray(arrows.x, dtype=np.float32),
            y=np.asarray(arrows.y, dtype=np.float32),
            u=np.asarray(arrows.dx, dtype=np.float32),
            v=np.asarray(arrows.dy, dtype=np.float32),
            xaxis=f"x{suffix}",
            yaxis=f"y{suffix}",
            anchor="tail",
            arrowref="data",
            lengthmode="raw",
            lengthfactor=1,
            # The usual heads would hide short arrows.
            marker={"color": color, "arrowsize": 0.5, "line": {"width": 1.2}},
            hoverinfo="skip",
            showlegend=False,
            name="arrows",
        )
    )
