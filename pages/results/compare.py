"""Compare: streams, accuracy and latent spaces of SplicedVAE and scVI on one run."""

from __future__ import annotations

import streamlit as st

from splicedvae.dashboard import cards, choice, comparison, downloads, held, welcome
from splicedvae.runs import Run


def _page() -> None:
    run = choice.chosen_run() or choice.opening_run()
    if run is None:
        welcome.show()
        st.info(
            "There is no finished run on this server yet, and this installation has no demo run: "
            "bring a file to make the first.",
            icon=":material/hourglass_empty:",
        )
        return
    choice.choose_run(run)
    if choice.run_id(run) == choice.DEMO:
        welcome.show()
    else:
        st.title("Compare", anchor=False)
    left, right = st.columns([3, 2])
    with left:
        run = comparison.pick_run(run)
    status = run.status
    if status.state == "finished":
        with cards.told():
            whole = held.hold(run)
            with right:
                color = comparison.pick_color(whole)
            _results(whole, color)
    elif status.is_final:
        cards.how_it_ended(run, status)
        _watch(run, "See its log, or start it again", ":material/replay:")
    else:
        st.info(
            "This run is still at work; its results appear here when it is finished.",
            icon=":material/progress_activity:",
        )
        _watch(run, "Watch it", ":material/monitoring:")


def _watch(run: Run, label: str, icon: str) -> None:
    where = {"run": choice.run_id(run)}
    st.page_link(cards.TRAIN, label=label, icon=icon, query_params=where)


def _results(run: held.HeldRun, color: str) -> None:
    comparison.headline(run)
    comparison.views(run, color)
    st.subheader("Take it home", anchor=False)
    downloads.buttons(run)


_page()
