"""Diagnostics: how well the ratios of held-out cells were predicted, beside what noise allows."""

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
