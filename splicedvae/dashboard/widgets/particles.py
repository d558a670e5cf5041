"""Animated particles: a small canvas component, because plotly has no usable animation for them.

All its data is sent with it, about 50 kB per panel and 11 bytes per cell. It does not move where
a visitor's system asks for less motion, pauses out of sight, and has a button to stop it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from splicedvae import plotting, views
from splicedvae._core.keys import Sources
from splicedvae.dashboard.text import line
from splicedvae.runs import Run
from splicedvae.velocity import StreamLines

#: Cells drawn under the particles of a panel; more are thinned at random, and the page says so.
MOST_CELLS: Final = 20_000
_HERE: Final = Path(__file__)
_HTML: Final = """
<div class="root">
  <div class="panels"></div>
  <div class="legend"></div>
  <div class="controls"><button type="button">Pause</button><span class="words"></span></div>
</div>
"""

_mount = st.components.v2.component(
    "splicedvae.particles",
    html=_HTML,
    css=_HERE.with_suffix(".css").read_text(encoding="utf-8"),
    js=_HERE.with_suffix(".js").read_text(encoding="utf-8"),
)


def payload(
    run: Run,
    sources: Sequence[str],
    color_by: str,
    *,
    density: float,
    on: str,
    lines: Mapping[str, StreamLines],
) -> dict[str, Any]:
    """Gather what the component draws.

    Parameters
    ----------
    run
        A finished run.
    sources
        Velocities that were tried, refused ones included.
    color_by
        What cells are colored by.
    density
        Closeness of the particles; at 1 about one for each field of the grid.
    on
        One of `views.map_choices`.
    lines
        Stream lines by source, drawn instead where less motion is requested.

    Returns
    -------
    What JSON can hold; ``"thinned"`` is the number of cells left out of each panel.
    """
    cells = run.predictions
    kept = np.arange(cells.n_obs)
    if cells.n_obs > MOST_CELLS:
        kept = np.sort(np.random.default_rng(0).choice(kept, MOST_CELLS, replace=False))
    colors = {
        source: views.cell_colors(
            run,
            color_by,
            velocity=run.velocity(source) if source in run.velocity_sources else None,
        )
        for source in sources
    }
    limits = _limits(colors.values())
    panels = []
    ratio = 0.0
    legend: plotting.PaintedCells | None = None
    for source in sources:
        paint = plotting.painted(colors[source], limits)
        if legend is None or len(paint.names or ()) > len(legend.names or ()):
            legend = paint
        points = views.map_points(run, source, on=on)[kept]
        finite = np.isfinite(points).all(axis=1)
        low, high = points[finite].min(axis=0), points[finite].max(axis=0)
        ratio = max(ratio, float((high[1] - low[1]) / max(float(high[0] - low[0]), 1e-9)))
        panels.append(
            {
                "points": _packed(points[finite]),
                "colors": _packed(paint.rgb[kept][finite]),
                "extent": [float(low[0]), float(high[0]), float(low[1]), float(high[1])],
                **_moving(run, source, on, lines.get(source)),
            }
        )
    assert legend is not None
    data: dict[str, Any] = {
        "panels": panels,
        "legend": _legend(legend),
        "density": density,
        "ratio": ratio,
        "thinned": int(cells.n_obs - kept.size),
    }
    data["id"] = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]
    return data


def show(data: dict[str, Any], window: plotting.Window, *, key: str) -> None:
    """Show the particles.

    Parameters
    ----------
    data
        What `payload` gathered.
    window
        The browser's, which the panels fill.
    key
        Name of the element on the page.
    """
    columns = plotting.columns_in(len(data["panels"]), data["ratio"], window)
    height = round(plotting.panel_height(window.width / columns, data["ratio"], window))
    of_window = {"columns": columns, "height": height, "id": f"{data['id']}-{columns}-{height}"}
    _mount(key=key, data={**data, **of_window})
    if data["thinned"]:
        st.caption(
            f"{data['thinned']:,} cells, chosen at random, are not drawn in each panel; the "
            "particles use all cells."
        )


def _moving(run: Run, source: str, on: str, lines: StreamLines | None) -> dict[str, Any]:
    title = Sources.LABELS.get(source, source)
    worth = views.verdict(run, source)
    words = {"title": title, "caption": line(worth.short, 80)}
    if source not in run.velocity_sources:
        said = line(worth.sentence, 400)
        return {**words, "message": said, "description": f"{title}: {said}"}
    flow = views.velocity_flow(run, source, on=on)
    if not flow.moves:
        said = "No cell moves far enough in this embedding for particles."
        return {**words, "message": said, "description": f"{title}: {said}"}
    drawn: dict[str, Any] = {
        "field": _packed(np.stack([flow.u, flow.v], axis=-1)),
        "x0": float(flow.x[0]),
        "y0": float(flow.y[0]),
        "dx": float(flow.x[1] - flow.x[0]),
        "dy": float(flow.y[1] - flow.y[0]),
        "nx": int(flow.x.size),
        "ny": int(flow.y.size),
        "description": f"Cells in an embedding with particles that follow the {title} velocity. "
        f"{line(worth.sentence, 300)}",
    }
    if lines is not None:
        drawn["lines"] = _packed(np.stack([lines.x, lines.y], axis=-1))
        drawn["heads"] = _packed(
            np.stack([lines.arrow_x, lines.arrow_y, lines.arrow_dx, lines.arrow_dy], axis=-1)
        )
    return {**words, **drawn}


def _limits(colors: Any) -> tuple[float, float] | None:
    """Give the panels of one color bar the same ends."""
    numbers = [given for given in colors if isinstance(given, plotting.Values)]
    given = next((item.limits for item in numbers if item.limits is not None), None)
    if given is not None:
        return given
    known = [item.values[np.isfinite(item.values)] for item in numbers]
    known = [values for values in known if values.size]
    if not known:
        return None
    return float(min(v.min() for v in known)), float(max(v.max() for v in known))


def _legend(paint: plotting.PaintedCells) -> dict[str, Any]:
    legend: dict[str, Any] = {"title": line(paint.title, 60)}
    if paint.names is not None:
        return {**legend, "names": [[line(name, 40), color] for name, color in paint.names]}
    return {
        **legend,
        "scale": list(paint.scale),
        "low": f"{paint.limits[0]:.3g}",
        "high": f"{paint.limits[1]:.3g}",
    }


def _packed(values: NDArray[Any]) -> str:
    kind = np.uint8 if values.dtype == np.uint8 else np.dtype("<f4")
    return base64.b64encode(np.ascontiguousarray(values, dtype=kind).tobytes()).decode()
