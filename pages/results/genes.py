"""Genes: which genes are predicted how well."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import streamlit as st

from splicedvae import views
from splicedvae._core.errors import DataError, RunError
from splicedvae._core.keys import Obs, Sources
from splicedvae.dashboard import cache, cards, pages
from splicedvae.dashboard.state import coloring, query_params, selection
from splicedvae.dashboard.text import line, plain
from splicedvae.dashboard.theme import draw_ahead, show_or_explain
from splicedvae.dashboard.widgets import downloads, result, tables
from splicedvae.pipeline import RatioIntervals
from splicedvae.runs import Run

if TYPE_CHECKING:
    from collections.abc import Sequence

_GENE: Final = "gene"
#: Counter in the table's key: a new value clears the selected row.
_ROUND: Final = "_genes_round"
#: Genes named that match a search but have no prediction.
_NAMED: Final = 8
_WHOLE: Final = {"spliced", "unspliced", "counts", "cells"}
_WHICH: Final[dict[str, views.Cells]] = {"held-out cells": "held-out", "all cells": "all"}


def _page() -> None:
    opened = result.frame(pages.GENES)
    if opened is None:
        return
    run, _, _ = opened
    with cards.show_errors():
        _genes(run)


def _genes(run: Run) -> None:
    """Show the genes of a run as a table, and the chosen one in figures."""
    table = cache.cached(views.gene_table, run)
    if table.empty:
        st.info("This run has no genes to show.", icon=":material/info:")
        return
    gene = _choose(run, table)
    facts = cache.cached(cache.gene_facts, run, gene)
    st.subheader(plain(gene, 60), anchor=False)
    _numbers(facts)
    with st.container(border=True):
        st.markdown(":material/balance: **How far to trust this gene**")
        st.markdown("\n".join(f"- {plain(said, 600)}" for said in facts.sentences))
    draw_ahead()
    st.markdown("#### Phase portrait")
    show_or_explain(lambda: cache.figure(views.phase_figure, run, gene), "phase")
    st.caption(
        "One dot per cell, counts smoothed over its neighbors. Above the dashed line there "
        "is more unspliced RNA than in the steady state, and the gene is inferred to be "
        "rising; below it, falling. The velocity is the distance from the line. All panels "
        "share their axes. A predicted cloud that is narrower than the measured one has "
        "less noise, but is not necessarily more accurate."
    )
    which = _which_cells(run)
    _over_time(run, gene, which)


def _choose(run: Run, table: pd.DataFrame) -> str:
    """Let a visitor choose a gene by its name or by a row of the table."""
    names = [str(name) for name in table.index]
    query_params.check(_GENE, names, "gene")
    left, right = st.columns(2)
    with left:
        leading = cache.cached(views.leading_gene, run)
        gene = st.selectbox(
            "Gene",
            names,
            index=names.index(leading) if leading in names else 0,
            key=_GENE,
            bind="query-params",
            on_change=_forget_row,
            help="Type to search. The page opens on the gene that contributes most to the arrows. "
            "The link of this page includes the gene.",
        )
    with right:
        wanted = st.text_input(
            "Find genes in the table",
            placeholder="part of a name",
            max_chars=60,
            key="find-genes",
            bind="query-params",
            icon=":material/search:",
        )
    shown = table
    if wanted:
        shown = table[table.index.str.contains(wanted.strip(), case=False, regex=False)]
    key = f"genes-{st.session_state.get(_ROUND, 0)}-{wanted}"
    worded = tables.genes(shown)
    st.dataframe(
        worded,
        height=264,
        key=key,
        on_select=partial(_take_row, key, [str(name) for name in shown.index]),
        selection_mode="single-row",
        column_config={
            "_index": st.column_config.TextColumn("gene", pinned=True),
            **{
                head: _column(name, head, worded)
                for name, head in tables.gene_heads().items()
                if head in worded
            },
        },
        placeholder="–",
        alt="Counts, mean spliced fraction, within-gene correlation and skill of each gene.",
    )
    said, button = st.columns([4, 1], vertical_alignment="top")
    said.caption(f"{len(shown):,} genes{_table_words(run)}")
    with button:
        st.download_button(
            "CSV",
            lambda: worded.to_csv(index_label="gene").encode(),
            f"{downloads.file_stem(run)}-genes.csv",
            "text/csv",
            icon=":material/table:",
            on_click="ignore",
            key="download-gene-table",
        )
    if wanted:
        _elsewhere(run, wanted.strip(), set(names))
    return str(gene or names[0])


def _elsewhere(run: Run, wanted: str, names: set[str]) -> None:
    """Name the genes of the file that match but have no prediction, and where they can be seen."""
    found = [
        gene
        for gene in cache.cached(views.color_genes, run)
        if gene not in names and wanted.casefold() in gene.casefold()
    ]
    if not found:
        return
    shown = ", ".join(plain(gene, 40) for gene in found[:_NAMED])
    more = f" and {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
    st.caption(f"In the file but not in the model, so without a prediction: {shown}{more}.")
    where = {
        "run": selection.run_id(run),
        pages.COLOR_PARAMETER: coloring.COUNTS,
        pages.GENE_COLOR_PARAMETER: found[0],
    }
    st.page_link(
        pages.VELOCITY.script,
        label=f"Color the cells by {line(found[0], 40)}",
        icon=pages.VELOCITY.icon,
        query_params=where,
    )


def _column(name: str, head: str, table: pd.DataFrame) -> Any:
    if table[head].dtype == bool:
        return st.column_config.CheckboxColumn(head, help="Whether this velocity uses the gene.")
    words = None
    if name.startswith("skill"):
        words = (
            "Reduction of the negative log-likelihood relative to the gene mean; 0 for a constant."
        )
    elif name.startswith("within_gene_r"):
        words = (
            "Correlation of predicted and measured ratio across held-out cells; 0 for a constant."
        )
    number = "localized" if name in _WHOLE else "%.3f"
    return st.column_config.NumberColumn(head, format=number, help=words)


def _table_words(run: Run) -> str:
    try:
        known = len(run.genes) > 0
    except RunError:
        known = False
    if not known:
        return (
            ". The file has no measured counts, so genes cannot be evaluated. Select a row "
            "to see a gene."
        )
    return (
        ", numbers from held-out cells, sorted by skill times molecules. The top genes "
        "look better than they are, because the best of many are selected. Skill below 0: "
        "a constant would have been better. Select a row to see a gene."
    )


def _take_row(key: str, names: Sequence[str]) -> None:
    rows = st.session_state[key].selection.rows
    if rows and rows[0] < len(names):
        st.session_state[_GENE] = names[rows[0]]


def _forget_row() -> None:
    st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1


def _numbers(facts: views.GeneFacts) -> None:
    """Show a gene's numbers, each with baselines and noise ceiling."""
    with st.container(horizontal=True):
        if facts.spliced is None or facts.unspliced is None:
            st.metric("Total counts", f"{facts.counts:,}", border=True)
            st.metric("Cells with counts", f"{facts.cells:,}", border=True)
        else:
            _metric(
                "Molecules, evaluated cells",
                f"{facts.spliced + facts.unspliced:,}",
                f"S {facts.spliced:,} · U {facts.unspliced:,} · in {facts.cells:,} cells",
                "Measured in the held-out cells, on which the gene is evaluated.",
            )
        if np.isfinite(facts.mean):
            _metric(
                "Mean spliced fraction",
                f"{facts.mean:.2f}",
                "over the training cells",
                "The constant that every prediction is compared with.",
            )
        for column, label, digits, words in (
            (
                "skill",
                "Skill over the gene mean",
                3,
                "Reduction of the negative log-likelihood relative to a constant; 0 for a "
                "constant.",
            ),
            (
                "within_gene_r",
                "Within-gene r",
                2,
                "Correlation of predicted and measured ratio across the gene's held-out "
                "cells. Noise ceiling: the mean value that the true ratio would reach at "
                "this noise. With few counts a number may exceed it by chance.",
            ),
        ):
            if Sources.SPLICEDVAE not in facts.numbers.index:
                continue
            ours = facts.numbers[column].to_numpy(dtype=float)[
                list(facts.numbers.index).index(Sources.SPLICEDVAE)
            ]
            _metric(
                label,
                f"{ours:.{digits}f}" if np.isfinite(ours) else "–",
                _beside(facts, column, digits),
                words,
            )


def _beside(facts: views.GeneFacts, column: str, digits: int) -> str:
    said = []
    for source, words in ((Sources.SCVI, "scVI"), (Sources.RIDGE, "ridge")):
        values = facts.numbers.loc[facts.numbers.index == source, column].to_numpy(dtype=float)
        if values.size and np.isfinite(values[0]):
            said.append(f"{words} {values[0]:.{digits}f}")
    if column == "within_gene_r" and np.isfinite(facts.ceiling):
        said.append(f"{tables.CEILING} {facts.ceiling:.2f}")
    if column == "skill":
        said.append("constant 0")
    return " · ".join(said)


def _metric(label: str, value: str, beside: str, words: str) -> None:
    st.metric(
        label,
        value,
        delta=beside or None,
        delta_color="off",
        delta_arrow="off",
        border=True,
        help=words,
    )


def _which_cells(run: Run) -> views.Cells:
    """Let a visitor choose between held-out cells and all, where cells were held out."""
    if Obs.SPLIT not in run.predictions.obs:
        return "all"
    query_params.check("gene-cells", _WHICH, "cells in the figures")
    picked = st.segmented_control(
        "Cells in the figures of the ratio",
        list(_WHICH),
        default=next(iter(_WHICH)),
        required=True,
        key="gene-cells",
        bind="query-params",
        help="Held-out cells were not used in training, so they give a fair comparison. All "
        "cells show more dots, most of which the model has seen.",
    )
    return _WHICH[picked or "held-out cells"]


def _over_time(run: Run, gene: str, which: views.Cells) -> None:
    """Show the ratio over time and by cluster; what needs the model comes last."""
    time = views.cell_time(run)
    above = st.container()
    st.markdown("#### Ratio by cluster")
    show_or_explain(
        lambda: cache.figure(views.gene_cluster_figure, run, gene, which=which), "ratio-clusters"
    )
    st.caption(
        "Counts of the gene summed over the cells of a cluster, which reduces noise. Error "
        "bars are 90% intervals of the measured share. A flat line is one number for the "
        "gene and gives no velocity: check whether the prediction follows the measured "
        "points."
    )
    with above:
        st.markdown("#### Ratio over time")
        if time is None:
            st.caption(
                "This run has no pseudotime, so the ratio is shown by cluster, without an order."
            )
            return
        drawn: RatioIntervals | None = None
        try:
            drawn = cache.cached(cache.intervals, run, which)
        except (DataError, RunError) as failure:
            st.caption(f"Drawn without the model's intervals. {plain(failure, 400)}")
        show_or_explain(
            lambda: cache.figure(
                cache.gene_over_time, run, gene, which, with_intervals=drawn is not None
            ),
            "ratio-time",
        )
        st.caption(_time_words(run, gene, which, drawn))


def _time_words(run: Run, gene: str, which: views.Cells, drawn: RatioIntervals | None) -> str:
    said = (
        f"Entries with at least {views.MIN_DRAWN} counts are drawn as dots, for at most "
        f"{views.MAX_CELLS_DRAWN:,} cells. "
    )
    if drawn is None or gene not in drawn.concentration.index:
        return said
    concentration = float(drawn.concentration[gene])
    wider = (concentration + 10) / (concentration + 1)
    share, entries = views.share_inside(run, gene, drawn, which=which)
    inside = ""
    if entries:
        inside = (
            f" Of {entries:,} entries {share:.0%} lie inside the {drawn.level:.0%} interval of "
            "their own number of counts."
        )
    return said + (
        "The model's interval shows how certain it is of a cell's ratio, not where single "
        "measurements lie; the shaded band does, for an entry of typical depth. "
        f"Concentration {concentration:,.0f}: with 10 counts the variance of the measured "
        f"fraction is {wider:.2f} times that of binomial counting.{inside}"
    )


_page()
