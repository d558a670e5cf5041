"""How it was made: what was done to the data, settings, versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from splicedvae import views
from splicedvae.dashboard import cache, cards, pages
from splicedvae.dashboard.text import defuse, duration, line, moment, paragraph, plain
from splicedvae.dashboard.theme import draw_ahead, show_or_explain
from splicedvae.dashboard.widgets import downloads, progress, result, save_figure
from splicedvae.report import FigureCall
from splicedvae.runs import Run
from splicedvae.views import command_line, python_call, run_settings


def _page() -> None:
    opened = result.frame(pages.PROVENANCE)
    if opened is None:
        return
    run, _, _ = opened
    with cards.show_errors():
        _provenance(run)


def _provenance(run: Run) -> None:
    """Show what was done to the data, with which settings and versions."""
    config, made = run.config, run.provenance
    if run.annotation:
        st.subheader("Note on this run", anchor=False)
        st.markdown(paragraph(run.annotation))
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("What was done to the data", anchor=False)
        st.markdown("\n".join(f"- {plain(note, 600)}" for note in run.notes) or "No changes.")
        table = views.velocity_table(run)
        st.subheader("How each velocity was computed", anchor=False)
        st.dataframe(defuse(table), hide_index=True, alt="State, model and genes of each velocity.")
    with right:
        _settings(run)
        _origin(run, made)
    _again(run)
    if config.kind == "train":
        draw_ahead()
        st.subheader("Training curves", anchor=False)
        show_or_explain(lambda: cache.figure(views.training_figure, run), "training-curves")
        progress.watched_curves(run.history, run)
        save_figure.buttons(run, FigureCall("training"))


def _settings(run: Run) -> None:
    """Show what somebody chose, and folded what is as usual."""
    settings = run_settings(run)
    chosen = [setting for setting in settings if not setting.is_usual]
    usual = [setting for setting in settings if setting.is_usual]
    st.subheader("Settings", anchor=False)
    table = pd.DataFrame(
        [(item.name, line(item.value), item.usual) for item in chosen],
        columns=["setting", "value", "usual"],
    )
    st.dataframe(defuse(table), hide_index=True, alt="Settings that differ from the defaults.")
    with st.expander(f"{len(usual)} more settings at their defaults"):
        table = pd.DataFrame(
            [(item.name, line(item.value)) for item in usual], columns=["setting", "value"]
        )
        st.dataframe(defuse(table), hide_index=True, alt="Settings at their defaults.")


def _origin(run: Run, made: Mapping[str, Any]) -> None:
    """Show where the numbers come from: data, seeds, code, versions, time."""
    st.subheader("Origin", anchor=False)
    seconds = made.get("seconds")
    rows = [
        ("data digest (sha256)", run.config.data_sha256),
        ("seed of split, training, embeddings", run.config.seed),
        ("seed of the velocity", run.config.velocity.seed),
        ("run", run.id),
        ("code", made.get("code") or "not recorded"),
        ("finished", moment(float(made["finished"])) if made.get("finished") else "not recorded"),
        ("time taken", duration(float(seconds)) if seconds else "not recorded"),
        ("device", made.get("device") or "not recorded"),
    ]
    table = pd.DataFrame([(name, line(value)) for name, value in rows], columns=["what", "value"])
    st.dataframe(defuse(table), hide_index=True, alt="Data digest, seeds, code and time.")
    packages = {"python": made.get("python"), **(made.get("packages") or {})}
    with st.expander(f"{len(packages)} versions"):
        table = pd.DataFrame(
            [(line(name), line(version or "absent")) for name, version in packages.items()],
            columns=["package", "version"],
        )
        st.dataframe(defuse(table), hide_index=True, alt="Versions of Python and packages.")


def _again(run: Run) -> None:
    """Show how to reproduce the run, and its downloads."""
    st.subheader("Reproduce", anchor=False)
    st.code(command_line(run), language="bash", wrap_lines=True)
    with st.expander("In Python, with all settings"):
        st.code(python_call(run), language="python")
    downloads.buttons(run)


_page()
