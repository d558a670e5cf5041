"""How it was made: what was done to the data, settings, versions."""

from __future__ import annotations

from splicedvae.dashboard import cards, provenance_view
from splicedvae.dashboard.widgets import result


def _page() -> None:
    opened = result.frame("How it was made")
    if opened is None:
        return
    run, _ = opened
    with cards.told():
        provenance_view.show(run)


_page()
