"""Latent spaces: what both models make of the cells, side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from splicedvae import views
from splicedvae._core.errors import SplicedVAEError
from splicedvae.dashboard import cache, cards, pages, theme
from splicedvae.dashboard.state import query_params
from splicedvae.dashboard.text import defuse, line, plain
from splicedvae.dashboard.widgets import downloads, result, save_figure, window
from splicedvae.dashboard.widgets.tables import Column
from splicedvae.report import FigureCall
from splicedvae.runs import Run

if TYPE_CHECKING:
    import pandas as pd

_FIGURE: Final = "latents"
_CLUSTERS: Final = "latent-clusters"
#: The selection and its run: the figure's own state ends when it is redrawn.
_STATE: Final = "_latent_chosen"
_FAILED: Final = "_latent_failed"
#: The clusters in the address, and whether they were taken from there.
_ASKED: Final = "cells-of"
_TAKEN: Final = "_latent_taken"

#: With fewer digits: a choice of cells is small.
_METRICS: Final = (Column("rmse", decimals=3), Column("pearson", decimals=2), Column("skill"))


def _page() -> None:
    opened = result.frame(pages.LATENT)
    if opened is None:
        return
    run, color, _ = opened
    with cards.show_errors():
        _maps(run, color)


@st.fragment
def _maps(run: Run, color: str) -> None:
    # A fragment runs alone when a line was drawn: its errors are shown in it.
    with cards.show_errors():
        _draw(run, color)


def _draw(run: Run, color: str) -> None:
    chosen = _chosen(run)
    n_maps = len(cache.cached(views.latent_maps, run))
    failed = st.session_state.pop(_FAILED, None)
    if failed:
        st.warning(plain(failed, 400), icon=":material/gesture:")
    figure = cache.figure(cache.latents, run, color, chosen, window=window.size())
    theme.show(
        figure,
        key=_FIGURE,
        name=f"{downloads.file_stem(run)}-latent-spaces",
        on_select=lambda: _on_line(run, n_maps),
    )
    window.watch("window-latents")
    save_figure.buttons(run, FigureCall("latents", {"color_by": color}))
    st.caption(
        "UMAPs of the two latent spaces; zoom and pan are linked. scVI's is rotated, "
        "mirrored and scaled as a whole onto SplicedVAE's, which changes no neighborhood. "
        "Compare which cells are neighbors, not positions."
    )
    _pick_clusters(run)
    if not any(chosen):
        st.caption(
            ":material/gesture: Draw a line around cells in either embedding to select "
            "them in both and to see their metrics."
        )
        return
    if not cache.cached(cache.selected, run, chosen).any():
        st.info(
            "The line encloses no cell: draw it around at least one.", icon=":material/gesture:"
        )
        _clear_button()
        return
    _numbers(run, chosen)


def _chosen(run: Run) -> cache.Chosen:
    if not st.session_state.get(_TAKEN):
        st.session_state[_TAKEN] = True
        names = views.cluster_names(run)
        query_params.check(_ASKED, names, "cluster")
        asked = set(st.query_params.get_all(_ASKED))
        _choose(run, ((), tuple(name for name in names if name in asked)))
    where, chosen = st.session_state.get(_STATE, (None, cache.NOTHING))
    chosen = chosen if where == str(run.path) else cache.NOTHING
    if st.query_params.get_all(_ASKED) != list(chosen[1]):
        st.query_params[_ASKED] = list(chosen[1])
    return chosen


def _choose(run: Run, chosen: cache.Chosen) -> None:
    st.session_state[_STATE] = (str(run.path), chosen)


def _on_line(run: Run, n_maps: int) -> None:
    event = st.session_state.get(_FIGURE)
    try:
        lines = views.outlines_of(event.get("selection") if event else None, n_maps)
    except SplicedVAEError as failure:
        st.session_state[_FAILED] = str(failure)
        return
    st.session_state[_CLUSTERS] = []
    _choose(run, (tuple((drawn.panel, drawn.x, drawn.y) for drawn in lines), ()))


def _pick_clusters(run: Run) -> None:
    """Offer what a line cannot: whole clusters, by keyboard."""
    names = views.cluster_names(run)
    if not names:
        return
    labels = {name: line(name, 60) for name in names}
    kept = [name for name in _chosen(run)[1] if name in labels]
    if st.session_state.get(_CLUSTERS) != kept:
        st.session_state[_CLUSTERS] = kept
    st.multiselect(
        "Or select whole clusters",
        names,
        format_func=lambda name: labels.get(name, name),
        key=_CLUSTERS,
        on_change=lambda: _choose(run, ((), tuple(st.session_state[_CLUSTERS]))),
        placeholder="clusters",
    )


def _clear_button() -> None:
    st.button(
        "Clear the selection", icon=":material/deselect:", key="clear-selection", on_click=_clear
    )


def _clear() -> None:
    st.session_state.pop(_STATE, None)


def _numbers(run: Run, chosen: cache.Chosen) -> None:
    found = cache.cached(cache.selection_summary, run, chosen)
    with st.container(border=True, key="selection"):
        held_out = f", {found.n_judged:,} of them held out" if found.has_split else ""
        st.markdown(
            f":material/gesture: **{found.n_cells:,} of {found.n_all:,} cells selected{held_out}**"
        )
        st.markdown("\n".join(f"- {plain(said, 400)}" for said in found.cautions))
        _tables(found)
        with st.container(horizontal=True):
            st.download_button(
                "Download these cells (.csv)",
                lambda: cells_csv(run, chosen),
                f"{downloads.file_stem(run)}-selected-cells.csv",
                "text/csv",
                icon=":material/download:",
                on_click="ignore",
                key="download-selection",
            )
            _clear_button()


def cells_csv(run: Run, chosen: cache.Chosen) -> bytes:
    """Return the chosen cells as CSV (UTF-8), cells that a spreadsheet would run defused.

    Parameters
    ----------
    run
        A finished run.
    chosen
        Lines around cells and clusters.
    """
    table = views.selected_cells(run, cache.cached(cache.selected, run, chosen)).reset_index()
    return defuse(table).to_csv(index=False).encode()


def _tables(found: views.SelectionSummary) -> None:
    judged = f"{found.n_judged:,} {'held-out cells' if found.has_split else 'cells'}"
    parts: list[Callable[[], None]] = []
    if found.metrics is not None:
        metrics = found.metrics

        def show_metrics() -> None:
            st.markdown("**How well ratios are predicted here**")
            theme.numbers_table(
                metrics,
                _METRICS,
                "RMSE, Pearson r and skill of each predictor among the selected held-out cells.",
            )
            st.caption(
                f"{found.n_entries:,} entries with {views.SELECTION_COVERAGE} counts or "
                f"more, of {judged}. Noise ceiling: what the true ratio would reach, given "
                "the counting noise."
            )

        parts.append(show_metrics)
    parts.append(
        lambda: _table(
            found.medians,
            "Medians",
            "Of the selected cells and of all others; SplicedVAE's velocity.",
        )
    )
    best = found.best_genes
    if best is not None:
        parts.append(
            lambda: _table(
                best,
                "Genes predicted best here",
                f"Skill over the gene mean, genes with {views.SELECTION_MOLECULES} counts "
                f"or more in the {judged}. The best of many genes are partly there by "
                "chance.",
            )
        )
    parts.append(
        lambda: _table(
            found.changed_genes,
            "Genes with different expression here",
            "Log2 fold change against all other cells: mean counts per 10,000, plus 1. Not "
            "a significance test.",
        )
    )
    clusters = found.clusters
    if clusters is not None:
        parts.append(
            lambda: _table(
                clusters, "Clusters", "Shares of the selected cells and of each cluster."
            )
        )
    for start in range(0, len(parts), 2):
        for place, draw in zip(st.columns(2), parts[start : start + 2], strict=False):
            with place:
                draw()


def _table(table: pd.DataFrame, title: str, words: str) -> None:
    config: dict[str, Any] = {
        "_index": st.column_config.TextColumn(str(table.index.name or ""), pinned=True)
    }
    for name in map(str, table):
        if name in ("cells", "counts"):
            how = "localized"
        else:
            how = "percent" if name.startswith("share") else "%.3f"
        config[name] = st.column_config.NumberColumn(name, format=how)
    st.markdown(f"**{title}**")
    st.dataframe(table, height="content", column_config=config, placeholder="–", alt=title)
    st.caption(words)


_page()
