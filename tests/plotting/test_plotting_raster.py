"""Many cells as a picture: every pixel where its cells are, in their colour, and small."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import plotly.graph_objects as go
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from splicedvae import plotting
from splicedvae._core.errors import DataError
from splicedvae.plotting import _cells, _raster

RNG = np.random.default_rng(2)
CORNERS = np.array([[0.0, 0.0], [10.0, 5.0], [0.0, 5.0], [10.0, 0.0]])
CODES = np.array([0, 1, 2, -1])
NAMES = ("a", "b", "c")


def pixels_of(picture: _raster.Picture | None, points: np.ndarray) -> np.ndarray:
    """RGBA from 0 to 1 at some positions of a map."""
    assert picture is not None
    kind, _, content = picture.source.partition(",")
    assert kind == "data:image/png;base64"
    image = np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("RGBA")) / 255
    left, right, bottom, top = picture.extent
    column = ((points[:, 0] - left) / (right - left) * image.shape[1]).astype(int)
    row = ((top - points[:, 1]) / (top - bottom) * image.shape[0]).astype(int)
    return image[row, column]


def test_categories_stand_where_their_cells_are() -> None:
    colors = plotting.Categories("c", CODES, NAMES)
    found = pixels_of(_raster.draw(CORNERS, colors), CORNERS)
    for code in range(3):
        np.testing.assert_allclose(found[code, :3], to_rgb(plotting.CATEGORICAL[code]), atol=0.01)
    np.testing.assert_allclose(found[3, :3], to_rgb(plotting.MISSING), atol=0.01)
    assert found[3, 3] < found[0, 3]
    middle = pixels_of(_raster.draw(CORNERS, colors), np.array([[5.0, 2.5]]))
    assert middle[0, 3] == 0


def test_the_most_frequent_category_wins_and_many_are_more_opaque() -> None:
    points = np.repeat(CORNERS[:2], [6, 1], axis=0)
    colors = plotting.Categories("c", np.array([0, 1, 1, 1, 1, 2, 0]), NAMES)
    found = pixels_of(_raster.draw(points, colors), CORNERS[:2])
    np.testing.assert_allclose(found[0, :3], to_rgb(plotting.CATEGORICAL[1]), atol=0.01)
    assert found[0, 3] > found[1, 3]


def test_numbers_are_means_on_the_scale() -> None:
    points = np.repeat(CORNERS, [2, 1, 1, 1], axis=0)
    values = plotting.Values("v", np.array([0.0, 1.0, 0.0, 1.0, np.nan]))
    found = pixels_of(_raster.draw(points, values), CORNERS)
    viridis = [(0.267, 0.005, 0.329), (0.993, 0.906, 0.144)]
    np.testing.assert_allclose(found[1, :3], viridis[0], atol=0.02)
    np.testing.assert_allclose(found[2, :3], viridis[1], atol=0.02)
    np.testing.assert_allclose(found[0, :3], (0.128, 0.567, 0.551), atol=0.03)
    np.testing.assert_allclose(found[3, :3], to_rgb(plotting.MISSING), atol=0.01)
    diverging = plotting.Values("v", np.array([-1.0, 1.0, 0, 0]), "diverging", (-1, 1))
    found = pixels_of(_raster.draw(CORNERS, diverging), CORNERS)
    np.testing.assert_allclose(found[0, :3], to_rgb(plotting.DIVERGING[0]), atol=0.02)


def test_cells_outside_the_selection_are_grey() -> None:
    colors = plotting.Categories("c", CODES, NAMES)
    selected = np.array([True, False, True, False])
    found = pixels_of(_raster.draw(CORNERS, colors, selected), CORNERS)
    np.testing.assert_allclose(found[0, :3], to_rgb(plotting.CATEGORICAL[0]), atol=0.01)
    np.testing.assert_allclose(found[1, :3], to_rgb(plotting.MISSING), atol=0.01)


def test_positions_that_are_none_are_left_out() -> None:
    colors = plotting.Categories("c", CODES, NAMES)
    points = CORNERS.copy()
    points[1] = np.nan
    assert pixels_of(_raster.draw(points, colors), CORNERS[:1])[0, 3] > 0
    assert _raster.draw(np.full((4, 2), np.nan), colors) is None
    one_place = np.zeros((4, 2))
    assert pixels_of(_raster.draw(one_place, colors), one_place[:1])[0, 3] > 0


def test_more_colors_than_a_palette_holds() -> None:
    names = tuple(f"c{index}" for index in range(300))
    points = RNG.normal(size=(300, 2))
    picture = _raster.draw(points, plotting.Categories("c", np.arange(300), names))
    assert (pixels_of(picture, points)[:, 3] > 0).all()


@pytest.fixture(scope="module")
def many() -> np.ndarray:
    return RNG.normal(size=(plotting.MOST_POINTS + 1, 2)).astype(np.float32)


def maps(points: np.ndarray, colors: plotting.CellColors, **options: object) -> go.Figure:
    panels = [plotting.LatentPanel("A", points), plotting.LatentPanel("B", points + 1)]
    return plotting.latents(panels, colors=colors, linked=True, **options)  # type: ignore[arg-type]


def test_many_cells_are_a_picture_with_a_legend(many: np.ndarray) -> None:
    colors = plotting.Categories("clusters", np.arange(len(many)) % 4 - 1, NAMES)
    figure = maps(many, colors)
    assert [image.xref for image in figure.layout.images] == ["x", "x2"]
    assert all(trace.customdata is None for trace in figure.data)
    assert [trace.name for trace in figure.data if trace.showlegend] == [*NAMES, "none"]
    assert figure.layout.legend.itemclick is False
    assert "drawn as a picture" in plotting.picture_note(figure)
    assert plotting.alt_text(figure)
    assert len(figure.to_json()) < 1e6
    corners = [trace for trace in figure.data if trace.name == "corners of the map"]
    for trace, image in zip(corners, figure.layout.images, strict=True):
        assert trace.x[0] == image.x
        assert trace.x[1] == pytest.approx(image.x + image.sizex)
        assert trace.y[1] == image.y
    assert figure.layout.xaxis2.matches == "x"


def test_few_cells_stay_points(many: np.ndarray) -> None:
    colors = plotting.Categories("clusters", np.zeros(len(many) - 1, int), NAMES)
    figure = maps(many[:-1], colors)
    assert not figure.layout.images
    assert plotting.picture_note(figure) == ""
    assert len(figure.to_json()) < 1.5e6


def test_pictures_of_numbers_share_a_color_bar(many: np.ndarray) -> None:
    values = RNG.normal(size=len(many))
    figure = maps(many, plotting.Values("depth", values))
    assert figure.layout.coloraxis.cmin == pytest.approx(values.min())
    corners = [trace for trace in figure.data if trace.name == "corners of the map"]
    assert {trace.marker.coloraxis for trace in corners} == {"coloraxis"}
    assert json.loads(figure.to_json())["layout"]["coloraxis"]["colorbar"]["title"]["text"]


def test_numbers_of_two_panels_have_common_limits() -> None:
    each = [plotting.Values("v", np.array([0.0, 1.0])), plotting.Values("v", np.array([-1.0, 0]))]
    points = np.zeros((2, 2))
    checked = _cells.check_colors(each, [points, points], ["A", "B"])
    assert [given.limits for given in checked] == [(-1.0, 1.0)] * 2  # type: ignore[union-attr]


def test_a_selection_of_points_greys_the_others_in_all_panels() -> None:
    points = RNG.normal(size=(40, 2))
    selected = np.arange(40) < 12
    line = plotting.Outline(1, (0.0, 1.0, 1.0), (0.0, 0.0, 1.0))
    for colors in (
        plotting.Categories("c", np.arange(40) % 3, NAMES),
        plotting.Values("v", np.arange(40.0)),
    ):
        figure = maps(points, colors, selected=selected, outlines=[line])
        for axis in ("x", "x2"):
            drawn = [trace for trace in figure.data if trace.xaxis == axis]
            grey = [trace for trace in drawn if trace.name == "not selected"]
            assert [list(trace.customdata) for trace in grey] == [list(range(12, 40))]
            kept = np.concatenate([t.customdata for t in drawn if t.name != "not selected"])
            assert sorted(kept) == list(range(12))
        assert [shape.xref for shape in figure.layout.shapes] == ["x2"]
        assert "12 selected" in plotting.alt_text(figure)
    with pytest.raises(DataError, match="selection has shape"):
        maps(points, colors, selected=selected[:-1])
    with pytest.raises(DataError, match="three corners"):
        plotting.Outline(0, (0.0, 1.0), (0.0, 1.0))
