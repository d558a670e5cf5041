"""The list of runs: find, open, name, annotate, delete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import streamlit as st

from splicedvae.dashboard import cards, pages
from splicedvae.dashboard.state import query_params, selection
from splicedvae.dashboard.text import duration, moment, paragraph, plain, size
from splicedvae.runs import (
    NOTE_LENGTH,
    DamagedRun,
    Run,
    all_runs,
    annotate,
    delete,
    rename,
)

#: Rows before the rest is folded away.
FIRST = 8
#: From so many runs on, they can be searched and sorted.
MANY: Final = 5

_STATES: Final = ("running", "queued", "finished", "stopped", "failed", "lost")
_ORDERS: Final[dict[str, Callable[[Run], Any]]] = {
    "newest": lambda run: -run.created,
    "oldest": lambda run: run.created,
    "name": lambda run: (run.name.casefold(), -run.created),
    "state": lambda run: (_STATES.index(run.status.state), -run.created),
}


def show(chosen: Run | None) -> None:
    """Show all runs, the newest first unless another order is requested.

    Parameters
    ----------
    chosen
        The run that is open.
    """
    found, damaged = all_runs()
    demo = selection.shipped_run()
    if demo is not None:
        found.append(demo)
    if not found:
        st.caption("No runs yet. Your first run appears here once it has started.")
    if len(found) >= MANY:
        found = _asked_for(found)
    for run in found[:FIRST]:
        _row(run, chosen)
    if len(found) > FIRST:
        with st.expander(f"{len(found) - FIRST} more runs"):
            for run in found[FIRST:]:
                _row(run, chosen)
    for item in damaged:
        _damaged_row(item)


def _asked_for(found: list[Run]) -> list[Run]:
    query_params.check("order-runs", _ORDERS, "order of the runs")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        wanted = st.text_input(
            "Find a run",
            key="find-runs",
            bind="query-params",
            placeholder="part of the name or note",
            icon=":material/search:",
        )
        order = st.segmented_control(
            "Order",
            list(_ORDERS),
            default="newest",
            required=True,
            key="order-runs",
            bind="query-params",
        )
    words = wanted.casefold().split()
    kept = [
        run
        for run in found
        if all(word in f"{run.name}\n{run.annotation}".casefold() for word in words)
    ]
    if not kept:
        st.caption("No run has this in its name or note: try fewer letters.")
    return sorted(kept, key=_ORDERS[order or "newest"])


def _row(run: Run, chosen: Run | None) -> None:
    key = selection.run_id(run)
    status = run.status
    kind = "training" if run.config.kind == "train" else "prediction"
    told = [kind, moment(run.created)]
    if status.started and status.is_final:
        told.append(f"took {duration(max(status.updated - status.started, 0))}")
    told.append(size(run.size))
    with st.container(border=True):
        facts, actions = st.columns([2, 1], vertical_alignment="center")
        with facts, st.container(gap="xsmall"):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"**{plain(run.name, 80)}**", width="content")
                cards.state_badge(status, run.pulse)
            st.caption(" · ".join(told))
            if run.annotation:
                st.markdown(paragraph(run.annotation))
        with actions, st.container(horizontal=True, horizontal_alignment="right"):
            _actions(run, key, is_open=chosen is not None and chosen.path == run.path)


def _damaged_row(item: DamagedRun) -> None:
    """Show a folder that cannot be read as a run, and let a visitor delete it."""
    if not item.is_run:
        st.caption(
            f":material/folder_off: {plain(item.name)} in the folder of runs is not listed: "
            f"{plain(item.reason, 400)}"
        )
        return
    with st.container(border=True):
        facts, actions = st.columns([2, 1], vertical_alignment="center")
        with facts, st.container(gap="xsmall"):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"**{plain(item.name)}**", width="content")
                st.badge("damaged", color="red", icon=":material/folder_off:")
            st.caption(f"This run is not listed among the others. {plain(item.reason, 400)}")
        with (
            actions,
            st.container(horizontal=True, horizontal_alignment="right"),
            st.popover("", icon=":material/more_horiz:", help="Delete", key=f"more-{item.name}"),
        ):
            _delete(item, item.name, is_open=False)


def _delete(run: Run | DamagedRun, key: str, *, is_open: bool) -> None:
    sure = st.checkbox("Delete the run and all its results", key=f"sure-{key}")
    if st.button("Delete", type="primary", disabled=not sure, key=f"delete-{key}"):
        with cards.show_errors():
            delete(run)
            if is_open:
                selection.forget_run()
            st.rerun()


def _actions(run: Run, key: str, *, is_open: bool) -> None:
    if run.is_finished:
        if st.button("Compare", key=f"compare-{key}"):
            st.switch_page(pages.VELOCITY.script, query_params={"run": key})
    elif st.button(
        "Open" if run.status.is_final else "Watch", key=f"watch-{key}", disabled=is_open
    ):
        selection.choose_run(run)
        st.rerun()
    if key == selection.DEMO:
        return
    with st.popover(
        "", icon=":material/more_horiz:", help="Rename, note, delete", key=f"more-{key}"
    ):
        name = st.text_input("Name", run.name, max_chars=120, key=f"name-{key}")
        if st.button("Rename", key=f"rename-{key}"):
            with cards.show_errors():
                rename(run, name)
                st.rerun()
        text = st.text_area(
            "Note",
            run.annotation,
            max_chars=NOTE_LENGTH,
            key=f"note-{key}",
            height="content",
            help="Plain text, shown in this list, under “How it was made” and in the report.",
        )
        if st.button("Save the note", key=f"annotate-{key}"):
            with cards.show_errors():
                annotate(run, text)
                st.rerun()
        if run.is_finished and st.button(
            "Compare with …", icon=":material/difference:", key=f"beside-{key}"
        ):
            st.switch_page(pages.TWO_RUNS.script, query_params={"run": key})
        if not run.status.is_final:
            st.caption("Stop the run before deleting it.")
            return
        _delete(run, key, is_open=is_open)
