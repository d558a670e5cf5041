"""What is in a file, on a page: size, layers, depth, unspliced fraction, a reviewer's doubts."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from splicedvae import plotting, triage, views
from splicedvae._core.errors import SplicedVAEError
from splicedvae.dashboard import cards, reading, theme
from splicedvae.dashboard.state import query_params
from splicedvae.dashboard.text import defuse, line, plain, size
from splicedvae.dashboard.uploads import StoredFile
from splicedvae.dashboard.widgets import verdict

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

_COUNTS = {
    "with-introns": "the totals include intronic counts",
    "exonic": "the totals are exonic counts",
}


def show(
    stored: StoredFile, contents: reading.Contents, fit: triage.ModelFit | None
) -> tuple[triage.DataSummary, DeltaGenerator]:
    """Show what was found in a file.

    Parameters
    ----------
    stored
        The file.
    contents
        What was read of it.
    fit
        Fit of the best trained model, which decides without S/U.

    Returns
    -------
    The summary for the clusters that the visitor chose, and a place below the numbers for the
    cells themselves.
    """
    summary = contents.summary
    st.header(plain(stored.name, 80), anchor=False)
    st.caption(
        f"{size(stored.size)} · SHA-256 {stored.sha256[:12]}… · "
        f"gene names: {plain(summary.gene_style, 120)} · species: {plain(_species(summary), 120)}"
    )
    measured = summary.has_measured_layers
    if measured:
        verdict.show(summary.verdict)
    else:
        verdict.show_apart(triage.judge_counts(summary), triage.judge_models(summary, fit))
    _numbers(summary)
    _remarks(summary)
    place = st.container()
    left, right = st.columns([4, 5], gap="medium")
    with left:
        st.subheader("Depth", anchor=False)
        _depth(summary)
    with right:
        st.subheader("Unspliced fraction", anchor=False)
        summary = _unspliced(stored, summary)
    with st.expander("What was read from the file, and what was changed", icon=":material/info:"):
        for note in summary.notes:
            st.markdown(f"- {plain(note, 600)}")
        if summary.counts is not None:
            st.markdown(f"- Inferred from the layers: {_COUNTS[summary.counts]}.")
    if summary.clusters:
        with st.expander("Clusters as a table", icon=":material/table:"):
            _table(summary)
    return summary, place


def _remarks(summary: triage.DataSummary) -> None:
    """Show in one box the remarks that the verdict does not use."""
    said = [plain(remark, 600) for remark in summary.remarks]
    if said:
        st.info("\n".join(["Note:", *(f"- {words}" for words in said)]), icon=":material/info:")


def _species(summary: triage.DataSummary) -> str:
    guess = summary.species
    if guess.species is None:
        return "not recognized"
    return (
        guess.species if guess.confidence == "certain" else f"{guess.species} ({guess.confidence})"
    )


def _numbers(summary: triage.DataSummary) -> None:
    fraction = summary.unspliced_fraction
    with st.container(horizontal=True):
        st.metric("Cells", f"{summary.n_cells:,}", border=True)
        st.metric("Genes", f"{summary.n_genes:,}", border=True)
        st.metric("Median counts of a cell", f"{summary.umis_per_cell.median:,.0f}", border=True)
        st.metric(
            "Spliced and unspliced", "yes" if summary.has_measured_layers else "no", border=True
        )
        st.metric("Unspliced fraction", "–" if fraction is None else f"{fraction:.1%}", border=True)
    sources = [f"totals from {summary.total_source}"]
    if summary.spliced_source is not None:
        sources.append(f"spliced from {summary.spliced_source}")
    if summary.unspliced_source is not None:
        sources.append(f"unspliced from {summary.unspliced_source}")
    if fraction is not None:
        sources.append(f"unspliced fraction over {views.FILE_GENES}")
    if summary.ambiguous_share is not None:
        share = f"{summary.ambiguous_share:.1%}"
        sources.append(f"{share} of the counts are ambiguous and {summary.ambiguous_place}")
    if summary.genes_with_shared_counts is not None:
        sources.append(
            f"{summary.genes_with_shared_counts:,} genes have enough shared counts for a velocity"
        )
    st.caption(f":material/info: {plain(', '.join(sources), 400)}")


def _depth(summary: triage.DataSummary) -> None:
    histogram = summary.umis_histogram
    figure = plotting.depth_histogram(
        [
            plotting.Histogram(
                "total",
                np.asarray(histogram.counts),
                np.asarray(histogram.edges),
                median=summary.umis_per_cell.median,
            )
        ],
        dark=theme.is_dark(),
    )
    theme.show(figure, key="depth", name="depth")


def _unspliced(stored: StoredFile, summary: triage.DataSummary) -> triage.DataSummary:
    if not summary.has_measured_layers:
        st.markdown("Unknown: the file has totals only.")
        return summary
    if not summary.cluster_columns:
        st.markdown(
            "No column of the cells looks like clusters, so only the overall fraction is shown."
        )
        _cells_histogram(summary)
        return summary
    columns = list(summary.cluster_columns)
    query_params.check("clusters", [line(name, 60) for name in columns], "clusters")
    picked = st.selectbox(
        "Clusters",
        columns,
        index=columns.index(summary.cluster_key) if summary.cluster_key in columns else 0,
        format_func=lambda name: line(name, 60),
        key="clusters",
        bind="query-params",
    )
    if picked != summary.cluster_key:
        try:
            summary = reading.contents(stored, picked).summary
        except SplicedVAEError as failure:
            cards.error(failure)
            return summary
    rows = [row for row in summary.clusters if row.unspliced_fraction is not None]
    if not rows:
        st.markdown("No cluster has spliced or unspliced counts.")
        return summary
    table = pd.DataFrame(
        {
            "cluster": [row.cluster for row in rows],
            "n_cells": [row.n_cells for row in rows],
            "median_depth": [row.median_umis for row in rows],
            "unspliced_fraction": [row.unspliced_fraction for row in rows],
        }
    )
    figure = plotting.unspliced_fraction_by_cluster(
        table,
        overall=summary.unspliced_fraction,
        genes=views.FILE_GENES,
        dark=theme.is_dark(),
    )
    theme.show(figure, key="unspliced", name="unspliced-fraction")
    return summary


def _cells_histogram(summary: triage.DataSummary) -> None:
    histogram = summary.unspliced_histogram
    if histogram is None or summary.unspliced_fraction_per_cell is None:
        return
    quartiles = summary.unspliced_fraction_per_cell
    st.caption(
        f"Half of the cells have between {quartiles.lower:.1%} and {quartiles.upper:.1%} "
        "unspliced counts."
    )


def _table(summary: triage.DataSummary) -> None:
    rows = [dataclasses.asdict(row) for row in summary.clusters]
    table = pd.DataFrame(rows).drop(columns="unspliced_fraction_per_cell")
    st.dataframe(
        defuse(table),
        hide_index=True,
        column_config={
            "cluster": st.column_config.TextColumn("cluster"),
            "n_cells": st.column_config.NumberColumn("cells", format="localized"),
            "median_umis": st.column_config.NumberColumn("median counts", format="localized"),
            "unspliced_fraction": st.column_config.NumberColumn("unspliced", format="percent"),
        },
        alt="Cells, median counts and unspliced fraction of each cluster.",
    )
