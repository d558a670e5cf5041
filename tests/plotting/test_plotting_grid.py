"""Rows and columns of panels in windows of any size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splicedvae import plotting
from splicedvae.plotting._grid import TITLE_HEIGHT, arrange, legend_height

windows = st.builds(plotting.Window, st.integers(160, 4000), st.integers(160, 4000))


def shaped(ratio: float) -> np.ndarray:
    return np.array([[0.0, 0.0], [1.0, ratio]])


@given(windows, st.integers(1, 9), st.floats(0.05, 20.0))
def test_every_panel_is_readable_and_no_higher_than_the_window(
    window: plotting.Window, n_panels: int, ratio: float
) -> None:
    grid = arrange([shaped(ratio)] * n_panels, window=window)
    assert 1 <= grid.columns <= n_panels
    assert (grid.rows - 1) * grid.columns < n_panels <= grid.rows * grid.columns
    width = window.width / grid.columns
    assert grid.columns == 1 or width >= 300
    assert 150 <= grid.row_height <= max(window.height - TITLE_HEIGHT, 150)
    # A caption stays inside its panel: characters are a little over six pixels wide.
    assert grid.caption_length * 6 <= max(width, 8 * 6)


@pytest.mark.parametrize(
    ("window", "ratio", "columns"),
    [
        ((360, 800), 0.5, 1),
        ((960, 880), 0.5, 2),
        ((1500, 1040), 0.5, 2),
        # Tall embeddings stand in a row.
        ((1500, 800), 1.5, 4),
        # So they do not where the window is as narrow as a telephone.
        ((360, 800), 1.5, 1),
    ],
)
def test_four_panels_follow_shape_and_window(
    window: tuple[int, int], ratio: float, columns: int
) -> None:
    assert plotting.columns_in(4, ratio, plotting.Window(*window)) == columns


def test_a_panel_has_the_shape_of_its_embedding() -> None:
    grid = arrange([shaped(0.5)], window=plotting.Window(800, 1000))
    assert grid.row_height == 400
    assert arrange([shaped(0.5)] * 4).columns == 2


def test_a_legend_of_many_names_gets_more_lines_in_a_narrow_window() -> None:
    names = ["a long name of a cluster"] * 12
    assert legend_height(names, 360) > legend_height(names, 1500) > 0


def test_cells_without_a_place_leave_a_square() -> None:
    assert plotting.aspect([np.full((3, 2), np.nan)]) == 1.0
