"""Progress above the streams of a run that is still running: what is not finished yet.

When the run has written more, the page is drawn again, so that it updates by itself.
"""

from __future__ import annotations

from typing import Final

import streamlit as st

from splicedvae._core.errors import RunError
from splicedvae.dashboard import cache, cards
from splicedvae.dashboard.state import selection
from splicedvae.dashboard.text import plain
from splicedvae.runs import Run, find_run

#: Polling interval in seconds.
POLL: Final = 1.5


def show(run: Run) -> None:
    """Say what a run has not done yet, and look again every moment.

    Parameters
    ----------
    run
        A running run with first streams.
    """
    st.fragment(_view, run_every=POLL)(selection.run_id(run), cache.key_of(run))


def _view(run_id: str, seen: cache.Key) -> None:
    try:
        run = find_run(run_id)
        status = run.status
        newest = cache.key_of(run)
    except RunError as failure:
        cards.error(failure)
        return
    if newest != seen or status.is_final:
        st.rerun()
    to_do = "; ".join(plain(stage, 80) for stage in status.pending)
    judged = "" if run.is_judged else " They are not evaluated yet."
    with st.container(border=True, key="underway"):
        st.markdown(
            ":material/progress_activity: **Still running.** These are the run's first "
            f"streams.{judged} To do: {to_do}. The page updates by itself."
        )
        cards.progress(status, run.pulse)
