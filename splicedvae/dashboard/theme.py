"""How figures are shown on a page: theme of the visitor, alternative text, saving as SVG."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from splicedvae import plotting
from splicedvae._core.errors import DataError, RunError
from splicedvae.dashboard.text import plain
from splicedvae.dashboard.widgets.tables import Column

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

#: The wheel scrolls the page, also over a figure; a box drawn on a map zooms into it.
_CONFIG: Final[dict[str, Any]] = {
    **plotting.CONFIG,
    "scrollZoom": False,
    "toImageButtonOptions": {"format": "svg", "filename": "splicedvae"},
}


#: Seconds in which a browser shows words, and in which it draws a figure, before it is sent more.
_AHEAD: Final = 0.15
_FIGURE_AHEAD: Final = 0.4


def draw_ahead(*, figure: bool = False) -> None:
    """Let the browser draw what stands above before it is sent what stands below.

    What arrives while a figure is being drawn delays it by as much as it takes itself. Call it
    where a reader has something to look at, and heavy things are further down.

    Parameters
    ----------
    figure
        Whether a figure is among what stands above.
    """
    time.sleep(_FIGURE_AHEAD if figure else _AHEAD)


def is_dark() -> bool:
    """Say whether the visitor's page is dark."""
    return st.context.theme.type == "dark"


def show(
    figure: go.Figure,
    *,
    key: str,
    name: str = "splicedvae",
    on_select: Callable[[], None] | None = None,
) -> None:
    """Show a figure of `splicedvae.plotting` as it was drawn, with its words for the blind.

    Parameters
    ----------
    figure
        The figure, drawn for `is_dark`.
    key
        Name of the element on the page.
    name
        File name of a saved picture, without ending.
    on_select
        Called when a line or a box was drawn around cells; what was drawn then stands in the
        session under ``key``. Nothing can be selected if None.
    """
    selecting: dict[str, Any] = (
        {} if on_select is None else {"on_select": on_select, "selection_mode": ("lasso", "box")}
    )
    options = {**_CONFIG["toImageButtonOptions"], "filename": name}
    st.plotly_chart(
        figure,
        theme=None,
        width="stretch",
        key=key,
        config={**_CONFIG, "toImageButtonOptions": options},
        alt=plotting.alt_text(figure),
        **selecting,
    )
    note = plotting.picture_note(figure)
    if note:
        st.caption(f":material/image: {plain(note)}")


def training_curves(history: pd.DataFrame) -> go.Figure:
    """Draw a training's losses for the visitor's theme; see `plotting.training_curves`."""
    return plotting.training_curves(history, dark=is_dark())


def shown_or_told(draw: Callable[[], go.Figure], key: str) -> None:
    """Show a figure, or the sentence that says why there is none.

    Parameters
    ----------
    draw
        Draws it for `is_dark`.
    key
        As for `show`.
    """
    try:
        show(draw(), key=key, name=key)
    except (DataError, RunError) as failure:
        st.caption(plain(failure, 400))


def numbers_table(table: pd.DataFrame, columns: Sequence[Column], alt: str) -> None:
    """Show numbers of `dashboard.tables` with the words for their columns.

    Parameters
    ----------
    table
        The numbers.
    columns
        What their columns mean.
    alt
        What the table shows, for readers who cannot see it.
    """
    st.dataframe(
        table,
        column_config={
            "_index": st.column_config.TextColumn("", pinned=True),
            **{
                column.title: st.column_config.NumberColumn(
                    column.title, format=f"%.{column.digits}f", help=column.words
                )
                for column in columns
            },
        },
        placeholder="–",
        alt=alt,
    )
