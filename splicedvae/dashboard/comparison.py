"""The comparison of a finished run, view by view; each draws only while it is open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import streamlit as st

from splicedvae._errors import DataError, RunError
from splicedvae._keys import Obs, Sources, Split
from splicedvae.dashboard import address, cards, cautions, choice, downloads, held, tables, theme
from splicedvae.dashboard.text import defuse, line, moment, plain
from splicedvae.report import views as figures
from splicedvae.runs import Run, find_run

if TYPE_CHECKING:
    import plotly.graph_objects as go

VIEWS: Final = ("Streams", "Accuracy", "Latent spaces", "Genes", "How it was made")

_DENSITIES: Final = {"sparse": 0.6, "medium": 1.0, "dense": 1.6}
#: Preferred least S + U of an entry.
_COVERAGE: Final = 5


def pick_run(run: Run) -> Run:
    """Let a visitor choose among the finished runs.

    Parameters
    ----------
    run
        The run that is open.

    Returns
    -------
    The run to show.
    """
    found = [item for item in choice.all_runs()[0] if item.is_finished]
    demo = choice.shipped_run()
    if demo is not None:
        found.append(demo)
    if all(item.path != run.path for item in found):
        found.insert(0, run)
    labels = choice.run_labels(found)
    by_id = {choice.run_id(item): item for item in found}
    st.session_state["pick-run"] = choice.run_id(run)
    picked = st.selectbox(
        "Run",
        list(labels),
        format_func=lambda key: labels.get(key, key),
        key="pick-run",
        on_change=_picked,
    )
    return by_id.get(picked, run)


def _picked() -> None:
    try:
        choice.choose_run(find_run(st.session_state["pick-run"]))
    except RunError:
        # Deleted in another tab: the page then opens on the first run.
        choice.forget_run()


def headline(run: Run) -> None:
    """Show the numbers a lab asks for first."""
    cells = run.predictions
    st.caption(f"{cells.n_obs:,} cells × {cells.n_vars:,} genes, {_held_out_words(run)}")
    if not downloads.has_metrics(run):
        return
    with st.container(horizontal=True):
        metrics = run.metrics
        coverage = _default_coverage(tables.coverages(metrics))
        if coverage is not None:
            _number(
                metrics,
                f"Pearson r, entries with ≥ {coverage} counts",
                "pearson",
                coverage,
                2,
                "Most of it is differences between genes, which a constant per gene knows as well.",
            )
        _number(
            metrics,
            "Within-gene r by cluster",
            "within_gene_r_by_cluster",
            None,
            2,
            "Correlation across clusters within a gene: what a velocity needs. A constant has 0.",
        )
        _number(
            metrics,
            "Velocity cosine to measured, genes",
            "velocity_cosine_genes",
            None,
            2,
            "Among held-out cells. Shuffled: the same ratios dealt out anew among cells, what "
            "chance reaches. Measured halves: how far two velocities agree that were each "
            "computed from half of the measured molecules; a prediction, which has less noise, can "
            "lie above.",
            limit="measured halves",
        )


def _held_out_words(run: Run) -> str:
    obs = run.predictions.obs
    if Obs.SPLIT not in obs:
        return "none of them trained"
    return f"{int((obs[Obs.SPLIT].astype(str) == Split.HELD_OUT).sum()):,} cells held out"


def _number(
    metrics: pd.DataFrame,
    label: str,
    metric: str,
    coverage: int | None,
    digits: int,
    words: str,
    *,
    limit: str = tables.CEILING,
) -> None:
    """Show SplicedVAE's number, and under it the baselines' and what the noise allows."""
    ours = tables.value_of(metrics, Sources.SPLICEDVAE, metric, coverage)
    if not np.isfinite(ours):
        return
    said = []
    for source, words_for_it in (
        (Sources.SCVI, "scVI"),
        (Sources.GENE_MEAN, "gene mean"),
        (Sources.SHUFFLED, "shuffled"),
    ):
        theirs = tables.value_of(metrics, source, metric, coverage)
        if np.isfinite(theirs):
            said.append(f"{words_for_it} {theirs:.{digits}f}")
    ceiling = tables.value_of(metrics, Sources.SPLICEDVAE, metric, coverage, column="ceiling")
    if np.isfinite(ceiling):
        said.append(f"{limit} {ceiling:.{digits}f}")
    st.metric(
        label,
        f"{ours:.{digits}f}",
        delta=" · ".join(said) or None,
        delta_color="off",
        delta_arrow="off",
        border=True,
        help=words,
    )


def views(run: Run, color: str) -> None:
    """Show the views of a run as tabs; the open one stands in the address.

    Parameters
    ----------
    run
        A finished run.
    color
        What `pick_color` gave.
    """
    address.check("view", VIEWS, "view")
    draw: dict[str, Callable[[], None]] = {
        "Streams": lambda: _streams(run, color),
        "Accuracy": lambda: _accuracy(run),
        "Latent spaces": lambda: _latents(run, color),
        "Genes": lambda: _genes(run),
        "How it was made": lambda: _made(run),
    }
    tabs = st.tabs(list(VIEWS), key="view", bind="query-params", on_change="rerun")
    for name, tab in zip(VIEWS, tabs, strict=True):
        if tab.open:
            with tab, cards.told():
                draw[name]()


def pick_color(run: Run) -> str:
    """Let a visitor choose what the cells of all maps are coloured by: a column or a gene."""
    columns = figures.color_choices(run)
    genes = [str(gene) for gene in run.predictions.var_names if gene not in columns]
    options = [*columns, *genes]
    address.check("color", options, "colour")
    return str(
        st.selectbox(
            "Colour by",
            options,
            key="color",
            bind="query-params",
            help="Columns of the cells, then genes by their total counts: type to search.",
        )
        or options[0]
    )


def _streams(run: Run, color: str) -> None:
    tried = figures.sources(run)
    if not tried:
        st.info("No velocity was tried in this run.", icon=":material/info:")
        return
    labels = {Sources.LABELS.get(source, source): source for source in tried}
    address.check("shown", labels, "velocity")
    address.check("density", _DENSITIES, "density")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        shown = st.pills(
            "Velocities",
            list(labels),
            selection_mode="multi",
            default=list(labels),
            key="shown",
            bind="query-params",
        )
        density = st.segmented_control(
            "Lines",
            list(_DENSITIES),
            default="medium",
            required=True,
            key="density",
            bind="query-params",
        )
    picked = [source for label, source in labels.items() if label in (shown or list(labels))]
    figure = held.stream_figure(run, picked, color, _DENSITIES[density or "medium"])
    theme.show(figure, key="streams", name=f"{downloads.file_stem(run)}-streams")
    with st.container(border=True):
        st.markdown(":material/balance: **How far to trust these streams**")
        st.markdown("\n".join(f"- {plain(said, 600)}" for said in cautions.stream_cautions(run)))


def _default_coverage(known: list[int]) -> int | None:
    if not known:
        return None
    return _COVERAGE if _COVERAGE in known else known[0]


def _accuracy(run: Run) -> None:
    if not downloads.has_metrics(run):
        st.info(
            "The file has no measured spliced and unspliced counts, so there is nothing to compare "
            "the predictions with.",
            icon=":material/info:",
        )
        return
    metrics = run.metrics
    known = tables.coverages(metrics)
    coverage = _default_coverage(known)
    if coverage is not None:
        options = [str(value) for value in known]
        address.check("coverage", options, "coverage")
        picked = st.segmented_control(
            "Entries (a gene in a cell) with at least this many counts",
            options,
            default=str(coverage),
            required=True,
            key="coverage",
            bind="query-params",
            help="The fewer counts, the more an entry's measured fraction is noise.",
        )
        coverage = int(picked or coverage)
        _numbers_table(
            tables.accuracy(metrics, coverage),
            tables.ACCURACY,
            "RMSE, Pearson r, skill and within-gene r of each predictor, and what is possible.",
        )
        n = tables.value_of(metrics, Sources.SPLICEDVAE, "rmse", coverage, column="n")
        if np.isfinite(n):
            st.caption(f"{n:,.0f} entries of held-out cells.{_ridge_words(metrics)}")
        sentence = cautions.gene_mean_sentence(run, coverage)
        if sentence is not None:
            st.info(plain(sentence, 600), icon=":material/lightbulb:")
    agreement = tables.velocity_agreement(metrics)
    if len(agreement):
        st.subheader("Velocities among held-out cells", anchor=False)
        _numbers_table(
            agreement,
            tables.VELOCITY,
            "Cosines of each velocity to the measured one, what is possible, and the confidence.",
        )
        st.caption(
            f"“{tables.HALVES.capitalize()}”: how far two velocities agree that were each computed "
            "from half of the measured molecules, a measure of how certain the measured one is. "
            "Shuffled ratios know nothing of a cell's state: look at what a number has above them."
        )
    latent = tables.latent_quality(metrics)
    if len(latent):
        st.subheader("Expression and latent space", anchor=False)
        _numbers_table(
            latent,
            tables.LATENT,
            "How well both models know the expression of held-out cells and order the cells.",
        )
        st.caption(
            "Of held-out cells, from their totals. Joint training must not cost expression much."
        )
    st.subheader("Predicted against measured", anchor=False)
    sources = figures.predictors(run)
    if sources and coverage is not None:
        theme.show(
            held.ratio_figure(run, sources, coverage),
            key="ratios",
            name=f"{downloads.file_stem(run)}-predicted-measured",
        )
    dark = theme.is_dark()
    st.subheader("By coverage", anchor=False)
    _shown_or_told(lambda: figures.coverage_figure(run, dark=dark), "coverage-curves")
    st.subheader("Within genes", anchor=False)
    _shown_or_told(lambda: figures.within_gene_figure(run, dark=dark), "within-genes")


def _ridge_words(metrics: pd.DataFrame) -> str:
    if not (metrics["predictor"] == Sources.RIDGE).any():
        return ""
    return (
        " Ridge on PCA: a logistic regression of each gene on principal components of the totals, "
        "what is reached without deep learning."
    )


def _shown_or_told(draw: Callable[[], go.Figure], key: str) -> None:
    try:
        theme.show(draw(), key=key, name=key)
    except (DataError, RunError) as failure:
        st.caption(plain(failure, 400))


def _numbers_table(table: pd.DataFrame, columns: Sequence[tables.Column], alt: str) -> None:
    st.dataframe(
        table,
        column_config={
            "_index": st.column_config.TextColumn("", pinned=True),
            **{
                column.title: st.column_config.NumberColumn(
                    column.title, format=f"%.{column.digits}f", help=column.words
                )
                for column in columns
            },
        },
        placeholder="–",
        alt=alt,
    )


def _latents(run: Run, color: str) -> None:
    figure = held.latent_figure(run, color)
    theme.show(figure, key="latents", name=f"{downloads.file_stem(run)}-latent-spaces")
    st.caption(
        "UMAPs of the two latent spaces. Positions in one cannot be compared with positions in the "
        "other; who is near whom can."
    )


def _genes(run: Run) -> None:
    try:
        table = tables.genes(run.genes)
    except RunError as failure:
        st.caption(plain(failure, 400))
        return
    wanted = st.text_input(
        "Find genes",
        placeholder="part of a name",
        max_chars=60,
        key="find-genes",
        icon=":material/search:",
    )
    if wanted:
        table = table[table.index.str.contains(wanted.strip(), case=False, regex=False)]
    whole = {"spliced counts", "unspliced counts", "cells with counts"}
    st.dataframe(
        table,
        height=520,
        column_config={
            "_index": st.column_config.TextColumn("gene", pinned=True),
            **{
                name: st.column_config.NumberColumn(
                    name, format="localized" if name in whole else "%.3f"
                )
                for name in map(str, table)
            },
        },
        alt="Counts, mean spliced fraction, within-gene correlation and skill of each gene.",
    )
    st.caption(
        f"{len(table):,} genes, held-out cells only. Skill: share of the gene mean's negative "
        "log-likelihood that is saved; below 0 a constant would have been better."
    )


def _made(run: Run) -> None:
    config, made = run.config, run.provenance
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("What was done to the data", anchor=False)
        st.markdown("\n".join(f"- {plain(note, 600)}" for note in run.notes) or "Nothing to tell.")
        table = figures.velocity_table(run)
        st.subheader("How each velocity came about", anchor=False)
        st.dataframe(defuse(table), hide_index=True, alt="State, model and genes of each velocity.")
    with right:
        st.subheader("Settings", anchor=False)
        settings = {**config.to_dict(), "velocity": config.velocity.to_dict()}
        for hidden in ("data", "name"):
            settings.pop(hidden)
        if isinstance(settings.get("model_run"), str):
            settings["model_run"] = line(
                settings["model_run"].replace("\\", "/").rsplit("/", 1)[-1]
            )
        st.json(settings, expanded=1)
        st.subheader("Versions", anchor=False)
        st.caption(
            f"Finished {moment(float(made.get('finished') or 0))} · code {plain(made.get('code'))}"
        )
        st.json({"python": made.get("python"), **(made.get("packages") or {})}, expanded=False)
    if config.kind == "train":
        st.subheader("Training curves", anchor=False)
        _shown_or_told(lambda: theme.training_curves(run.history), "training-curves")
