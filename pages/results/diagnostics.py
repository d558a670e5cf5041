"""Diagnostics: how well ratios of held-out cells are predicted, against baselines and ceilings."""

from __future__ import annotations

from splicedvae.dashboard import cards, diagnostics_view
from splicedvae.dashboard.widgets import result


def _page() -> None:
    opened = result.frame("Diagnostics")
    if opened is None:
        return
    run, _ = opened
    with cards.told():
        diagnostics_view.show(run)


_page()
