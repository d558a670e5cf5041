"""Velocity: streams of the measured counts, SplicedVAE and scVI on one run; the first page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

import pandas as pd
import streamlit as st

from splicedvae import views
from splicedvae._core.errors import DataError
from splicedvae._core.keys import Obs, Sources
from splicedvae.dashboard import cache, cards, pages, theme
from splicedvae.dashboard.state import query_params, selection
from splicedvae.dashboard.text import defuse, plain
from splicedvae.dashboard.widgets import (
    downloads,
    particles,
    result,
    save_figure,
    velocity_verdict,
    window,
)
from splicedvae.report import FigureCall
from splicedvae.runs import Run
from splicedvae.views import stream_cautions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamlit.delta_generator import DeltaGenerator

_DENSITIES: Final = {"sparse": 0.6, "medium": 1.0, "dense": 1.6}
_PARTICLES: Final = "particles"
#: Instead of one panel that fills the page.
_ALL: Final = "all"
_MAP_WORDS: Final = (
    "The common embedding is a UMAP of the total counts. Each model also has a UMAP of its own "
    "latent space. The velocity in each is projected from the same graph."
)
_STYLES: Final = (views.STREAM, views.ARROWS, views.GRID, _PARTICLES)


def _page() -> None:
    opened = result.frame(pages.VELOCITY, greet=True, early=True)
    if opened is None:
        return
    run, color, row = opened
    with cards.show_errors():
        _velocities(run, color, row)
        if run.is_finished:
            downloads.buttons(run)


def _velocities(run: Run, color: str, row: DeltaGenerator) -> None:
    """Show the velocities of a run side by side, with the cautions."""
    tried = views.sources(run)
    if not tried:
        result.headline(run)
        st.info("This run computed no velocity.", icon=":material/info:")
        return
    with row:
        view = _view(run, tried)
    _maps(run, color, view)
    theme.draw_ahead(figure=True)
    # Moving particles are drawn as lines where nothing moves.
    drawn = {
        "sources": view.sources,
        "color_by": color,
        "density": view.density,
        "style": views.STREAM if view.style == _PARTICLES else view.style,
        "on": view.on,
    }
    save_figure.buttons(run, FigureCall("streams", drawn))
    _worth(run, view.sources)
    result.headline(run)
    if color in (Obs.COSINE_GENES, Obs.COSINE_UMAP):
        _agreement(run, view.sources)
    with st.container(border=True):
        st.markdown(":material/balance: **How far to trust these streams**")
        _grounds(run, view.sources)
        said_of = cache.cached(stream_cautions, run)
        st.markdown("\n".join(f"- {plain(said, 600)}" for said in said_of))
    _details(run, view.sources)


class _View(NamedTuple):
    """What the visitor wants to see, and how."""

    sources: list[str]
    style: str
    density: float
    on: str


def _view(run: Run, tried: Sequence[str]) -> _View:
    """Offer one panel or all in the open, and the rest folded."""
    labels = {Sources.LABELS.get(source, source): source for source in tried}
    maps = cache.cached(views.map_choices, run)
    query_params.check("shown", labels, "velocity")
    query_params.check("density", _DENSITIES, "density")
    query_params.check("style", _STYLES, "style")
    query_params.check("basis", maps, "map")
    query_params.check("large", (_ALL, *labels), "panel")
    large = st.selectbox(
        "Panels",
        [_ALL, *labels],
        key="large",
        bind="query-params",
        help="All velocities, or one that fills the page.",
    )
    with st.popover("View", icon=":material/tune:", key="view"):
        shown = st.pills(
            "Velocities",
            list(labels),
            selection_mode="multi",
            default=list(labels),
            key="shown",
            bind="query-params",
        )
        style = _one_of("Drawn as", _STYLES, views.STREAM, "style")
        density = _one_of("Density", tuple(_DENSITIES), "medium", "density")
        on = maps[0]
        if len(maps) > 1:
            on = _one_of("Map", maps, maps[0], "basis", _MAP_WORDS)
    picked = [source for label, source in labels.items() if label in (shown or list(labels))]
    if large in labels:
        picked = [labels[large]]
    return _View(picked, style, _DENSITIES[density], on)


@st.fragment
def _maps(run: Run, color: str, view: _View) -> None:
    """Draw the panels for the visitor's window, again when it changes."""
    with cards.show_errors():
        here = window.size()
        if view.style == _PARTICLES:
            data = cache.cached(
                cache.particle_data, run, view.sources, color, view.density, view.on
            )
            particles.show(data, here, key="particles")
        else:
            figure = cache.figure(
                cache.streams,
                run,
                view.sources,
                color,
                view.density,
                style=view.style,
                on=view.on,
                window=here,
            )
            theme.show(figure, key="streams", name=f"{downloads.file_stem(run)}-streams")
        if view.on == views.OWN:
            st.caption(
                "Positions in different embeddings cannot be compared. A velocity without a "
                "latent space of its own is shown in the common embedding."
            )
        window.watch("window-streams")


def _one_of(
    label: str, options: Sequence[str], usual: str, key: str, words: str | None = None
) -> str:
    picked = st.segmented_control(
        label,
        list(options),
        default=usual,
        required=True,
        key=key,
        bind="query-params",
        help=words,
    )
    return str(picked or usual)


def _worth(run: Run, picked: Sequence[str]) -> None:
    """Show each velocity's verdict below the panels, in their order."""
    with st.grid(min(len(picked), 4), min_column_width=280):
        for source in picked:
            found = cache.cached(views.verdict, run, source)
            label = Sources.LABELS.get(source, source)
            said = found.short if found.reasons else found.sentence
            st.caption(
                f"{velocity_verdict.SIGNS[found.answer][1]} **{plain(label)}** {plain(said, 500)}"
            )


def _grounds(run: Run, picked: Sequence[str]) -> None:
    """Show each velocity's verdict with all its reasons."""
    for source in picked:
        found = cache.cached(views.verdict, run, source)
        if not found.reasons:
            continue
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"**{plain(Sources.LABELS.get(source, source))}**", width="content")
            velocity_verdict.badge(found.answer)
        velocity_verdict.reasons((one.weight, one.sentence) for one in found.reasons)


def _agreement(run: Run, picked: Sequence[str]) -> None:
    """State, next to cosines of single cells, which cells trained."""
    said = [cache.cached(views.agreement_sentence, run, source) for source in picked]
    told = " ".join(sentence for sentence in said if sentence)
    if told:
        st.caption(
            plain(
                f"{told} These velocities are smoothed over all cells, so a held-out cell's "
                "velocity includes its training neighbors. Quote the numbers above, which "
                "use held-out cells only. Color by “split” to see which cells trained.",
                900,
            )
        )


def _details(run: Run, picked: Sequence[str]) -> None:
    there = [source for source in picked if source in run.velocity_sources]
    if not there:
        return
    usual = there.index(Sources.SPLICEDVAE) if Sources.SPLICEDVAE in there else 0
    parts = {"Driver genes": _drivers, "Start, end and time": _time}
    query_params.check("details", parts, "part of the page")
    for tab, draw in zip(
        st.tabs(list(parts), key="details", bind="query-params"), parts.values(), strict=True
    ):
        # A tab that is not open costs nothing.
        if tab.open:
            with tab:
                draw(run, there, usual)


def _source(there: Sequence[str], usual: int, key: str) -> str:
    labels = {Sources.LABELS.get(source, source): source for source in there}
    query_params.check(key, labels, "velocity")
    picked = st.selectbox("Velocity", list(labels), index=usual, key=key, bind="query-params")
    return labels.get(str(picked), there[usual])


def _drivers(run: Run, there: Sequence[str], usual: int) -> None:
    left, right = st.columns(2)
    with left:
        source = _source(there, usual, "driver-source")
    try:
        groups = cache.cached(views.driver_groups, run, source)
        with right:
            query_params.check("driver-group", groups, "cells")
            group = (
                st.selectbox("Cells", list(groups), key="driver-group", bind="query-params")
                or groups[0]
            )
        table = cache.cached(views.driver_table, run, source, group)
    except DataError as failure:
        st.caption(plain(failure, 400))
        return
    known = table[views.SKILL].dropna() if views.SKILL in table else pd.Series(dtype=float)
    if len(known):
        st.caption(
            f"Of these {len(table)} genes, {int((known > 0).sum())} are predicted better "
            "than by a constant on held-out cells (skill above 0). Arrows that rest on the "
            "other genes are unsupported."
        )
    elif source not in (Sources.MEASURED, Sources.TRUE):
        st.caption(
            "The file has no measured counts, so how well these genes are predicted is unknown."
        )
    shown = defuse(table)
    address_of = f"/genes?run={quote(selection.run_id(run))}&gene="
    shown.insert(0, "page", [address_of + quote(str(gene), safe="") for gene in table.index])
    st.dataframe(
        shown,
        height=360,
        column_config={
            "_index": st.column_config.TextColumn("gene", pinned=True),
            "page": st.column_config.LinkColumn("page", display_text="open", width="small"),
            "share": st.column_config.ProgressColumn(
                "share of the arrow",
                format="percent",
                min_value=0,
                max_value=max(float(table["share"].max()), 1e-9),
                help="The gene's share of the squared length of a cell's velocity as used in "
                "the graph (square roots in the balanced and stochastic modes), mean over "
                "the cells.",
            ),
            "time": st.column_config.NumberColumn(
                "r with pseudotime",
                format="%.2f",
                help="Rank correlation of the gene's smoothed spliced counts with the pseudotime.",
            ),
            "score": st.column_config.NumberColumn(
                "t against other cells",
                format="%.1f",
                help="Welch's t of the gene's velocity in these cells against all others, with "
                "overestimated variance, as in scVelo's rank_velocity_genes. Neighbors are "
                "smoothed together, so no p-value is given.",
            ),
            "velocity": st.column_config.NumberColumn(
                "mean velocity", format="%.3g", help="Above 0: upregulated in these cells."
            ),
            views.SKILL: st.column_config.NumberColumn(views.SKILL, format="%.3f"),
        },
        placeholder="–",
        alt="Genes that contribute most to the arrows, with their share and how well they are "
        "predicted.",
    )


def _time(run: Run, there: Sequence[str], usual: int) -> None:
    source = _source(there, usual, "time-source")
    try:
        said = cache.cached(views.time_sentences, run, source)
        table = cache.cached(views.time_table, run, source)
    except DataError as failure:
        st.caption(plain(failure, 400))
        return
    st.markdown("\n".join(f"- {plain(sentence, 400)}" for sentence in said))
    st.warning(
        "Start, end and time follow the arrows: if the arrows are reversed, the start is "
        "the end. Compare with what is known about the tissue before you name a root.",
        icon=":material/u_turn_left:",
    )
    share = {
        name: st.column_config.ProgressColumn(title, format="percent", min_value=0, max_value=1)
        for name, title in (("roots", "of all start"), ("ends", "of all end"))
    }
    quarter = {
        name: st.column_config.NumberColumn(title, format="%.2f")
        for name, title in (
            ("time", "median pseudotime"),
            ("early", "first quarter"),
            ("late", "last quarter"),
        )
    }
    st.dataframe(
        defuse(table),
        column_config={
            "_index": st.column_config.TextColumn("cluster", pinned=True),
            "cells": st.column_config.NumberColumn("cells", format="localized"),
            **share,
            **quarter,
        },
        placeholder="–",
        alt="Share of the start and of the end of the velocity in each cluster, and its "
        "pseudotime.",
    )
    st.caption(
        "Velocity pseudotime (Bergen et al. 2020), from the velocity graph. It is not "
        "scVelo's latent time, which needs the dynamical model and is not computed. Color "
        "the cells by "
        + ", ".join(
            f"“{views.color_words(name)}”"
            for name in (Obs.PSEUDOTIME, Obs.ROOT_CELLS, Obs.END_POINTS)
        )
        + " to see it in the embedding."
    )


_page()
