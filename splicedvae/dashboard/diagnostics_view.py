"""How well the ratios of held-out cells were predicted, beside baselines and ceilings.

The table stands first, what is behind it in parts, of which one is computed at a time.
"""

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
from splicedvae.dashboard import cache, cache_diagnostics, theme
from splicedvae.dashboard.state import query_params
from splicedvae.dashboard.text import defuse, plain
from splicedvae.dashboard.theme import numbers_table, shown_or_told
from splicedvae.dashboard.widgets import cautions, downloads, progress, save_figure, tables
from splicedvae.dashboard.widgets.result import default_coverage
from splicedvae.report import FigureCall
from splicedvae.runs import Run

#: A part of the page: its name, what draws it.
_Part = tuple[str, Callable[[Run], None]]


def show(run: Run) -> None:
    """Show the numbers of a run, and the figures behind them.

    Parameters
    ----------
    run
        A finished run.
    """
    if not downloads.has_metrics(run):
        st.info(
            "The file has no measured spliced and unspliced counts, so there is nothing to compare "
            "the predictions with.",
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
        help="The fewer counts, the more an entry's measured fraction is noise.",
    )
    coverage = int(picked or coverage)
    numbers_table(
        tables.accuracy(metrics, coverage),
        tables.ACCURACY,
        "RMSE, Pearson r, skill and within-gene r of each predictor, and what is possible.",
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
        " Ridge on PCA: a logistic regression of each gene on principal components of the totals, "
        "what is reached without deep learning."
    )


def _density(run: Run, coverage: int | None) -> None:
    sources = views.predictors(run)
    if not sources or coverage is None:
        st.caption("This run keeps no measured counts to draw its predictions against.")
        return
    theme.show(
        cache.ratio_figure(run, sources, coverage),
        key="ratios",
        name=f"{downloads.file_stem(run)}-predicted-measured",
    )
    theme.draw_ahead(figure=True)
    save_figure.buttons(run, FigureCall("ratios", {"sources": list(sources), "coverage": coverage}))
    st.caption(
        "Colour counts entries, so that a million of them can be read. The gene mean has one "
        "number for each gene and looks much the same: this picture shows differences between "
        "genes, not what a velocity is made of."
    )


def _by_coverage(run: Run) -> None:
    dark = theme.is_dark()
    shown_or_told(lambda: cache.coverage_figure(run), "coverage-curves")
    save_figure.buttons(run, FigureCall("coverage"))
    st.caption(
        "With few counts the measured fraction is mostly noise, and every predictor has a large "
        "error; where many are asked for, every predictor looks good. What a model adds is the gap "
        "to the gene mean, as a share of the gap between gene mean and best possible:"
    )
    shown_or_told(lambda: views.gain_figure(run, dark=dark), "gain-curves")
    st.markdown("#### The two published numbers")
    try:
        table = cache_diagnostics.published_table(run)
    except (DataError, RunError) as failure:
        st.caption(plain(failure, 400))
        return
    st.markdown("\n".join(f"- {plain(said, 400)}" for said in _published_words(table)))
    st.caption(
        "They were reported without a mask, a split or a rule of smoothing. Both depend above all "
        "on which entries are counted, so that neither says whether a model knows anything of a "
        "cell's state."
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
                parts.append(f"{label} from {coverage:.0f} counts on")
            else:
                parts.append(f"{label} at no coverage with 100 entries")
        if parts:
            said.append(f"{metric_of(key).head} {rows['published'].iloc[0]:g}: {', '.join(parts)}.")
    return said


def _within_genes(run: Run) -> None:
    shown_or_told(lambda: cache.within_gene_figure(run), "within-genes")
    save_figure.buttons(run, FigureCall("within-gene"))
    st.caption(
        "Each gene's own correlation between predicted and measured ratio over held-out cells; a "
        "constant for each gene has none. Single entries are noisy, so that even a perfect "
        "predictor stays far below 1: the table above says what is possible. Single genes are on "
        "the page Genes."
    )


def _calibration(run: Run) -> None:
    try:
        figure = cache_diagnostics.reliability_figure(run)
    except (DataError, RunError) as failure:
        st.caption(plain(failure, 400))
        return
    theme.show(figure, key="reliability", name=f"{downloads.file_stem(run)}-calibration")
    told = views.calibration_table(run)
    if len(told):
        st.markdown("\n".join(f"- {plain(said, 400)}" for said in _calibration_words(told)))
    st.caption(
        "Left: of the molecules predicted to be spliced with, say, 70%, how far from 70% were? "
        "Near 0 is right, and the gene mean is there too. Right: where a gene was predicted above "
        "or below its mean, was it, and by as much? Steeper than the dotted line: the truth varies "
        "more than was dared; flatter: less. Error bars hold 90% of the sampling noise."
    )
    st.markdown("#### Intervals of counts")
    shown_or_told(lambda: views.interval_figure(run, dark=theme.is_dark()), "interval-coverage")
    st.caption(
        "Each held-out count has an interval that should hold it with 90%. Below the line, the "
        "model is surer than it should be; above, less sure. The gene mean and the other baselines "
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
        table = cache_diagnostics.cell_table(run)
        figure = views.cell_figure(table, run, dark=theme.is_dark())
    except (DataError, RunError) as failure:
        st.caption(plain(failure, 400))
        return
    theme.show(figure, key="cells", name=f"{downloads.file_stem(run)}-cells")
    skills = table[f"skill_{Sources.SPLICEDVAE}"].dropna()
    st.caption(
        f"{(skills > 0).mean():.0%} of {len(skills):,} cells are predicted better than by the gene "
        "mean. A cell has few molecules, so that chance alone puts many on either side of 0: look "
        "at whether a whole cluster lies below. Boxes hold half of the cells, whiskers 90%."
    )
    worst = views.worst_cells(table)
    st.markdown("#### Cells predicted worst")
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
        "Arrows at cells like these rest on ratios that are worse than one number for each gene. "
        "Among cells with few molecules that is chance; where they share a cluster, or have as "
        "many molecules as others, the model knows their kind badly."
    )


def _velocities(run: Run) -> None:
    numbers_table(
        tables.velocity_agreement(run.metrics),
        tables.VELOCITY,
        "Cosines of each velocity to the measured one, what is possible, and the confidence.",
    )
    st.caption(
        f"Among held-out cells. “{tables.HALVES.capitalize()}”: how far two velocities agree that "
        "were each computed from half of the measured molecules, a measure of how certain the "
        "measured one is. Shuffled ratios know nothing of a cell's state: look at what a number "
        "has above them."
    )


def _expression(run: Run) -> None:
    numbers_table(
        tables.latent_quality(run.metrics),
        tables.LATENT,
        "How well both models know the expression of held-out cells and order the cells.",
    )
    st.caption(
        "Of held-out cells, from their totals. Joint training must not cost expression much."
    )


#: What is said in place of curves.
_NO_TRAINING: Final = (
    "This run trained nothing: it used the models of another run, whose page shows their training."
)


def _training(run: Run) -> None:
    if run.config.kind != "train":
        st.caption(_NO_TRAINING)
        return
    shown_or_told(lambda: cache.training_figure(run), "training-curves")
    st.caption(
        "Losses of the cells that the models learn from; all training cells are. They cannot show "
        "learning by heart, the watched cells below can."
    )
    try:
        progress.watched_curves(run.history, run)
        said = views.training_sentences(run)
    except RunError as failure:
        st.caption(plain(failure, 400))
        return
    if said:
        st.markdown("\n".join(f"- {plain(sentence, 400)}" for sentence in said))
