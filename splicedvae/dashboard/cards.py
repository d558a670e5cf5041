"""Small pieces that several pages show: state of a run, an error, the line of what is open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

import streamlit as st

from splicedvae import __version__
from splicedvae._core.errors import SplicedVAEError
from splicedvae.dashboard import pages
from splicedvae.dashboard.text import duration, plain
from splicedvae.dashboard.uploads import StoredFile
from splicedvae.runs import Pulse, Run, Status

Color = Literal["blue", "green", "orange", "red", "gray"]

#: Icon of the browser tab; our own file, because others are fetched from elsewhere.
ICON: Final = Path(__file__).with_name("icon.svg")
#: The same with the name.
LOGO: Final = Path(__file__).with_name("logo.svg")

#: Words, color and icon of a run's states.
STATES: Final[dict[str, tuple[str, Color, str]]] = {
    "queued": ("waiting", "gray", ":material/schedule:"),
    "running": ("running", "blue", ":material/progress_activity:"),
    "finished": ("finished", "green", ":material/check:"),
    "failed": ("failed", "red", ":material/error:"),
    "stopped": ("stopped", "orange", ":material/stop_circle:"),
    "lost": ("lost", "orange", ":material/help:"),
}


def state_badge(status: Status, pulse: Pulse) -> None:
    """Show a run's state as a badge."""
    words, color, icon = STATES[status.state]
    if not status.is_final and not pulse.responds:
        words, color, icon = _unresponsive(pulse), "orange", ":material/pause_circle:"
    st.badge(words, color=color, icon=icon)


def _unresponsive(pulse: Pulse) -> str:
    return "suspended" if pulse.suspended else "not responding"


def progress(status: Status, pulse: Pulse) -> None:
    """Show the progress of a running run, and the remaining time while it reports."""
    if not pulse.responds:
        st.progress(status.fraction, text=plain(status.stage[:1].upper() + status.stage[1:], 80))
        if pulse.suspended:
            st.warning(
                "The process of this run is suspended and does nothing: continue it where it was "
                "suspended (SIGCONT), or stop the run.",
                icon=":material/pause_circle:",
            )
        else:
            st.warning(
                f"The process of this run has not reported for {duration(pulse.silent)}: the "
                "machine may be overloaded. Wait, or stop the run.",
                icon=":material/pause_circle:",
            )
        return
    words = [plain(status.stage[:1].upper() + status.stage[1:], 80)]
    if status.message:
        words.append(plain(status.message, 120))
    if status.seconds_left is not None:
        words.append(f"about {duration(status.seconds_left)} left")
    st.progress(status.fraction, text=", ".join(words))


def error(failure: SplicedVAEError) -> None:
    """Show what went wrong, in the one sentence that the error is, and what was noted before."""
    st.error(plain(failure, 600), icon=":material/error:")
    for note in failure.notes:
        st.caption(plain(note, 400))


@contextmanager
def show_errors() -> Iterator[None]:
    """Show an error of the package as its sentence, and continue after the block."""
    try:
        yield
    except SplicedVAEError as failure:
        error(failure)


def opened(run: Run | None, stored: StoredFile | None) -> None:
    """Show in the sidebar which run and which file are open."""
    with st.sidebar:
        st.caption("Open now")
        with st.container(border=True, gap="xsmall"):
            if run is not None:
                words, _, icon = STATES[run.status.state]
                st.markdown(f"{icon} **{plain(run.name, 60)}**  \nrun, {words}")
            else:
                st.markdown(":material/model_training: no run")
            if stored is not None:
                st.markdown(f":material/description: **{plain(stored.name, 60)}**  \nfile")
            else:
                st.markdown(":material/description: no file")


def footer() -> None:
    """Close a page."""
    st.divider()
    st.caption(
        f"SplicedVAE {__version__} · files and runs stay on this server · `splicedvae "
        "report`, `predict` and `evaluate` also accept a run folder"
    )


def how_it_ended(run: Run, status: Status) -> None:
    """Say what happened to a run that did not finish, and what to do."""
    reason = plain(status.message, 600)
    stage = plain(status.stage, 80)
    if status.state == "failed":
        st.error(f"**This run failed** while {stage}. {reason}", icon=":material/error:")
    elif status.state == "lost":
        st.warning(f"**This run was lost** while {stage}. {reason}", icon=":material/help:")
    elif status.state == "stopped":
        st.info(f"**This run was stopped** while {stage}.", icon=":material/stop_circle:")


def steps() -> None:
    """Show the three steps to a visitor's own file, in one row where the window is wide."""
    links = (
        (pages.INSPECT, "1 · Bring your file"),
        (pages.TRAIN, "2 · Train or predict"),
        (pages.VELOCITY, "3 · Compare"),
    )
    with st.container(horizontal=True, gap="small", key="steps"):
        for page, title in links:
            st.page_link(page.script, label=title, icon=page.icon, width="content")


def facts(name: str, *parts: str) -> str:
    """Join the facts of a file or run into one line of Markdown."""
    return " · ".join([f"**{plain(name, 80)}**", *(plain(part) for part in parts)])
