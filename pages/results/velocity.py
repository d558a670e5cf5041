"""Velocity: streams of the measured counts, SplicedVAE and scVI on one run; the first page."""

from __future__ import annotations

from splicedvae.dashboard import cards, velocity_view
from splicedvae.dashboard.widgets import downloads, result


def _page() -> None:
    opened = result.frame("Velocity", colored=True, greet=True, early=True)
    if opened is None:
        return
    run, color = opened
    with cards.told():
        velocity_view.show(run, color)
        if run.is_finished:
            downloads.buttons(run)


_page()
