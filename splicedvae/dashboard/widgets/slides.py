"""A page as a stage: nothing around it, type that the last row reads, keys of a presenter.

Streamlit's theme has one size of type for all pages and no way to leave out its header on one of
them, so that this module alone holds a few lines of CSS. Keys are Streamlit's own shortcuts of
buttons; a presenter's remote sends Page Up and Page Down.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import streamlit as st

from splicedvae.dashboard import cards
from splicedvae.dashboard.widgets import link

if TYPE_CHECKING:
    import plotly.graph_objects as go

#: Path of the page in the address.
URL: Final = "present"
#: Key of the container with what is shown; the CSS below is for what stands in it.
SLIDE: Final = "slide"
_FROM: Final = "_presented_from"
#: Characters of a caption that stand beside others on a narrow screen.
_LONG_CAPTION: Final = 24
_PAGES: Final = {
    "velocity": cards.VELOCITY,
    "diagnostics": cards.DIAGNOSTICS,
    "latent": cards.LATENT,
    "genes": cards.GENES,
    "provenance": cards.PROVENANCE,
    "train": cards.TRAIN,
    "models": cards.MODELS,
    "data": cards.INSPECT,
}
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
    if url_path in _PAGES:
        st.session_state[_FROM] = url_path


def clear() -> None:
    """Take away what stands around a page, and enlarge what stands in `SLIDE`."""
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
        What a link to the slide holds beside its address.

    Returns
    -------
    Whether the end was asked for.
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
        link.offer(URL, more)
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
    page = _PAGES[st.session_state.get(_FROM, "velocity")]
    st.switch_page(page, query_params={"run": run_id})


def _in_two_lines(title: str) -> str:
    """Break a long caption under a panel's name at its first comma: three stand in a row."""
    above, found, caption = title.partition("<br>")
    words = re.sub("<[^>]*>", "", caption)
    if not found or len(words) <= _LONG_CAPTION:
        return title
    return f"{above}<br>{caption.replace(', ', ',<br>', 1)}"


def enlarge(figure: go.Figure, height: int = 410) -> go.Figure:
    """Enlarge the type of a figure for a projector, in place.

    Parameters
    ----------
    figure
        A figure of `splicedvae.plotting`.
    height
        In pixels of a screen of 1280 x 720.
    """
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
