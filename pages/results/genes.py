"""Genes: which genes are predicted how well."""

from __future__ import annotations

from splicedvae.dashboard import cards, gene_view
from splicedvae.dashboard.widgets import result


def _page() -> None:
    opened = result.frame("Genes")
    if opened is None:
        return
    run, _ = opened
    with cards.told():
        gene_view.show(run)


_page()
