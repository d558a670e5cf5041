"""Present: the open run as slides, for a projector."""

from __future__ import annotations

from splicedvae.dashboard import cards, present_view


def _page() -> None:
    with cards.told():
        present_view.show()


_page()
