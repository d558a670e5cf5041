"""A running run: stage, time left, curves; polled only until it has ended.

All of it is read from the run's folder, so that a refresh, a second tab and a restarted server
show the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import streamlit as st

from splicedvae import plotting, views
from splicedvae._core.errors import DataError, RunError
from splicedvae.dashboard import cache, cards, pages, theme, uploads
from splicedvae.dashboard.state import selection
from splicedvae.dashboard.text import plain
from splicedvae.jobs import estimate_rest, place_of, resume, start, stop
from splicedvae.runs import TRAININGS, Record, Run, Status, find_run, resumable

if TYPE_CHECKING:
    import pandas as pd

#: Polling interval in seconds of a running run, and of one whose streams are to open.
POLL: Final = 1.5
POLL_SOON: Final = 0.5

#: Id of the run whose streams open by themselves as soon as they can be drawn.
_OPENING: Final = "_opens_by_itself"
_CONFIRM: Final = "_confirm_stop"
_STOPPING: Final = "_stopping"


def open_streams_of(run: Run) -> None:
    """Open the streams of a run automatically while this visitor has its page open."""
    st.session_state[_OPENING] = selection.run_id(run)


def _opens(run: Run) -> bool:
    """Say whether a run's streams are to open by themselves now; they do so once."""
    if st.session_state.get(_OPENING) != selection.run_id(run):
        return False
    ready = run.has_streams
    if ready or run.status.is_final:
        st.session_state.pop(_OPENING)
    return ready


def watch(run: Run) -> None:
    """Show a run, and look again every moment while it works.

    Parameters
    ----------
    run
        Any run; one at rest is shown once.
    """
    state = run.status.state
    # While the page asks whether to stop, nothing may redraw the button under the pointer.
    asking = _asks(run.path.name)
    opening = st.session_state.get(_OPENING) == selection.run_id(run)
    poll = POLL_SOON if opening else POLL
    every = None if run.status.is_final or asking else poll
    st.fragment(_view, run_every=every)(selection.run_id(run), state, asking)


def _asks(name: str) -> bool:
    return bool(st.session_state.get(_CONFIRM) == name)


def _view(run_id: str, seen: str, asked: bool) -> None:
    """Draw the run; the whole page is run again when its state is another than was seen."""
    try:
        run = find_run(run_id)
        status = run.status
    except RunError as failure:
        cards.error(failure)
        return
    if _opens(run):
        _show_streams(run)
    if status.state != seen:
        if status.is_final:
            st.session_state.pop(_CONFIRM, None)
        st.rerun()
    if not status.is_final and _asks(run.path.name) != asked:
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(plain(run.name, 80), anchor=False, width="content")
        cards.state_badge(status, run.pulse)
    if status.is_final:
        _at_rest(run, status)
    else:
        _at_work(run, status)
    _curves(run, status)
    with st.expander("Log", icon=":material/terminal:", key="log", on_change="rerun") as opened:
        if opened.open:
            tail = run.log_tail(60)
            if tail:
                st.code(tail, language=None, wrap_lines=True, height=260)
            else:
                st.caption("The log is empty.")


def _at_work(run: Run, status: Status) -> None:
    cards.progress(status, run.pulse)
    waiting = place_of(run)
    if waiting:
        st.caption(
            f":material/hourglass_empty: Place {waiting:,} in the queue of trainings: it begins by "
            "itself when those before it have ended."
        )
    name = run.path.name
    if st.session_state.get(_STOPPING) == name:
        with st.spinner("Stopping …"), cards.show_errors():
            stop(run)
        st.session_state.pop(_STOPPING)
        # Where it could not be stopped, that is said above.
        if run.status.is_final:
            st.rerun()
    # A callback handles the click: a poll of the run may cut
    # the script short, and a click handled only by the script would be lost.
    with st.container(horizontal=True, vertical_alignment="center"):
        if not _asks(name):
            if run.has_streams and st.button(
                "See the streams", type="primary", icon=":material/air:", key="to-streams"
            ):
                _show_streams(run)
            st.button(
                "Stop …", icon=":material/stop_circle:", key="stop", on_click=_ask, args=(name,)
            )
            st.caption("The run continues in the background: you can close or reload this page.")
            return
        st.markdown(_what_a_stop_means(run))
        st.button("Stop", type="primary", key="stop-yes", on_click=_end, args=(name,))
        st.button("Keep running", key="stop-no", on_click=_keep_on)


def _show_streams(run: Run) -> None:
    st.switch_page(pages.VELOCITY.script, query_params={"run": selection.run_id(run)})


def _ask(name: str) -> None:
    st.session_state[_CONFIRM] = name


def _keep_on() -> None:
    st.session_state.pop(_CONFIRM, None)


def _end(name: str) -> None:
    st.session_state.pop(_CONFIRM, None)
    st.session_state[_STOPPING] = name


def _what_a_stop_means(run: Run) -> str:
    if run.config.kind == "train":
        return "Stop this run? Training so far is kept and can be resumed."
    return "Stop this run? A prediction cannot be resumed, only restarted."


def _at_rest(run: Run, status: Status) -> None:
    if st.session_state.get(_STOPPING) == run.path.name:
        # It has ended; a run resumed later must not be stopped.
        st.session_state.pop(_STOPPING)
    if status.state == "finished":
        if run.notes:
            st.caption("\n".join(f"- {plain(note, 400)}" for note in run.notes))
        if st.button("Compare", type="primary", icon=":material/compare:", key="to-compare"):
            _show_streams(run)
        return
    cards.how_it_ended(run, status)
    record, reason = resumable(run)
    if record is not None:
        st.caption(_where_it_stands(record))
        with cards.show_errors():
            expected = estimate_rest(run)
            if expected is not None:
                st.caption(f":material/schedule: The rest takes {expected}")
    elif reason:
        st.caption(f"The run cannot be resumed: {plain(reason, 400)}")
    with st.container(horizontal=True):
        go_on = record is not None and st.button(
            "Resume", type="primary", icon=":material/resume:", key="go-on"
        )
        again = st.button("Restart", icon=":material/replay:", key="again")
        stored = _file_to_train_on(run)
        if stored is not None and st.button(
            "Try other settings", icon=":material/tune:", key="other-settings"
        ):
            selection.choose_file(stored)
            st.rerun()
    if go_on:
        with cards.show_errors():
            selection.choose_run(resume(run))
            st.rerun()
    if again:
        with cards.show_errors():
            selection.choose_run(start(run.config))
            st.rerun()


def _where_it_stands(record: Record) -> str:
    """Return what was kept of a run and where it would resume."""
    label = TRAININGS[record.training]
    if record.finished:
        kept = f"Kept: {label} is trained; no finished training is repeated."
    else:
        kept = f"Kept: {label} after epoch {record.epoch:,} of {record.epochs:,}."
    return f"{kept} “Resume” continues from there, “Restart” discards it."


def _file_to_train_on(run: Run) -> uploads.StoredFile | None:
    """Return a training's own file, if it is still here and its form is not open below."""
    if run.config.kind != "train":
        return None
    try:
        stored = uploads.find(run.config.data_sha256[:16])
    except DataError:
        return None
    chosen = selection.chosen_file()
    return None if chosen is not None and chosen.id == stored.id else stored


def _curves(run: Run, status: Status) -> None:
    try:
        history = run.history if status.state == "finished" else run.live()
    except RunError as failure:
        if status.state == "finished":
            # A prediction trains nothing.
            return
        cards.error(failure)
        return
    if history.empty:
        if not status.is_final and run.config.kind == "train":
            st.caption("Loss curves appear here after the first epoch.")
        return
    try:
        figure = theme.training_curves(history)
    except DataError:
        st.caption("The first epoch is running.")
        return
    theme.show(figure, key="curves", name="training-curves")
    watched_curves(history, run)


def watched_curves(history: pd.DataFrame, run: Run) -> None:
    """Show the accuracy on monitored held-out cells, with its explanation.

    Parameters
    ----------
    history
        Curves of a training, finished or not.
    run
        The training.
    """
    try:
        if run.is_finished:
            figure = cache.figure(views.watched_figure, run)
        else:
            figure = plotting.watched_curves(history, dark=theme.is_dark())
    except DataError as missing:
        if run.status.is_final:
            st.caption(plain(missing, 300))
        return
    st.markdown("**Accuracy on held-out cells (monitored only)**")
    theme.show(figure, key="watched", name="watched-curves")
    st.caption(views.WATCHED_WORDS)
