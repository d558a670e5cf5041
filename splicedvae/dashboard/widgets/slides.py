"""Slides: no frame around the page, large type, a presenter's keys.

Streamlit's theme has one size of type for all pages and no way to leave out its header on one of
them, so that this module alone holds a few lines of CSS. Keys are Streamlit's own shortcuts of
buttons; a presenter's remote sends Page Up and Page Down.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import streamlit as st

from splicedvae.dashboard import pages
from splicedvae.dashboard.widgets import link

if TYPE_CHECKING:
    import plotly.graph_objects as go

#: Key of the slide's container; the CSS below is for its content.
SLIDE: Final = "slide"
_FROM: Final = "_presented_from"
#: Maximum characters of a caption in a row on a narrow screen.
_LONG_CAPTION: Final = 24
_CSS: Final = """
<style>
[data-testid="stHeader"], [data-testid="stSidebar"] { display: none; }
[data-testid="stMainBlockContainer"] { padding: 1.4rem 3rem 1rem; max-width: none; }
.st-key-slide h1 { font-size: 2.5rem; padding: 0; }
.st-key-slide [data-testid="stMarkdownContainer"] p,
.st-key-slide [data-testid="stMarkdownContainer"] li { font-size: 1.45rem; line-height: 1.4; }
.st-key-slide [data-testid="stMetricLabel"] p { font-size: 1.2rem; }
.st-key-slide [data-testid="stMetricValue"] p { font-size: 2.8rem; line-height: 1.2; }
.st-key-slide [data-testid="stMetricDelta"] p { font-size: 1rem; white-space: normal; }
.st-key-slide [data-testid="stCaptionContainer"] p { font-size: 1.1rem; }
@media (min-width: 1700px) and (min-height: 900px) {
  [data-testid="stMainBlockContainer"] { zoom: 1.5; }
}
</style>
"""


def remember(url_path: str) -> None:
    """Keep the page that a visitor is on, to which the end of a presentation leads back."""
    if pages.page_at(url_path) is not None:
        st.session_state[_FROM] = url_path


def clear() -> None:
    """Remove the frame of the page, and enlarge the content of `SLIDE`."""
    st.html(_CSS)


def controls(at: int, n_slides: int, go_to: Callable[[int], None], more: Mapping[str, str]) -> bool:
    """Show the buttons of a presenter.

    Parameters
    ----------
    at
        Number of the slide, from 1.
    n_slides
        How many there are.
    go_to
        Called with the number of the slide that is wanted.
    more
        What a link to the slide holds in addition to its address.

    Returns
    -------
    Whether a stop was requested.
    """
    first, last = at <= 1, at >= n_slides
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Back", key="back", shortcut="Left", disabled=first, on_click=go_to, args=(at - 1,)
        )
        st.button(
            "Next",
            key="next",
            shortcut="Right",
            type="primary",
            disabled=last,
            on_click=go_to,
            args=(at + 1,),
        )
        st.markdown(f"{at} / {n_slides}", width="content")
        ended = st.button("End", key="end", shortcut="Escape")
        link.offer(pages.PRESENT.url, more)
        st.button(
            ":material/keyboard_arrow_up:",
            key="page-up",
            shortcut="PageUp",
            type="tertiary",
            help="Back, for a presenter's remote.",
            disabled=first,
            on_click=go_to,
            args=(at - 1,),
        )
        st.button(
            ":material/keyboard_arrow_down:",
            key="page-down",
            shortcut="PageDown",
            type="tertiary",
            help="Next, for a presenter's remote.",
            disabled=last,
            on_click=go_to,
            args=(at + 1,),
        )
    return ended


def leave(run_id: str) -> None:
    """Go back to the page that the presentation came from, or to the velocities."""
    page = pages.page_at(st.session_state.get(_FROM, "")) or pages.VELOCITY
    st.switch_page(page.script, query_params={"run": run_id})


def _in_two_lines(title: str) -> str:
    """Break a long caption under a panel's name at its first comma, because three share a row."""
    above, found, caption = title.partition("<br>")
    words = re.sub("<[^>]*>", "", caption)
    if not found or len(words) <= _LONG_CAPTION:
        return title
    return f"{above}<br>{caption.replace(', ', ',<br>', 1)}"


def enlarge(figure: go.Figure, height: int = 410) -> go.Figure:
    """Return a copy of a figure with larger type, for a projector.

    Parameters
    ----------
    figure
        A figure of `splicedvae.plotting`.
    height
        In pixels of a screen of 1280 x 720.
    """
    # The figure may be one that is kept for all visitors.
    figure = copy.deepcopy(figure)
    for note in figure.layout.annotations:
        note.text = _in_two_lines(str(note.text or "")).replace("font-size:12px", "font-size:15px")
        note.font.size = 20
    figure.update_layout(
        height=height,
        font={"size": 17},
        legend={"font": {"size": 18}, "title": {"font": {"size": 16}}},
        margin={"t": 92, "b": 12},
    )
    figure.update_xaxes(title_font_size=18, tickfont_size=15)
    figure.update_yaxes(title_font_size=18, tickfont_size=15)
    return figure
