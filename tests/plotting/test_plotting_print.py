"""Figures on paper: files of the right kind and size, made of what the page's figure holds."""

from __future__ import annotations

import io
import re
import threading
import xml.etree.ElementTree as ElementTree

import matplotlib as mpl
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from matplotlib.image import imread

from splicedvae import plotting
from splicedvae._core.errors import DataError

#: Points of PDF and of matplotlib's SVG in a millimetre.
POINTS = 72 / 25.4
HOSTILE = "$x_{<b>$ & co"


def maps(n_cells: int = 300, n_panels: int = 3) -> go.Figure:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(n_cells, 2)).astype(np.float32)
    colors = plotting.Categories(
        "cluster", rng.integers(0, 3, n_cells), (HOSTILE, "second", "third")
    )
    panels = [plotting.LatentPanel(f"map {n}", points) for n in range(n_panels)]
    return plotting.latents(panels, colors=colors)


def history() -> go.Figure:
    rows = [
        ("splicedvae", epoch, f"{loss}_train", 10.0 / epoch)
        for epoch in range(1, 6)
        for loss in ("ratio_loss", "reconstruction_loss")
    ]
    return plotting.training_curves(
        pd.DataFrame(rows, columns=["predictor", "epoch", "metric", "value"])
    )


@pytest.mark.parametrize("width", [85.0, 114.0, 174.0])
def test_a_pdf_has_its_width_and_embedded_fonts(width: float) -> None:
    made = plotting.print_figure(maps(), "pdf", width=width, caution="Mind.", source="Run.")
    assert made.startswith(b"%PDF-")
    box = re.search(rb"/MediaBox \[ ?([\d. ]+) ?\]", made)
    assert box is not None
    _, _, across, _ = (float(part) for part in box[1].split())
    assert across == pytest.approx(width * POINTS, abs=0.5)
    assert b"/FontFile2" in made
    assert b"/Type3" not in made


def test_a_png_has_300_dots_an_inch() -> None:
    made = plotting.print_figure(history(), "png", width=85, height=60)
    rows, columns = imread(io.BytesIO(made)).shape[:2]
    assert columns == pytest.approx(85 / 25.4 * 300, abs=1)
    assert rows == pytest.approx(60 / 25.4 * 300, abs=1)


def test_many_points_are_a_picture_inside_a_vector_file() -> None:
    few = plotting.print_figure(maps(100), "svg")
    many = plotting.print_figure(maps(plotting.MOST_VECTOR_POINTS + 1, 1), "svg")
    tag = "{http://www.w3.org/2000/svg}image"
    assert not list(ElementTree.fromstring(few).iter(tag))
    assert list(ElementTree.fromstring(many).iter(tag))
    width = ElementTree.fromstring(few).attrib["width"]
    assert float(width.removesuffix("pt")) == pytest.approx(174 * POINTS, abs=0.5)


def test_the_same_figure_gives_the_same_file_also_from_threads() -> None:
    figure = maps(50)
    expected = plotting.print_figure(figure, "svg")
    settings = dict(mpl.rcParams)
    made: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: made.append(plotting.print_figure(figure, "svg")))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [expected] * 3
    assert dict(mpl.rcParams) == settings


@pytest.mark.parametrize("width", [0, 39.9, 601, float("nan")])
def test_a_size_that_no_page_has_is_refused(width: float) -> None:
    with pytest.raises(DataError, match="width"):
        plotting.print_figure(maps(20), width=width)


def test_what_cannot_be_printed_is_refused() -> None:
    with pytest.raises(DataError, match="none of pdf"):
        plotting.print_figure(maps(20), "gif")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="pie"):
        plotting.print_figure(go.Figure(go.Pie(values=[1, 2])))
    with pytest.raises(DataError, match="no panel"):
        plotting.print_figure(go.Figure())


def test_arrows_are_printed_as_they_stand_on_the_page() -> None:
    points = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [4.0, 4.0]], dtype=np.float32)
    colors = plotting.Categories("cluster", np.zeros(4, dtype=int), ("one",))
    bare = plotting.latents([plotting.LatentPanel("map", points)], colors=colors)
    drawn = go.Figure(bare)
    drawn.add_trace(
        go.Quiver(x=[1.0], y=[2.0], u=[2.0], v=[0.0], marker={"color": "rgba(16,20,30,0.82)"})
    )
    without, with_arrow = (
        imread(io.BytesIO(plotting.print_figure(figure, "png", width=85)))[..., :3].min(axis=2)
        for figure in (bare, drawn)
    )
    rows, columns = np.nonzero((with_arrow < 0.5) & (without > 0.9))
    assert len(rows) > 50
    assert np.ptp(columns) > 5 * np.ptp(rows)
