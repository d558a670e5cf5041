"""Latent spaces: what both models make of the cells, side by side."""

from __future__ import annotations

from splicedvae.dashboard import cards, latent_view
from splicedvae.dashboard.widgets import result


def _page() -> None:
    opened = result.frame("Latent spaces", colored=True)
    if opened is None:
        return
    run, color = opened
    with cards.told():
        latent_view.show(run, color)


_page()
