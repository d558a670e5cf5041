"""Figures of one gene and of calibration draw what they were given, and say what they show."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from splicedvae import plotting
from splicedvae._core.errors import DataError

HOSTILE = "</b>%{x}$y$"
COLORS = plotting.Categories("clusters", np.array([0, 1, 0, -1]), ("a", HOSTILE))


def portrait(title: str, shift: float = 0.0, **options: object) -> plotting.PhasePanel:
    values = np.arange(4, dtype=np.float32)
    return plotting.PhasePanel(title, values + shift, 2 * values, **options)


def bins() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "time": [0.5, 2.0, 0.5, 2.0],
            "source": ["splicedvae", "splicedvae", "measured", "measured"],
            "ratio": [0.4, 0.6, 0.5, 0.7],
            "lower": [np.nan, np.nan, 0.4, 0.6],
            "upper": [np.nan, np.nan, 0.6, 0.75],
            "molecules": [20.0, 30.0, 20.0, 30.0],
        }
    )


def timed(**changes: object) -> plotting.TimedRatios:
    given = {
        "time_title": "true time",
        "time": np.array([0.0, 1.0, 2.0, 3.0]),
        "predicted": np.array([0.3, 0.4, 0.5, 0.6]),
        "lower": np.array([0.2, 0.3, 0.4, 0.5]),
        "upper": np.array([0.4, 0.5, 0.6, 0.7]),
        "measured": np.array([0.0, np.nan, 0.5, 1.0]),
        "molecules": np.array([3.0, 1.0, 10.0, 4.0]),
        "bins": bins(),
    }
    return plotting.TimedRatios(**{**given, **changes})  # type: ignore[arg-type]


def test_portraits_share_axes_and_draw_every_cell_and_the_steady_state() -> None:
    panels = [portrait("measured", slope=0.5), portrait("SplicedVAE", 1.0, slope=3.0)]
    figure = plotting.phase_portraits("Sox17", panels, colors=COLORS)
    assert figure.layout.xaxis2.matches == "x"
    assert figure.layout.yaxis2.matches == "y"
    for axis, shift in (("x", 0), ("x2", 1)):
        cells = [t for t in figure.data if t.xaxis == axis and t.customdata is not None]
        where = np.concatenate([trace.customdata for trace in cells])
        x = np.concatenate([trace.x for trace in cells])
        assert sorted(where) == [0, 1, 2, 3]
        np.testing.assert_array_equal(x[np.argsort(where)], np.arange(4) + shift)
    lines = [trace for trace in figure.data if trace.name == "steady state"]
    assert [trace.y[1] / trace.x[1] for trace in lines] == pytest.approx([0.5, 3.0])
    assert sum(bool(trace.showlegend) for trace in lines) == 1
    assert max(trace.y[1] for trace in lines) <= figure.layout.yaxis.range[1] + 1e-6
    assert "Sox17" in plotting.alt_text(figure)
    assert HOSTILE not in figure.to_json()


def test_a_portrait_that_is_missing_says_why() -> None:
    reason = "The velocity was refused: <too few> counts."
    panels = [portrait("measured"), plotting.PhasePanel("scVI", None, None, message=reason)]
    figure = plotting.phase_portraits("g", panels, colors=COLORS)
    texts = [note.text.replace("<br>", " ") for note in figure.layout.annotations]
    assert plotting.escape(reason) in texts
    with pytest.raises(DataError, match="too few"):
        plotting.phase_portraits("g", panels[1:], colors=COLORS)
    with pytest.raises(DataError, match="say why"):
        plotting.PhasePanel("scVI", None, None)
    with pytest.raises(DataError, match="one of each"):
        plotting.PhasePanel("scVI", np.zeros(2), np.zeros(3))


def test_ratio_over_time_draws_cells_entries_and_pools() -> None:
    band = pd.DataFrame({"time": [0.5, 2.0], "lower": [0.1, 0.2], "upper": [0.8, 0.9]})
    figure = plotting.ratio_over_time(
        "g", timed(band=band, band_title="where 90% lie"), colors=COLORS
    )
    points = [trace for trace in figure.data if trace.mode == "markers" and trace.marker.opacity]
    left = np.concatenate([trace.customdata for trace in points if trace.xaxis == "x"])
    entries = [trace for trace in points if trace.xaxis == "x2"]
    assert sorted(left) == [0, 1, 2, 3]
    drawn = {
        int(cell): (float(y), float(size))
        for trace in entries
        for cell, y, size in zip(trace.customdata, trace.y, trace.marker.size, strict=True)
    }
    assert {cell: y for cell, (y, _) in drawn.items()} == {0: 0.0, 2: 0.5, 3: 1.0}
    assert drawn[2][1] > drawn[3][1] > drawn[0][1]
    whiskers = next(trace for trace in figure.data if trace.name == "90% interval of the model")
    np.testing.assert_allclose(whiskers.y[:2], [0.2, 0.4], rtol=1e-6)
    pooled = next(trace for trace in figure.data if trace.name == "measured, pooled")
    np.testing.assert_allclose(pooled.error_y.array, [0.1, 0.05])
    np.testing.assert_allclose(pooled.error_y.arrayminus, [0.1, 0.1])
    assert any(trace.name == "where 90% lie" for trace in figure.data)


def test_ratio_over_time_by_numbers_keeps_colors_with_their_cells() -> None:
    values = plotting.Values("depth", np.array([1.0, 2.0, 3.0, 4.0]))
    figure = plotting.ratio_over_time("g", timed(lower=None, upper=None), colors=values)
    entries = next(t for t in figure.data if t.xaxis == "x2" and t.marker.coloraxis)
    assert list(entries.marker.color) == [1.0, 3.0, 4.0]
    assert list(entries.customdata) == [0, 2, 3]


def test_times_without_values_are_refused() -> None:
    with pytest.raises(DataError, match="one value for each cell"):
        timed(molecules=np.zeros(3))
    with pytest.raises(DataError, match="lacks"):
        timed(bins=bins().drop(columns="lower"))


def test_groups_are_drawn_in_their_order_beside_each_other() -> None:
    table = bins().assign(group=[HOSTILE, "b", HOSTILE, "b"])
    figure = plotting.ratio_by_group("g", table, "clusters")
    assert figure.layout.xaxis.ticktext == (plotting.escape(HOSTILE), "b")
    measured, ours = figure.data
    assert measured.name == "measured, pooled"
    assert list(ours.y) == [0.4, 0.6]
    assert measured.x[0] < ours.x[0]
    assert ours.error_y.array is None
    with pytest.raises(DataError, match="expressed"):
        plotting.ratio_by_group("g", table.assign(ratio=np.nan), "clusters")


def reliability(predictor: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "predictor": predictor,
            "predicted": [0.2, 0.8],
            "observed": [0.25, 0.7],
            "error": [0.01, 0.02],
            "molecules": [100, 90],
            "entries": [50, 40],
        }
    )


def test_reliability_shows_the_difference_and_its_noise() -> None:
    both = pd.concat([reliability("gene_mean"), reliability("splicedvae")])
    figure = plotting.reliability_curves(both, reliability("splicedvae"))
    left = [trace for trace in figure.data if trace.xaxis == "x"]
    assert [trace.name for trace in left] == ["SplicedVAE", "gene mean"]
    np.testing.assert_allclose(left[0].y, [0.05, -0.1])
    np.testing.assert_allclose(left[0].error_y.array, [0.01645, 0.0329])
    right = [trace for trace in figure.data if trace.xaxis == "x2"]
    np.testing.assert_allclose(right[0].y, [0.25, 0.7])
    assert not right[0].showlegend
    empty = plotting.reliability_curves(both, both.iloc[:0])
    assert any("Nothing varies" in note.text for note in empty.layout.annotations)
    with pytest.raises(DataError, match="no bin"):
        plotting.reliability_curves(both.iloc[:0], both)


def test_intervals_are_drawn_beside_what_is_right() -> None:
    rows = pd.DataFrame(
        {
            "predictor": ["scvi", "splicedvae", "splicedvae"],
            "coverage": [2, 5, 2],
            "value": [0.8, 0.88, 0.89],
            "ceiling": 0.9,
            "n": [10, 5, 10],
        }
    )
    figure = plotting.interval_coverage(rows)
    assert [trace.name for trace in figure.data] == ["SplicedVAE", "scVI + ratio head"]
    assert list(figure.data[0].x) == ["2 or more", "5 or more"]
    assert figure.layout.shapes[0].y0 == 0.9
    low, high = figure.layout.yaxis.range
    assert low < 0.8
    assert high > 0.9
    with pytest.raises(DataError, match="train again"):
        plotting.interval_coverage(rows.iloc[:0])


def test_boxes_hold_what_was_given() -> None:
    rows = pd.DataFrame(
        [("a", "splicedvae", -1.0, 0.0, 0.1, 0.2, 0.4, 9)],
        columns=["group", "predictor", "low", "first", "median", "third", "high", "n"],
    )
    box = plotting.skill_boxes(rows).data[0]
    assert (box.lowerfence[0], box.q1[0], box.median[0]) == (-1.0, 0.0, 0.1)
    assert (box.q3[0], box.upperfence[0]) == (0.2, 0.4)
    with pytest.raises(DataError, match="at least one"):
        plotting.skill_boxes(rows.iloc[:0])


def test_published_numbers_are_drawn_where_they_were_given() -> None:
    metrics = pd.DataFrame(
        {
            "predictor": "gene_mean",
            "metric": ["rmse", "rmse", "pearson", "pearson"],
            "coverage": [1, 5, 1, 5],
            "value": [0.3, 0.1, 0.5, 0.9],
            "ceiling": np.nan,
            "n": 100,
        }
    )
    figure = plotting.coverage_curves(metrics, published={"rmse": 0.1271})
    assert [shape.y0 for shape in figure.layout.shapes] == [0.1271]
    assert not plotting.coverage_curves(metrics).layout.shapes
