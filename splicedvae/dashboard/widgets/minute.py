"""A verdict on a file in about a minute: the triage, asked for and shown on the file's page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

from splicedvae import triage
from splicedvae.dashboard import cards, reading
from splicedvae.dashboard.text import line, plain
from splicedvae.dashboard.uploads import StoredFile
from splicedvae.dashboard.widgets import model_fit, velocity_verdict
from splicedvae.jobs import triage_file
from splicedvae.pipeline import CHANGES

_NOT_KNOWN: Final = "not known"
#: Most values of a column that is offered as a root or a time.
_MOST_GROUPS: Final = 60


def show(
    stored: StoredFile,
    contents: reading.Contents,
    summary: triage.DataSummary,
    found: list[model_fit.Candidate],
) -> None:
    """Offer the triage of a file, and show what it found.

    Parameters
    ----------
    stored
        The file.
    contents
        What was read of it.
    summary
        The same for the clusters that the visitor chose.
    found
        The models and how they fit.
    """
    measured = summary.has_measured_layers
    usable = [one for one in found if one.fit.fits]
    if not measured and not usable:
        # The verdict above says so, and what to do.
        return
    with st.container(border=True, key="minute"):
        st.subheader("Verdict in a minute", anchor=False)
        st.caption(
            "Computes the velocity of at most 2,000 cells, "
            + ("" if measured else f"predicted by “{plain(_model(found).source.name, 60)}”, ")
            + "again with half of its genes, neighbors and molecules, next to permuted ratios. "
            "A known root or time is the strongest check of its direction."
        )
        root, time_key = _known(summary, contents)
        asked = {
            "model": None if measured else _model(found).source.reference,
            "cluster_key": summary.cluster_key,
            "time_key": time_key,
            "root": root,
        }
        if st.button("Run the triage", icon=":material/timer:", key="run-triage"):
            st.session_state[_key(stored)] = asked
        # Shown as long as the visitor does not ask for something else.
        if st.session_state.get(_key(stored)) == asked:
            with cards.show_errors():
                _result(_triage(stored.sha256, stored.path, **asked))


def _key(stored: StoredFile) -> str:
    return f"triage-{stored.sha256[:12]}"


def _model(found: list[model_fit.Candidate]) -> model_fit.Candidate:
    return model_fit.proposed([one for one in found if one.fit.fits])


def _known(
    summary: triage.DataSummary, contents: reading.Contents
) -> tuple[str | None, str | None]:
    """Ask what is known of the cells' order."""
    left, right = st.columns(2)
    groups = [row.cluster for row in summary.clusters][:_MOST_GROUPS]
    root = left.selectbox(
        "Root: where the process begins",
        [_NOT_KNOWN, *groups],
        format_func=lambda name: line(name, 60),
        key="triage-root",
        disabled=not groups,
        help="A cell group. The arrows are compared with pseudotime of expression from there.",
    )
    time = right.selectbox(
        "Time of the cells",
        [_NOT_KNOWN, *contents.times],
        format_func=lambda name: line(name, 60),
        key="triage-time",
        disabled=not contents.times,
        help="A column of obs with a number that grows with time, such as hours.",
    )
    return (
        None if root == _NOT_KNOWN else str(root),
        None if time == _NOT_KNOWN else str(time),
    )


@st.cache_data(ttl="2h", max_entries=64, show_spinner="Computing the velocity, about a minute …")
def _triage(
    sha256: str,
    path: str,
    *,
    model: str | None,
    cluster_key: str | None,
    time_key: str | None,
    root: str | None,
) -> dict[str, Any]:
    return triage_file(path, model=model, cluster_key=cluster_key, time_key=time_key, root=root)


def _result(found: Mapping[str, Any]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown("**Velocity of this file**", width="content")
        velocity_verdict.badge(found["answer"])
    velocity_verdict.reasons((one["weight"], one["sentence"]) for one in found["reasons"])
    if found["stability"]:
        _stability(pd.DataFrame(found["stability"]))
    if found["driver_genes"]:
        genes = ", ".join(
            f"{plain(row['gene'], 40)} {row['share']:.0%}" for row in found["driver_genes"]
        )
        st.caption(f"Genes that draw the arrows (share, mean over cells): {genes}")
    for note in found["notes"]:
        st.caption(plain(note, 600))
    st.markdown(f"**Next:** {plain(found['next_step'], 400)}")


def _stability(table: pd.DataFrame) -> None:
    """Draw the agreement after each change, next to what permuted ratios reach."""
    long = pd.concat(
        [
            pd.DataFrame({"change": table["change"].map(CHANGES), "kind": kind, "cosine": values})
            for kind, values in (
                ("velocity", table["cosine"]),
                ("permuted ratios", table["chance"]),
            )
        ]
    )
    long["cosine"] = long["cosine"].astype(float).replace([np.inf, -np.inf], np.nan)
    base = alt.Chart(long.dropna()).encode(
        x=alt.X("cosine:Q", title="cosine of the arrows in the embedding").scale(domain=[-0.5, 1]),
        y=alt.Y("change:N", title=None, sort=list(CHANGES.values())).axis(labelLimit=320),
    )
    chart = base.mark_line(color="#8a8a8a").encode(detail="change:N") + base.mark_point(
        filled=True, size=110, opacity=1
    ).encode(
        color=alt.Color("kind:N", title=None)
        .scale(domain=["velocity", "permuted ratios"], range=["#0072B2", "#8a8a8a"])
        .legend(orient="top"),
        shape=alt.Shape("kind:N", title=None, legend=None).scale(
            domain=["velocity", "permuted ratios"], range=["circle", "diamond"]
        ),
        tooltip=[
            alt.Tooltip("change:N", title="change"),
            alt.Tooltip("kind:N", title="of"),
            alt.Tooltip("cosine:Q", title="cosine", format=".2f"),
        ],
    )
    st.altair_chart(chart.properties(height=alt.Step(38)), key="stability")
