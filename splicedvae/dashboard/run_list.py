"""The list of runs: open, rename, delete."""

from __future__ import annotations

import streamlit as st

from splicedvae.dashboard import cards, choice
from splicedvae.dashboard.text import duration, moment, plain
from splicedvae.runs import Run, delete, rename

#: Rows before the rest is folded away.
FIRST = 8


def show(chosen: Run | None) -> None:
    """Show all runs, the newest first.

    Parameters
    ----------
    chosen
        The run that is open.
    """
    found, unreadable = choice.all_runs()
    demo = choice.shipped_run()
    if demo is not None:
        found.append(demo)
    if not found:
        st.caption("No run yet: the first one appears here once it is started.")
    for run in found[:FIRST]:
        _row(run, chosen)
    if len(found) > FIRST:
        with st.expander(f"{len(found) - FIRST} older runs"):
            for run in found[FIRST:]:
                _row(run, chosen)
    for sentence in unreadable:
        st.caption(f":material/folder_off: {plain(sentence)}")


def _row(run: Run, chosen: Run | None) -> None:
    key = choice.run_id(run)
    status = run.status
    kind = "training" if run.config.kind == "train" else "prediction"
    told = [kind, moment(run.created)]
    if status.started and status.is_final:
        told.append(f"took {duration(max(status.updated - status.started, 0))}")
    with st.container(border=True):
        facts, actions = st.columns([2, 1], vertical_alignment="center")
        with facts, st.container(gap="xsmall"):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"**{plain(run.name, 80)}**", width="content")
                cards.state_badge(status)
            st.caption(" · ".join(told))
        with actions, st.container(horizontal=True, horizontal_alignment="right"):
            _actions(run, key, is_open=chosen is not None and chosen.path == run.path)


def _actions(run: Run, key: str, *, is_open: bool) -> None:
    if run.is_finished:
        if st.button("Compare", key=f"compare-{key}"):
            st.switch_page(cards.VELOCITY, query_params={"run": key})
    elif st.button(
        "Open" if run.status.is_final else "Watch", key=f"watch-{key}", disabled=is_open
    ):
        choice.choose_run(run)
        st.rerun()
    if key == choice.DEMO:
        return
    with st.popover("", icon=":material/more_horiz:", help="Rename or delete", key=f"more-{key}"):
        name = st.text_input("Name", run.name, max_chars=120, key=f"name-{key}")
        if st.button("Rename", key=f"rename-{key}"):
            with cards.told():
                rename(run, name)
                st.rerun()
        if not run.status.is_final:
            st.caption("Stop the run before deleting it.")
            return
        sure = st.checkbox("Delete the run and all its results", key=f"sure-{key}")
        if st.button("Delete", type="primary", disabled=not sure, key=f"delete-{key}"):
            with cards.told():
                delete(run)
                if is_open:
                    choice.forget_run()
                st.rerun()
