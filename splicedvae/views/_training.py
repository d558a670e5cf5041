"""The accuracy that was watched while the models trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from splicedvae import plotting

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from splicedvae.runs import Run

#: What a reader must know of these curves.
WATCHED_WORDS: Final = (
    "At most 300 held-out cells, looked at every few epochs. They are only watched: nothing is "
    "chosen by them, no epoch, no setting and no stop. scVI itself predicts no ratio, so its curve "
    "is that of the head fitted on it afterwards."
)


def watched_figure(run: Run, *, dark: bool = False) -> go.Figure:
    """Draw skill, RMSE and within-gene r of watched held-out cells by epoch.

    Parameters
    ----------
    run
        A run.
    dark
        Whether the figure is for the dark theme.

    Raises
    ------
    DataError
        If the run did not watch any cells, as runs of earlier versions.
    """
    return plotting.watched_curves(run.history, dark=dark)
