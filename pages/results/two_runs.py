"""Two runs: settings, numbers and streams side by side."""

from __future__ import annotations

from typing import Final

import streamlit as st

from splicedvae import views
from splicedvae._core.errors import RunError
from splicedvae._core.keys import Sources
from splicedvae.dashboard import cache, cards, pages, theme
from splicedvae.dashboard.state import coloring, query_params, selection
from splicedvae.dashboard.text import defuse, moment, plain
from splicedvae.dashboard.widgets import downloads, result, window
from splicedvae.runs import Run, all_runs, find_run

_OTHER: Final = "other"
_PICK: Final = "pick-other"


def _page() -> None:
    opened = result.frame(pages.TWO_RUNS)
    if opened is None:
        return
    run, color, _ = opened
    with cards.show_errors():
        _two_runs(run, color)


def _two_runs(run: Run, color: str) -> None:
    """Compare the open run with another that the visitor chooses."""
    other = _pick(run)
    if other is None:
        return
    other = cache.cached_run(other)
    st.caption(
        f"**{views.LEFT.capitalize()}**: {plain(run.name, 80)}, {moment(run.created)} · "
        f"**{views.RIGHT}**: {plain(other.name, 80)}, {moment(other.created)}"
    )
    with st.container(border=True):
        st.markdown(":material/balance: **Before comparing**")
        st.markdown(
            "\n".join(f"- {plain(said, 600)}" for said in views.compared_cautions(run, other))
        )
    st.subheader("Settings that differ", anchor=False)
    settings = views.compared_settings(run, other)
    if settings.empty:
        st.caption("Nothing: data, settings, code and packages are the same.")
    else:
        st.dataframe(defuse(settings), alt="Settings in which the two runs differ.")
    st.subheader("Numbers", anchor=False)
    numbers = views.compared_metrics(run, other)
    if numbers.empty:
        st.caption("Neither run was evaluated, so there are no metrics to compare.")
    else:
        _numbers(numbers)
    st.subheader("Streams of SplicedVAE", anchor=False)
    for which, words, colored in (
        (run, views.LEFT, color),
        (other, views.RIGHT, _color_of(other, color)),
    ):
        st.markdown(f"**{words.capitalize()}**: {plain(which.name, 80)}")
        _streams(which, words.split()[0], colored)


def _numbers(numbers: object) -> None:
    st.dataframe(
        numbers,
        hide_index=True,
        column_config={
            "metric": st.column_config.TextColumn(pinned=True),
            **{
                name: st.column_config.NumberColumn(format="%.4f")
                for name in (views.LEFT, views.RIGHT, "noise ceiling")
            },
            "difference": st.column_config.NumberColumn(
                format="%+.4f",
                help="This run minus the other; empty where the two cannot be compared. Lower "
                "is better for RMSE, calibration error and negative log-likelihood.",
            ),
        },
        placeholder="–",
        alt="Metrics of both runs side by side, with their difference where available.",
    )


@st.fragment
def _streams(run: Run, key: str, color: str) -> None:
    if Sources.SPLICEDVAE not in views.sources(run):
        st.caption("This run has no SplicedVAE velocity.")
        return
    with cards.show_errors():
        figure = cache.figure(
            cache.streams,
            run,
            (Sources.SPLICEDVAE,),
            color,
            1.0,
            on=cache.cached(views.first_map, run),
            window=window.size(),
        )
        theme.show(figure, key=f"streams-{key}", name=f"{downloads.file_stem(run)}-streams")
        window.watch(f"window-{key}")


def _color_of(run: Run, color: str) -> str:
    """Return the same coloring for the other run if it has it, else its usual one."""
    return color if coloring.known(run, color) else views.default_color(run)


def _pick(run: Run) -> Run | None:
    """Let the visitor choose the other run, which is part of the address."""
    found = [item for item in all_runs()[0] if item.is_finished]
    demo = selection.shipped_run()
    if demo is not None:
        found.append(demo)
    found = [item for item in found if item.path != run.path]
    if not found:
        st.info(
            "There is no other finished run to compare with: train one with other settings first.",
            icon=":material/info:",
        )
        st.page_link(pages.TRAIN.script, label=pages.TRAIN.title, icon=pages.TRAIN.icon)
        return None
    labels = selection.run_labels(found)
    asked = st.query_params.get(_OTHER)
    if asked is not None and asked not in labels:
        query_params.remark(
            f"The link names the run “{plain(asked, 40)}” for comparison, which is not "
            "another finished run here; it was ignored."
        )
        asked = None
    st.session_state[_PICK] = asked or next(iter(labels))
    st.selectbox(
        "Compare with",
        list(labels),
        format_func=lambda key: labels.get(key, key),
        key=_PICK,
        on_change=_picked,
    )
    picked = str(st.session_state[_PICK])
    st.query_params[_OTHER] = picked
    try:
        return find_run(picked)
    except RunError as failure:
        cards.error(failure)
        return None


def _picked() -> None:
    st.query_params[_OTHER] = str(st.session_state[_PICK])


_page()
