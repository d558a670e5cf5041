"""Which matrices of a file hold which counts, where a person knows better than reading."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final

import streamlit as st

from splicedvae import io, triage
from splicedvae._core.errors import DataError
from splicedvae._core.keys import Ambiguous
from splicedvae.dashboard.text import line

#: Stands for what reading the file finds.
_FOUND: Final = ""
#: Where ambiguous counts go, with the tools that advise it.
_PLACES: Final[dict[Ambiguous | None, str]] = {
    "spliced": "add to spliced (kb, alevin-fry)",
    "apart": "keep apart (velocyto, STARsolo)",
}


@dataclass(frozen=True)
class Matrices:
    """Which matrices of the file were named; None leaves what reading finds."""

    total: str | None = None
    spliced: str | None = None
    unspliced: str | None = None
    ambiguous: str | None = None
    #: Where ambiguous counts go.
    place: Ambiguous | None = None


def ask(summary: triage.DataSummary) -> Matrices:
    """Ask which matrices hold which counts; what was found comes first.

    Parameters
    ----------
    summary
        What is in the file.
    """
    layers = list(summary.layers)
    picked: list[str | None] = []
    sums = ["X", *io.SUMS]
    kinds: tuple[tuple[str, str | None, list[str], str], ...] = (
        ("Total counts", summary.total_source, [*sums, *layers], "total"),
        ("Spliced counts", summary.spliced_source, layers, "spliced"),
        ("Unspliced counts", summary.unspliced_source, layers, "unspliced"),
        ("Ambiguous counts", summary.ambiguous_source, layers, "ambiguous"),
    )
    for place, (label, source, options, key) in zip(st.columns(4), kinds, strict=True):
        with place:
            picked.append(_layer(label, source, options, key))
    total, spliced, unspliced, ambiguous = picked
    if spliced is not None or unspliced is not None:
        # Reading takes both or neither by name.
        spliced = spliced or _layer_of(summary.spliced_source, summary.layers)
        unspliced = unspliced or _layer_of(summary.unspliced_source, summary.layers)
    asked = ambiguous is not None or summary.has_ambiguous
    return Matrices(total, spliced, unspliced, ambiguous, _place(summary) if asked else None)


def check(matrices: Matrices, summary: triage.DataSummary) -> None:
    """Refuse a choice of layers that no reading can follow.

    Raises
    ------
    DataError
        If one of the two is missing, or a layer was chosen twice.
    """
    both = (matrices.spliced, matrices.unspliced)
    if None in both and (both != (None, None) or not summary.has_measured_layers):
        raise DataError(
            "Training needs a layer with spliced and one with unspliced counts, and only "
            f"{'one was' if any(both) else 'none were'} chosen: choose both."
        )
    if None not in both and both[0] == both[1]:
        raise DataError(
            "The same layer was chosen for spliced and for unspliced counts: choose two layers."
        )
    if matrices.ambiguous is not None and matrices.ambiguous in both:
        raise DataError(
            "The layer of ambiguous counts was chosen for spliced or unspliced counts too: choose "
            "another layer, or none."
        )


def _layer(label: str, source: str | None, options: list[str], key: str) -> str | None:
    missing = "none" if key == "ambiguous" else "choose a layer"
    found = missing if source is None else f"as found: {line(source.removeprefix('layers/'), 40)}"
    chosen = st.selectbox(
        label,
        [_FOUND, *options],
        format_func=partial(_layer_words, found=found),
        key=f"form-layer-{key}",
        help="Raw counts: the layer of the file that holds them, if another than found.",
    )
    return None if chosen == _FOUND else str(chosen)


def _layer_words(name: str, *, found: str) -> str:
    return found if name == _FOUND else line(name, 60)


def _layer_of(source: str | None, layers: tuple[str, ...]) -> str | None:
    """Name the layer of a source, the first where ambiguous counts were added to it."""
    if source is None:
        return None
    return next(
        (n for n in layers if source == f"layers/{n}" or source.startswith(f"layers/{n} + ")), None
    )


def _place(summary: triage.DataSummary) -> Ambiguous | None:
    share = f" ({summary.ambiguous_share:.0%} of the counts)" if summary.ambiguous_share else ""
    found = {"spliced": "added to spliced", "apart": "kept apart"}
    words: dict[Ambiguous | None, str] = {
        None: f"as found: {found[summary.ambiguous]}" if summary.ambiguous else "as usual for them",
        **_PLACES,
    }
    return st.selectbox(
        f"Ambiguous counts go{share}",
        list(words),
        format_func=words.__getitem__,
        key="form-ambiguous",
        help="Totals made of layers hold them either way. kb and alevin-fry call only those "
        "molecules spliced that cross a junction, and advise to add the ambiguous ones. With "
        "velocyto few are ambiguous, and scVelo leaves them out.",
    )
