"""The coloring of cells in all embeddings: a column, or a gene's counts or spliced fraction.

Genes have a second box, shown when one is requested: Streamlit sends all options of
a box whenever a page is drawn, and thousands of them cost every page 0.05 s in the browser.
"""

from __future__ import annotations

from typing import Final

import streamlit as st

from splicedvae import views
from splicedvae._core.keys import Layers
from splicedvae.dashboard import cache
from splicedvae.dashboard.pages import COLOR_PARAMETER, GENE_COLOR_PARAMETER
from splicedvae.dashboard.state import query_params
from splicedvae.runs import Run

#: Instead of a column: a gene, chosen in a second box.
COUNTS: Final = "counts of a gene"
RATIO: Final = "spliced fraction of a gene"
#: Genes beyond which a visitor narrows them by a search, and how many are then offered.
_MOST_OPTIONS: Final = 5_000
_SHOWN_OPTIONS: Final = 300


def pick(run: Run) -> str:
    """Let a visitor choose the coloring of the cells in all embeddings.

    Parameters
    ----------
    run
        A finished run.

    Returns
    -------
    A column, a gene, or a gene after `views.RATIO_PREFIX`; see `views.cell_colors`.
    """
    kinds = _kinds(run)
    query_params.rename(COLOR_PARAMETER, {kind: words for words, kind in kinds.items()})
    query_params.check(COLOR_PARAMETER, kinds, "colour")
    words = st.selectbox(
        "Color by",
        list(kinds),
        key=COLOR_PARAMETER,
        bind="query-params",
        help="A column of the cells, or a gene: its total counts or its predicted spliced "
        "fraction.",
    )
    kind = kinds.get(str(words), next(iter(kinds.values())))
    return _named(kind, _pick_gene(run, kind)) if kind in (COUNTS, RATIO) else kind


def asked(run: Run) -> str:
    """Return the color of a page without boxes: the address's, else the last chosen, else usual.

    Parameters
    ----------
    run
        A finished run.
    """
    kinds = _kinds(run)
    query_params.rename(COLOR_PARAMETER, {kind: words for words, kind in kinds.items()})
    if COLOR_PARAMETER in st.query_params:
        query_params.check(COLOR_PARAMETER, kinds, "colour")
    given = {**chosen(), **st.query_params.to_dict()}
    kind, gene = kinds.get(given.get(COLOR_PARAMETER, "")), given.get(GENE_COLOR_PARAMETER)
    if kind is None:
        return views.default_color(run)
    if kind not in (COUNTS, RATIO):
        return kind
    genes = _genes_for(run, kind)
    return _named(kind, str(gene if gene in genes else genes[0]))


def chosen() -> dict[str, str]:
    """Return what was last chosen in the boxes, by its name in the address.

    A page without boxes has no place for it in its own address: Streamlit takes it out.
    """
    if COLOR_PARAMETER in st.query_params:
        return {}
    return {
        name: str(value)
        for name in (COLOR_PARAMETER, GENE_COLOR_PARAMETER)
        if (value := st.session_state.get(name))
    }


def known(run: Run, color: str) -> bool:
    """Say whether a run can color its cells by what was chosen for another.

    Parameters
    ----------
    run
        A finished run.
    color
        What `pick` returned.
    """
    gene = color.removeprefix(views.RATIO_PREFIX)
    if gene != color and Layers.RATIO not in run.predictions.layers:
        return False
    if gene != color:
        return gene in run.predictions.var_names
    return color in views.color_choices(run) or gene in cache.cached(views.color_genes, run)


def _named(kind: str, gene: str) -> str:
    return gene if kind == COUNTS else f"{views.RATIO_PREFIX}{gene}"


def _kinds(run: Run) -> dict[str, str]:
    """Return what a visitor reads, and what it is: a column or a kind of gene color."""
    columns = {views.color_words(name): name for name in cache.cached(views.color_choices, run)}
    if not cache.cached(views.color_genes, run):
        return columns
    genes = (COUNTS, RATIO) if Layers.RATIO in run.predictions.layers else (COUNTS,)
    return columns | {kind: kind for kind in genes if kind not in columns}


def _pick_gene(run: Run, kind: str) -> str:
    genes = cache.cached(_genes_for, run, kind)
    query_params.check(GENE_COLOR_PARAMETER, genes, "gene")
    if len(genes) > _MOST_OPTIONS:
        genes = _narrowed(genes)
    gene = st.selectbox(
        "Gene", genes, key=GENE_COLOR_PARAMETER, bind="query-params", help="Type to search."
    )
    return str(gene or genes[0])


def _genes_for(run: Run, kind: str) -> tuple[str, ...]:
    """Return the genes that have this kind of color, the one that leads the velocity first."""
    genes = views.color_genes(run)
    if kind == RATIO:
        modelled = set(run.predictions.var_names)
        genes = tuple(gene for gene in genes if gene in modelled)
    first = views.leading_gene(run)
    return (first, *(gene for gene in genes if gene != first)) if first in genes else genes


def _narrowed(genes: tuple[str, ...]) -> tuple[str, ...]:
    """Offer the genes a visitor looks for: all of them would travel with every click."""
    wanted = st.text_input(
        "Find a gene to color by",
        placeholder="part of its name",
        max_chars=60,
        key="find-color",
        help=f"{len(genes):,} genes match; the list below shows them.",
    )
    held_by = wanted.strip().casefold()
    found = [gene for gene in genes if held_by in gene.casefold()] if held_by else genes
    # The first gene, which an address without one means, and what is chosen stay in the list.
    shown = tuple(dict.fromkeys((genes[0], *found[:_SHOWN_OPTIONS])))
    now = st.session_state.get(GENE_COLOR_PARAMETER) or st.query_params.get(GENE_COLOR_PARAMETER)
    return shown if now in shown or now not in set(genes) else (*shown, str(now))
