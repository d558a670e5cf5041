"""The latent spaces of both models side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import orthogonal_procrustes

from splicedvae import plotting
from splicedvae._core.errors import DataError
from splicedvae._core.keys import Obsm, Sources
from splicedvae.views._colors import cell_colors, default_color
from splicedvae.views._parts import points_of

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from splicedvae.runs import Run

_LATENTS: Final = (
    (Sources.SPLICEDVAE, Obsm.UMAP_LATENT, "SplicedVAE"),
    (Sources.SCVI, Obsm.UMAP_LATENT_SCVI, "scVI"),
)


def latent_maps(run: Run) -> tuple[plotting.LatentPanel, ...]:
    """Return the UMAPs of both latent spaces, scVI's rotated onto SplicedVAE's.

    A UMAP has no direction and no size of its own, so scVI's is rotated, mirrored, moved and scaled
    as a whole until the same cells lie as near as possible (Procrustes). That changes no
    neighborhood, and lets one camera show both.

    Parameters
    ----------
    run
        The run.

    Returns
    -------
    One panel for each latent space, as it is drawn.

    Raises
    ------
    DataError
        If the run has no UMAP of a latent space.
    """
    cells = run.predictions
    panels = [
        plotting.LatentPanel(title, points_of(cells, key), caption="UMAP of the latent space")
        for _, key, title in _LATENTS
        if key in cells.obsm
    ]
    if not panels:
        raise DataError(
            "The run has no UMAP of a latent space, which needs at least 10 cells: use more cells."
        )
    first = panels[0]
    return (
        first,
        *(
            plotting.LatentPanel(
                panel.title,
                _turned(panel.embedding, first.embedding),
                caption="UMAP of the latent space, rotated onto the first",
            )
            for panel in panels[1:]
        ),
    )


def _turned(points: NDArray[np.floating], onto: NDArray[np.floating]) -> NDArray[np.float32]:
    """Move, rotate, mirror and scale an embedding onto another (Procrustes)."""
    both = np.isfinite(points).all(axis=1) & np.isfinite(onto).all(axis=1)
    if both.sum() < 2:
        return np.asarray(points, dtype=np.float32)
    here, there = points[both].astype(np.float64), onto[both].astype(np.float64)
    from_middle, to_middle = here.mean(axis=0), there.mean(axis=0)
    here, there = here - from_middle, there - to_middle
    turn, shared = orthogonal_procrustes(here, there)
    size = float((here**2).sum())
    scale = shared / size if size > 0 and shared > 0 else 1.0
    return np.asarray(((points - from_middle) @ turn) * scale + to_middle, dtype=np.float32)


def latent_figure(
    run: Run,
    color_by: str | None = None,
    *,
    dark: bool = False,
    maps: Sequence[plotting.LatentPanel] | None = None,
    selected: NDArray[np.bool_] | None = None,
    outlines: Sequence[plotting.Outline] = (),
    window: plotting.Window | None = None,
) -> go.Figure:
    """Draw the latent spaces of both models side by side, under one camera.

    Parameters
    ----------
    run
        The run.
    color_by
        One of `color_choices` or a gene; the clusters if None. What each model has of its own
        (spliced fractions, confidence of its velocity) colors its own embedding.
    dark
        Whether the page behind the figure is dark.
    maps
        Of `latent_maps`; taken from the run if None.
    selected
        Which cells keep their colors, shape (n_cells,); all if None.
    outlines
        Lines around the selected cells.
    window
        The browser's, which the panels fill; a usual page if None.

    Returns
    -------
    One figure; each point's ``customdata`` is the index of its cell in the predictions.

    Raises
    ------
    DataError
        If the run has no UMAP of a latent space.
    """
    panels = latent_maps(run) if maps is None else maps
    by = color_by or default_color(run)
    sources = {title: source for source, _, title in _LATENTS}
    colors = []
    for panel in panels:
        source = sources[panel.title]
        own = run.velocity_outline(source) if source in run.velocity_sources else None
        colors.append(cell_colors(run, by, velocity=own, source=source))
    return plotting.latents(
        panels,
        colors=colors,
        dark=dark,
        linked=True,
        selected=selected,
        outlines=outlines,
        window=window,
    )
