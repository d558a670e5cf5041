"""How a run was made: data, settings, versions, velocities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from splicedvae.dashboard import held, live
from splicedvae.dashboard.text import defuse, line, moment, paragraph, plain
from splicedvae.dashboard.theme import shown_or_told
from splicedvae.report import views
from splicedvae.runs import Run

if TYPE_CHECKING:
    pass


def show(run: Run) -> None:
    """Show what was done to the data, with which settings and versions.

    Parameters
    ----------
    run
        A finished run.
    """
    config, made = run.config, run.provenance
    if run.annotation:
        st.subheader("Note on this run", anchor=False)
        st.markdown(paragraph(run.annotation))
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("What was done to the data", anchor=False)
        st.markdown("\n".join(f"- {plain(note, 600)}" for note in run.notes) or "Nothing to tell.")
        table = views.velocity_table(run)
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
        shown_or_told(lambda: held.training_figure(run), "training-curves")
        live.watched_curves(run.history, run)
