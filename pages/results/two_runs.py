"""Two runs: settings, numbers and streams of one run beside another."""

from __future__ import annotations

from splicedvae.dashboard import cards, two_runs_view
from splicedvae.dashboard.widgets import result


def _page() -> None:
    opened = result.frame("Two runs", colored=True)
    if opened is None:
        return
    run, color = opened
    with cards.told():
        two_runs_view.show(run, color)


_page()
