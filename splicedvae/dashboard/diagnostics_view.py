"""How well the ratios of held-out cells were predicted, beside baselines and ceilings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from splicedvae._keys import Sources
from splicedvae.dashboard import address, cautions, downloads, export, held, tables, theme
from splicedvae.dashboard.result import default_coverage
from splicedvae.dashboard.text import plain
from splicedvae.dashboard.theme import numbers_table, shown_or_told
from splicedvae.report import FigureCall, views
from splicedvae.runs import Run

if TYPE_CHECKING:
    pass


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
    metrics = run.metrics
    known = tables.coverages(metrics)
    coverage = default_coverage(known)
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
        numbers_table(
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
        numbers_table(
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
        numbers_table(
            latent,
            tables.LATENT,
            "How well both models know the expression of held-out cells and order the cells.",
        )
        st.caption(
            "Of held-out cells, from their totals. Joint training must not cost expression much."
        )
    st.subheader("Predicted against measured", anchor=False)
    sources = views.predictors(run)
    if sources and coverage is not None:
        theme.show(
            held.ratio_figure(run, sources, coverage),
            key="ratios",
            name=f"{downloads.file_stem(run)}-predicted-measured",
        )
        export.buttons(run, FigureCall("ratios", {"sources": list(sources), "coverage": coverage}))
    dark = theme.is_dark()
    st.subheader("By coverage", anchor=False)
    shown_or_told(lambda: views.coverage_figure(run, dark=dark), "coverage-curves")
    export.buttons(run, FigureCall("coverage"))
    st.subheader("Within genes", anchor=False)
    shown_or_told(lambda: views.within_gene_figure(run, dark=dark), "within-genes")
    export.buttons(run, FigureCall("within-gene"))


def _ridge_words(metrics: pd.DataFrame) -> str:
    if not (metrics["predictor"] == Sources.RIDGE).any():
        return ""
    return (
        " Ridge on PCA: a logistic regression of each gene on principal components of the totals, "
        "what is reached without deep learning."
    )
