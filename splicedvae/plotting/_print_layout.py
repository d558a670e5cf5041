"""Panels of a plotly figure, and how they are arranged on paper."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import plotly.graph_objects as go

#: More points than this are an image inside a vector file.
MOST_VECTOR_POINTS: Final = 2000
#: Inches of a millimetre.
MM: Final = 1 / 25.4
_DASHES: Final = {"solid": "-", "dash": "--", "longdash": "--", "dot": ":", "dashdot": "-."}
_TAGS: Final = re.compile(r"<[^>]*>")


@dataclass
class PrintPanel:
    """One pair of axes of the plotly figure, with its content."""

    x: str
    y: str
    traces: list[Any] = field(default_factory=list)
    title: str = ""
    captions: list[str] = field(default_factory=list)


def axis_of(figure: go.Figure, name: str) -> Any:
    """Return the layout of an axis called as traces call it: ``"x"``, ``"y2"``."""
    return getattr(figure.layout, f"{name[0]}axis{name[1:]}")


def _domain(figure: go.Figure, name: str) -> tuple[float, float]:
    low, high = axis_of(figure, name).domain or (0.0, 1.0)
    return round(float(low), 4), round(float(high), 4)


def panels_of(figure: go.Figure) -> list[PrintPanel]:
    """Find the panels in the order in which a reader meets them, with their titles."""
    found: dict[tuple[str, str], PrintPanel] = {}
    for trace in figure.data:
        names = (getattr(trace, "xaxis", None) or "x", getattr(trace, "yaxis", None) or "y")
        found.setdefault(names, PrintPanel(*names)).traces.append(trace)
    panels = sorted(
        found.values(),
        key=lambda p: (-_domain(figure, p.y)[1], _domain(figure, p.x)[0]),
    )
    for note in figure.layout.annotations:
        panel = panel_under(figure, panels, note)
        if panel is not None:
            lines = [plain_text(part) for part in str(note.text).split("<br>")]
            panel.title, panel.captions = lines[0], [line for line in lines[1:] if line]
    return panels


def panel_under(figure: go.Figure, panels: Sequence[PrintPanel], note: Any) -> PrintPanel | None:
    """Return the panel whose title an annotation is."""
    for panel in panels:
        if (note.xref, note.yref) == (f"{panel.x} domain", f"{panel.y} domain"):
            if note.y == 1 and note.yanchor == "bottom":
                return panel
        elif note.xref == "paper" and note.yref == "paper":
            left, right = _domain(figure, panel.x)
            top = _domain(figure, panel.y)[1]
            if abs(note.x - (left + right) / 2) < 0.01 and abs(note.y - top) < 0.01:
                return panel
    return None


def columns_of(figure: go.Figure, panels: Sequence[PrintPanel]) -> int:
    return len({_domain(figure, panel.x)[0] for panel in panels})


def is_map(figure: go.Figure, panels: Sequence[PrintPanel]) -> bool:
    return all(axis_of(figure, panel.x).visible is False for panel in panels)


def aspect_of(figure: go.Figure, panels: Sequence[PrintPanel]) -> float:
    """Return a panel's height for its width."""
    if not any(is_square(figure, panel) for panel in panels):
        return 0.72
    if not is_map(figure, panels):
        return 0.78
    ratios = []
    for panel in panels:
        spans = []
        for name in ("x", "y"):
            values = [
                np.asarray(getattr(trace, name), dtype=float)
                for trace in panel.traces
                if getattr(trace, name, None) is not None and len(getattr(trace, name))
            ]
            joined = np.concatenate(values) if values else np.zeros(0)
            joined = joined[np.isfinite(joined)]
            spans.append(float(np.ptp(joined)) if joined.size else 0.0)
        if min(spans) > 0:
            ratios.append(spans[1] / spans[0])
    return float(np.clip(max(ratios, default=0.8), 0.55, 1.1))


def is_square(figure: go.Figure, panel: PrintPanel) -> bool:
    """Whether both axes have one scale, given on the axis or on the one it follows."""
    x, y = axis_of(figure, panel.x), axis_of(figure, panel.y)
    return bool(x.scaleanchor or y.scaleanchor or x.matches or y.matches)


def plain_text(text: object) -> str:
    """Turn plotly's small HTML into the text that it shows."""
    return " ".join(html.unescape(_TAGS.sub("", str(text or "").replace("<br>", " "))).split())


def numbers_of(values: Any) -> np.ndarray:
    """Turn a trace's values into numbers, None into NaN."""
    return np.asarray([np.nan if v is None else v for v in values], dtype=float)


def color_of(text: Any) -> tuple[str, float]:
    """Split a color of CSS into ``#rrggbb`` and its opacity."""
    found = re.fullmatch(r"rgba?\(([^)]*)\)", str(text).replace(" ", ""))
    if found is None:
        return str(text), 1.0
    parts = [float(part) for part in found[1].split(",")]
    color = "#" + "".join(f"{round(part):02x}" for part in parts[:3])
    return color, parts[3] if len(parts) > 3 else 1.0


def dash_of(name: str | None) -> Any:
    """Turn plotly's name of a dashed line into matplotlib's; a full line for any other."""
    return _DASHES.get(name or "solid", "-")
