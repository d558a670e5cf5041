"""The latent spaces of both models side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from splicedvae import plotting
from splicedvae._errors import DataError
from splicedvae._keys import Obsm, Sources
from splicedvae.report.views._colors import cell_colors, default_color
from splicedvae.report.views._parts import (
    points_of,
)

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from splicedvae.runs import Run

_LATENTS: Final = (
    (Sources.SPLICEDVAE, Obsm.UMAP_LATENT, "SplicedVAE"),
    (Sources.SCVI, Obsm.UMAP_LATENT_SCVI, "scVI"),
)


def latent_figure(run: Run, color_by: str | None = None, *, dark: bool = False) -> go.Figure:
    """Draw the latent spaces of both models side by side.

    Parameters
    ----------
    run
        The run.
    color_by
        One of `color_choices` or a gene; the clusters if None.
    dark
        Whether the page behind the figure is dark.

    Returns
    -------
    One figure; each point's ``customdata`` is the index of its cell in the predictions.

    Raises
    ------
    DataError
        If the run has no map of a latent space.
    """
    cells = run.predictions
    panels = [
        plotting.LatentPanel(title, points_of(cells, key), caption="UMAP of the latent space")
        for _, key, title in _LATENTS
        if key in cells.obsm
    ]
    if not panels:
        raise DataError(
            "The run has no map of a latent space, which needs at least 10 cells: use more cells."
        )
    colors = cell_colors(run, color_by or default_color(run))
    return plotting.latents(panels, colors=colors, dark=dark)
