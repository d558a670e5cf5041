"""Above the streams of a run that is still at work: what is not done yet, and how far it is.

When the run has written more, the page is drawn again, so that everything fills in by itself.
"""

from __future__ import annotations

from typing import Final

import streamlit as st

from splicedvae._core.errors import RunError
from splicedvae.dashboard import cache, cards
from splicedvae.dashboard.state import selection
from splicedvae.dashboard.text import plain
from splicedvae.runs import Run, find_run

#: Seconds between two looks at the run.
POLL: Final = 1.5


def show(run: Run) -> None:
    """Say what a run has not done yet, and look again every moment.

    Parameters
    ----------
    run
        A run at work whose streams are there.
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
    judged = "" if run.is_judged else " They are not judged yet."
    with st.container(border=True, key="underway"):
        st.markdown(
            f":material/progress_activity: **Still running.** These are the run's first streams."
            f"{judged} Not finished: {to_do}. The page fills in by itself."
        )
        cards.progress(status)
