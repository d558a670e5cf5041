"""Diagnostics: how well ratios of held-out cells are predicted, against baselines and ceilings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import pandas as pd
import streamlit as st

from splicedvae import views
from splicedvae._core.errors import DataError, RunError
from splicedvae._core.keys import Sources
from splicedvae._core.metrics import metric_of
from splicedvae.dashboard import cache, cards, pages, theme
from splicedvae.dashboard.state import query_params
from splicedvae.dashboard.text import defuse, plain
from splicedvae.dashboard.theme import numbers_table, show_or_explain
from splicedvae.dashboard.widgets import cautions, downloads, progress, result, save_figure, tables
from splicedvae.dashboard.widgets.result import default_coverage
from splicedvae.report import FigureCall
from splicedvae.runs import Run

#: A part of the page: its name, what draws it.
_Part = tuple[str, Callable[[Run], None]]


def _page() -> None:
    opened = result.frame(pages.DIAGNOSTICS)
    if opened is None:
        return
    run, _, _ = opened
    with cards.show_errors():
        _diagnostics(run)


def _diagnostics(run: Run) -> None:
    """Show the numbers of a run, and the figures behind them."""
    if not downloads.has_metrics(run):
        st.info(
            "The file has no measured spliced and unspliced counts, so the predictions "
            "cannot be compared with a measurement.",
            icon=":material/info:",
        )
        return
    coverage = _accuracy(run)
    parts = _parts(run, coverage)
    labels = [label for label, _ in parts]
    query_params.check("part", labels, "part of the page")
    tabs = st.tabs(labels, key="part", bind="query-params")
    for tab, (_, draw) in zip(tabs, parts, strict=True):
        # A tab that is not open costs nothing.
        if tab.open:
            with tab:
                draw(run)


def _parts(run: Run, coverage: int | None) -> list[_Part]:
    """List the parts that a run has, from what matters most."""
    metrics = run.metrics
    parts: list[_Part] = [
        ("Predicted and measured", lambda run: _density(run, coverage)),
        ("By coverage", _by_coverage),
        ("Within genes", _within_genes),
        ("Calibration", _calibration),
        ("Cells", _cells),
    ]
    if len(tables.velocity_agreement(metrics)):
        parts.append(("Velocities", _velocities))
    if len(tables.latent_quality(metrics)):
        parts.append(("Expression", _expression))
    parts.append(("Training", _training))
    return parts


def _accuracy(run: Run) -> int | None:
    """Show RMSE, r and what a velocity needs, and return the coverage that was chosen."""
    metrics = run.metrics
    known = tables.coverages(metrics)
    coverage = default_coverage(known)
    if coverage is None:
        return None
    options = [str(value) for value in known]
    query_params.check("coverage", options, "coverage")
    picked = st.segmented_control(
        "Entries (a gene in a cell) with at least this many counts",
        options,
        default=str(coverage),
        required=True,
        key="coverage",
        bind="query-params",
        help="With few counts, an entry's measured fraction is mostly noise.",
    )
    coverage = int(picked or coverage)
    numbers_table(
        tables.accuracy(metrics, coverage),
        tables.ACCURACY,
        "RMSE, Pearson r, skill and within-gene r of each predictor, and the noise ceiling.",
    )
    n = views.value_of(metrics, Sources.SPLICEDVAE, "rmse", coverage, column="n")
    if np.isfinite(n):
        st.caption(f"{n:,.0f} entries of held-out cells.{_ridge_words(metrics)}")
    sentence = cautions.gene_mean_sentence(run, coverage)
    if sentence is not None:
        st.info(plain(sentence, 600), icon=":material/lightbulb:")
    return coverage


def _ridge_words(metrics: pd.DataFrame) -> str:
    if not (metrics["predictor"] == Sources.RIDGE).any():
        return ""
    return (
        " Ridge on PCA: a logistic regression of each gene on principal components of the "
        "totals, a baseline without deep learning."
    )


def _density(run: Run, coverage: int | None) -> None:
    sources = views.predictors(run)
    if not sources or coverage is None:
        st.caption("This run has no measured counts to compare its predictions with.")
        return
    theme.show(
        cache.figure(views.ratio_figure, run, sources, coverage=coverage),
        key="ratios",
        name=f"{downloads.file_stem(run)}-predicted-measured",
    )
    theme.draw_ahead(figure=True)
    save_figure.buttons(run, FigureCall("ratios", {"sources": list(sources), "coverage": coverage}))
    st.caption(
        "Color shows the number of entries. The gene mean predicts one number per gene and "
        "looks much the same: this figure shows differences between genes, not the "
        "differences between cells that make a velocity."
    )


def _by_coverage(run: Run) -> None:
    show_or_explain(lambda: cache.figure(views.coverage_figure, run), "coverage-curves")
    save_figure.buttons(run, FigureCall("coverage"))
    st.caption(
        "At a low minimum count the measured fraction is mostly noise, and every predictor "
        "has a large error. At a high one every predictor looks good. The figure below "
        "shows what a model adds: its gain over the gene mean, as a share of the gap "
        "between gene mean and noise ceiling."
    )
    show_or_explain(lambda: cache.figure(views.gain_figure, run), "gain-curves")
    st.markdown("#### The two published numbers")
    try:
        table = cache.cached(views.published_table, run)
    except (DataError, RunError) as failure:
        st.caption(plain(failure, 400))
        return
    st.markdown("\n".join(f"- {plain(said, 400)}" for said in _published_words(table)))
    st.caption(
        "They were published without the mask, the split or the smoothing behind them. "
        "Both depend mostly on which entries are counted, so neither shows whether a model "
        "captures a cell's state."
    )


def _published_words(table: pd.DataFrame) -> list[str]:
    """Say from which coverage on each predictor reaches the published numbers."""
    said = []
    for key in ("rmse", "pearson"):
        rows = table[table["metric"] == key]
        parts = []
        for name, coverage in zip(rows["predictor"], rows["coverage"], strict=True):
            label = Sources.LABELS.get(str(name), str(name))
            if np.isfinite(coverage):
                parts.append(f"{label} from {coverage:.0f} counts")
            else:
                parts.append(f"{label} at no minimum count that leaves 100 entries")
        if parts:
            said.append(f"{metric_of(key).head} {rows['published'].iloc[0]:g}: {', '.join(parts)}.")
    return said


def _within_genes(run: Run) -> None:
    show_or_explain(lambda: cache.figure(views.within_gene_figure, run), "within-genes")
    save_figure.buttons(run, FigureCall("within-gene"))
    st.caption(
        "Correlation between predicted and measured ratio of each gene across held-out "
        "cells. A constant per gene has none. Single entries are noisy, so even a perfect "
        "predictor stays far below 1: see the noise ceiling in the table above. The page "
        "Genes shows single genes."
    )


def _calibration(run: Run) -> None:
    try:
        figure = cache.figure(views.reliability_figure, run)
    except (DataError, RunError) as failure:
        st.caption(plain(failure, 400))
        return
    theme.show(figure, key="reliability", name=f"{downloads.file_stem(run)}-calibration")
    told = views.calibration_table(run)
    if len(told):
        st.markdown("\n".join(f"- {plain(said, 400)}" for said in _calibration_words(told)))
    st.caption(
        "Left: difference between observed and predicted spliced fraction, by predicted "
        "fraction. Near 0 is well calibrated; the gene mean is too. Right: measured "
        "against predicted deviation from the gene's mean. Steeper than the dotted line: "
        "predictions are too close to the mean; flatter: too far from it. Error bars are "
        "90% intervals of the sampling noise."
    )
    st.markdown("#### Prediction intervals of counts")
    show_or_explain(lambda: cache.figure(views.interval_figure, run), "interval-coverage")
    st.caption(
        "Each held-out count has a 90% prediction interval. Below the line the model is "
        "overconfident, above it underconfident. The gene mean and the other baselines "
        "predict no interval."
    )


def _calibration_words(table: pd.DataFrame) -> list[str]:
    said = []
    for column, words, digits in (
        ("calibration_error", "Calibration error, mean over molecules", 4),
        ("within_gene_slope", "Slope of measured on predicted within genes", 2),
    ):
        values = table[column]
        parts = [
            f"{Sources.LABELS.get(str(name), str(name))} {value:.{digits}f}"
            for name, value in values.drop("ceiling").items()
            if np.isfinite(value)
        ]
        if not parts:
            continue
        limit = float(values.to_numpy(dtype=float)[-1])
        if np.isfinite(limit):
            parts.append(f"{tables.CEILING} {limit:.{digits}f}")
        said.append(f"{words}: {', '.join(parts)}.")
    return said


def _cells(run: Run) -> None:
    try:
        table = cache.cached(views.cell_table, run)
        figure = views.cell_figure(table, run, dark=theme.is_dark())
    except (DataError, RunError) as failure:
        st.caption(plain(failure, 400))
        return
    theme.show(figure, key="cells", name=f"{downloads.file_stem(run)}-cells")
    skills = table[f"skill_{Sources.SPLICEDVAE}"].dropna()
    st.caption(
        f"{(skills > 0).mean():.0%} of {len(skills):,} cells are predicted better than by "
        "the gene mean. A cell has few molecules, so chance alone puts many below 0: check "
        "whether a whole cluster lies below. Boxes hold half of the cells, whiskers 90%."
    )
    worst = views.worst_cells(table)
    st.markdown("#### Cells with the lowest skill")
    heads = {
        f"{part}_{source}": f"{words}, {Sources.LABELS[source]}"
        for part, words in (("skill", "skill"), ("within_gene_r", "within-gene r"))
        for source in (Sources.SPLICEDVAE, Sources.SCVI)
    }
    shown = defuse(worst.rename(columns=heads))
    st.dataframe(
        shown,
        column_config={
            "_index": st.column_config.TextColumn("cell", pinned=True),
            **{
                name: st.column_config.NumberColumn(name, format="%.3f")
                for name in heads.values()
                if name in shown
            },
        },
        placeholder="–",
        alt="The held-out cells with the lowest skill, their clusters and molecules.",
    )
    st.caption(
        "In these cells the predicted ratios are worse than one number per gene, so their "
        "arrows are unreliable. Among cells with few molecules this is chance. If they "
        "share a cluster, or have as many molecules as other cells, the model fits that "
        "cell type poorly."
    )


def _velocities(run: Run) -> None:
    numbers_table(
        tables.velocity_agreement(run.metrics),
        tables.VELOCITY,
        "Cosine of each velocity to the measured one, its noise ceiling, and the confidence.",
    )
    st.caption(
        f"Among held-out cells. “{tables.HALVES.capitalize()}”: cosine between two "
        "velocities, each computed from half of the measured molecules; it shows how "
        "certain the measured velocity is. Permuted ratios carry no cell state: compare "
        "each number with theirs."
    )


def _expression(run: Run) -> None:
    numbers_table(
        tables.latent_quality(run.metrics),
        tables.LATENT,
        "How well both models reconstruct the expression of held-out cells and separate "
        "cell types.",
    )
    st.caption(
        "Held-out cells, from their totals. Joint training should cost little "
        "reconstruction quality."
    )


#: Shown instead of curves.
_NO_TRAINING: Final = (
    "This run trained no model. It used the models of another run; see that run's page for "
    "their training."
)


def _training(run: Run) -> None:
    if run.config.kind != "train":
        st.caption(_NO_TRAINING)
        return
    show_or_explain(lambda: cache.figure(views.training_figure, run), "training-curves")
    st.caption(
        "Losses on the training cells. They do not show overfitting; the curves of monitored "
        "cells below do."
    )
    try:
        progress.watched_curves(run.history, run)
        said = views.training_sentences(run)
    except RunError as failure:
        st.caption(plain(failure, 400))
        return
    if said:
        st.markdown("\n".join(f"- {plain(sentence, 400)}" for sentence in said))


_page()
