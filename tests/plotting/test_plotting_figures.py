"""What a figure draws is what it was given: every cell, every number, every reason."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from splicedvae import plotting
from splicedvae._core.errors import DataError
from splicedvae._core.keys import Sources

RNG = np.random.default_rng(0)


@dataclass(frozen=True)
class Lines:
    x: np.ndarray
    y: np.ndarray
    arrow_x: np.ndarray
    arrow_y: np.ndarray
    arrow_dx: np.ndarray
    arrow_dy: np.ndarray


def lines() -> Lines:
    nan = np.nan
    values = [[0, 1, nan, 2, 3], [0, 0, nan, 1, 2], [1, 2.5], [0, 1.5], [1, 0], [0, 1]]
    return Lines(*(np.array(row, dtype=np.float32) for row in values))


def categories(n: int, names: tuple[str, ...] = ("a", "b", "c")) -> plotting.Categories:
    return plotting.Categories("clusters", np.arange(n) % (len(names) + 1) - 1, names)


def cells_of(figure: go.Figure, axis: str = "x") -> list[go.Scattergl]:
    return [trace for trace in figure.data if trace.customdata is not None and trace.xaxis == axis]


@pytest.fixture
def embedding() -> np.ndarray:
    return RNG.normal(size=(41, 2))


def test_streams_draw_every_cell_in_every_panel(embedding: np.ndarray) -> None:
    panels = [plotting.StreamPanel(title, embedding, lines()) for title in ("one", "two", "three")]
    figure = plotting.streams(panels, colors=categories(41))
    for axis in ("x", "x2", "x3"):
        drawn = cells_of(figure, axis)
        index = np.concatenate([trace.customdata for trace in drawn])
        assert sorted(index) == list(range(41))
        for trace in drawn:
            np.testing.assert_array_equal(trace.x, embedding[trace.customdata, 0].astype("f4"))
            np.testing.assert_array_equal(trace.y, embedding[trace.customdata, 1].astype("f4"))


def test_streams_have_one_camera_and_one_legend(embedding: np.ndarray) -> None:
    panels = [plotting.StreamPanel(title, embedding, lines()) for title in ("one", "two", "three")]
    figure = plotting.streams(panels, colors=categories(41))
    assert figure.layout.xaxis2.matches == figure.layout.xaxis3.matches == "x"
    assert figure.layout.yaxis2.matches == figure.layout.yaxis3.matches == "y"
    assert figure.layout.yaxis.scaleanchor == "x"
    shown = [trace.name for trace in figure.data if trace.showlegend]
    assert sorted(shown) == ["a", "b", "c", "none"]
    groups = {trace.legendgroup for trace in cells_of(figure, "x2")}
    assert groups == {trace.legendgroup for trace in cells_of(figure, "x")}


def test_a_category_missing_from_the_first_panel_is_in_the_legend(embedding: np.ndarray) -> None:
    panels = [plotting.StreamPanel(title, embedding, lines()) for title in ("one", "two")]
    first = plotting.Categories("c", np.zeros(41, int), ("a", "b"))
    second = plotting.Categories("c", np.ones(41, int), ("a", "b"))
    figure = plotting.streams(panels, colors=[first, second])
    assert [trace.name for trace in figure.data if trace.showlegend] == ["a", "b"]


def test_arrays_travel_as_float32(embedding: np.ndarray) -> None:
    figure = plotting.streams(
        [plotting.StreamPanel("one", embedding, lines())], colors=categories(41)
    )
    sent = json.loads(figure.to_json())
    for trace in sent["data"]:
        assert trace["type"] == "scatter"
        assert trace["x"]["dtype"] == trace["y"]["dtype"] == "f4"
        if "customdata" in trace:
            assert trace["customdata"]["dtype"] in {"i1", "i2", "i4"}


@pytest.mark.parametrize(
    ("n_cells", "kind"),
    [
        (41, "scatter"),
        (3_000, "scatter"),
        (3_001, "scattergl"),
        (30_000, "scattergl"),
        (30_001, "scatter"),
    ],
)
def test_lines_lie_on_what_the_cells_are_drawn_with(n_cells: int, kind: str) -> None:
    # plotly lays its canvas over vector graphics: lines below it would be hidden by cells.
    points = RNG.normal(size=(n_cells, 2))
    figure = plotting.streams(
        [plotting.StreamPanel("one", points, lines())], colors=categories(n_cells)
    )
    drawn = {
        trace.type
        for trace in figure.data
        if trace.showlegend is False or trace.customdata is not None
    }
    assert drawn == {kind}
    assert {
        trace.type for trace in figure.data if trace.name in ("stream lines", "arrow heads")
    } == {kind}


def test_arrows_point_where_the_lines_go(embedding: np.ndarray) -> None:
    figure = plotting.streams(
        [plotting.StreamPanel("one", embedding, lines())], colors=categories(41)
    )
    heads = next(trace for trace in figure.data if trace.name == "arrow heads")
    # Clockwise from up: to the right is 90 degrees, up is 0.
    np.testing.assert_allclose(heads.marker.angle, [90, 0], atol=1e-4)
    drawn = next(trace for trace in figure.data if trace.name == "stream lines")
    assert np.isnan(drawn.x).sum() == 1
    assert not drawn.connectgaps


def test_a_refused_velocity_shows_its_reason_and_no_lines(embedding: np.ndarray) -> None:
    reason = "The ratio does not vary <within> any gene: %{x} use another source."
    figure = plotting.streams(
        [
            plotting.StreamPanel("measured", embedding, lines()),
            plotting.StreamPanel("scVI", embedding, None, message=reason),
        ],
        colors=categories(41),
    )
    assert len(cells_of(figure, "x2")) == 4
    assert {trace.xaxis for trace in figure.data if "lines" in trace.mode} == {"x"}
    texts = [note.text.replace("<br>", " ") for note in figure.layout.annotations]
    assert plotting.escape(reason) in texts
    assert reason in plotting.alt_text(figure)


def test_a_panel_without_lines_must_say_why(embedding: np.ndarray) -> None:
    with pytest.raises(DataError, match="says why"):
        plotting.StreamPanel("scVI", embedding, None)


def test_numbers_share_one_color_bar_and_missing_ones_are_grey(embedding: np.ndarray) -> None:
    values = np.linspace(-1, 1, 41)
    values[:5] = np.nan
    colors = plotting.Values("cosine", values, "diverging", (-1, 1))
    figure = plotting.latents(
        [plotting.LatentPanel("A", embedding), plotting.LatentPanel("B", embedding)], colors=colors
    )
    assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == (-1, 1)
    assert figure.layout.coloraxis.colorscale[0][1].upper() == plotting.DIVERGING[0]
    grey = [trace for trace in figure.data if trace.name == "no value"]
    assert {trace.marker.color for trace in grey} == {plotting.MISSING}
    assert [list(trace.customdata) for trace in grey] == [[0, 1, 2, 3, 4]] * 2
    colored = [trace for trace in figure.data if trace.marker.coloraxis == "coloraxis"]
    np.testing.assert_array_equal(colored[0].marker.color, values[5:].astype("f4"))
    assert figure.layout.xaxis2.matches is None
    assert figure.layout.yaxis2.scaleanchor == "x2"


def test_colors_must_fit_the_cells(embedding: np.ndarray) -> None:
    panels = [plotting.LatentPanel("A", embedding), plotting.LatentPanel("B", embedding)]
    with pytest.raises(DataError, match="for 40 cells"):
        plotting.latents(panels, colors=categories(40))
    with pytest.raises(DataError, match="1 colorings for 2 panels"):
        plotting.latents(panels, colors=[categories(41)])
    with pytest.raises(DataError, match="same kind"):
        plotting.latents(panels, colors=[categories(41), plotting.Values("v", np.zeros(41))])
    with pytest.raises(DataError, match="at least one panel"):
        plotting.streams([], colors=categories(41))
    with pytest.raises(DataError, match="-1"):
        plotting.Categories("clusters", np.array([0, 3]), ("a", "b", "c"))
    with pytest.raises(DataError, match="two columns"):
        plotting.LatentPanel("A", embedding[:, :1])


def test_names_from_data_are_escaped_everywhere(embedding: np.ndarray) -> None:
    hostile = "<b>%{x}</b> $x^2$ " + "long " * 10
    colors = plotting.Categories(hostile, np.zeros(41, int), (hostile,))
    figure = plotting.streams(
        [plotting.StreamPanel(hostile, embedding, lines(), caption=hostile)], colors=colors
    )
    cells = cells_of(figure)[0]
    for text in (cells.name, cells.hovertemplate, figure.layout.legend.title.text):
        assert "<b>" not in text
        assert "%{" not in text
        assert "$" not in text
    # The legend is short, the hover is whole.
    assert len(cells.name) < len(hostile)
    assert plotting.escape(hostile) in cells.hovertemplate
    title = figure.layout.annotations[0]
    assert "%{" not in title.text
    assert title.text.count("<b>") == 1


@pytest.mark.parametrize(
    ("n", "columns", "rows"), [(1, 1, 1), (2, 2, 1), (3, 3, 1), (4, 2, 2), (5, 3, 2)]
)
def test_panels_are_arranged(embedding: np.ndarray, n: int, columns: int, rows: int) -> None:
    panels = [plotting.LatentPanel(str(index), embedding) for index in range(n)]
    figure = plotting.latents(panels, colors=categories(41))
    domains = [figure.layout[f"xaxis{index or ''}"].domain for index in (0, *range(2, n + 1))]
    assert len({domain[0] for domain in domains}) == columns
    domains = [figure.layout[f"yaxis{index or ''}"].domain for index in (0, *range(2, n + 1))]
    assert len({domain[0] for domain in domains}) == rows


def test_ratio_density_is_predicted_against_measured() -> None:
    counts = np.zeros((4, 3))
    counts[3, 0] = 100  # predicted highest, measured lowest
    density = plotting.Density(
        Sources.SPLICEDVAE, counts, np.linspace(0, 1, 4), np.linspace(0, 1, 5), caption="r 0.6"
    )
    figure = plotting.predicted_against_measured([density])
    heat, identity = figure.data
    assert heat.z[3, 0] == pytest.approx(2)
    assert np.isnan(heat.z).sum() == 11
    assert (heat.x.size, heat.y.size) == (4, 5)
    assert heat.customdata[3, 0] == 100
    assert list(identity.x) == list(identity.y) == [0, 1]
    assert figure.layout.coloraxis.cmax >= 2
    with pytest.raises(DataError, match="one more edge"):
        plotting.Density("scvi", counts, np.linspace(0, 1, 5), np.linspace(0, 1, 4))


def metrics() -> pd.DataFrame:
    rows = [
        (predictor, metric, coverage, value, ceiling, 100 // coverage, "")
        for predictor, value in ((Sources.SPLICEDVAE, 0.3), (Sources.GENE_MEAN, 0.4))
        for metric, ceiling in (("rmse", 0.2), ("pearson", 0.8), ("nll", np.nan))
        for coverage in (10, 1, 5)
    ]
    names = ["predictor", "metric", "coverage", "value", "ceiling", "n", "note"]
    return pd.DataFrame(rows, columns=names)


def test_coverage_curves_stand_beside_their_ceiling() -> None:
    figure = plotting.coverage_curves(metrics())
    own = [trace for trace in figure.data if trace.legendgroup == Sources.SPLICEDVAE]
    assert len(own) == 2
    for trace in own:
        assert list(trace.x) == [1, 5, 10]
        assert trace.line.color == plotting.PREDICTOR_COLORS[Sources.SPLICEDVAE]
    ceilings = [trace for trace in figure.data if trace.legendgroup == "ceiling"]
    assert [set(trace.y) for trace in ceilings] == [{0.2}, {0.8}]
    assert sum(bool(trace.showlegend) for trace in figure.data) == 3
    # The model stands first in the legend and above the others in the panel.
    turned = plotting.coverage_curves(metrics().iloc[::-1])
    assert [trace.legendgroup for trace in turned.data[:2]] == ["splicedvae", "gene_mean"]
    assert turned.data[0].zorder > turned.data[1].zorder


def test_tables_without_what_is_drawn_are_refused() -> None:
    with pytest.raises(DataError, match="lacks ceiling"):
        plotting.coverage_curves(metrics().drop(columns="ceiling"))
    with pytest.raises(DataError, match="hold nll"):
        plotting.coverage_curves(metrics().query("metric == 'nll'"))
    with pytest.raises(DataError, match="lacks epoch"):
        plotting.training_curves(metrics())


def test_training_curves_are_in_the_order_of_epochs() -> None:
    rows = [
        (predictor, epoch, metric, 100.0 / epoch + offset)
        for predictor in (Sources.SPLICEDVAE, Sources.SCVI)
        for metric, offset in (("ratio_loss_train", 0.0), ("rmse_held_out", 1.0))
        for epoch in (3, 1, 2, 40)
    ]
    rows += [(Sources.SPLICEDVAE, epoch, "kl_local_train", 5.0) for epoch in (1, 2)]
    history = pd.DataFrame(rows, columns=["predictor", "epoch", "metric", "value"])
    figure = plotting.training_curves(history)
    ratio = [trace for trace in figure.data if trace.xaxis == "x"]
    assert [trace.name for trace in ratio] == ["SplicedVAE", "scVI + ratio head"]
    for trace in ratio:
        assert list(trace.x) == [1, 2, 3, 40]
        assert trace.y[0] > trace.y[-1]
    assert figure.layout.yaxis.type == "log"
    assert figure.layout.yaxis2.type is None
    assert len([trace for trace in figure.data if trace.xaxis == "x2"]) == 1


def test_histograms_keep_their_counts() -> None:
    edges = np.array([10.0, 100.0, 1000.0])
    figure = plotting.depth_histogram([plotting.Histogram("total", np.array([3, 7]), edges, 120.0)])
    assert list(figure.data[0].y) == [0, 3, 7, 0]
    assert list(figure.data[0].x) == [10, 10, 100, 1000]
    assert figure.layout.xaxis.type == "log"
    assert "median 120" in figure.data[0].name
    linear = plotting.depth_histogram([plotting.Histogram("t", np.array([3, 7]), edges - 10)])
    assert linear.layout.xaxis.type is None
    with pytest.raises(DataError, match="one more edge"):
        plotting.Histogram("total", np.array([3, 7]), edges[:2])


def test_within_gene_correlation_shows_each_median() -> None:
    edges = np.linspace(-1, 1, 5)
    figure = plotting.within_gene_correlation(
        [
            plotting.Histogram(Sources.SPLICEDVAE, np.array([0, 1, 5, 2]), edges, 0.21),
            plotting.Histogram(Sources.KNN, np.array([0, 3, 4, 1]), edges, 0.05),
        ]
    )
    assert [shape.x0 for shape in figure.layout.shapes] == [0.21, 0.05]
    assert "median 0.21" in figure.data[0].name


def test_cluster_bars_follow_the_table() -> None:
    table = pd.DataFrame(
        {
            "cluster": ["Beta", "<Alpha>", "Delta"],
            "n_cells": [10, 200, 3],
            "median_depth": [1000.0, 2000.0, 3000.0],
            "unspliced_fraction": [0.1, 0.3, 0.2],
        }
    )
    figure = plotting.unspliced_fraction_by_cluster(table, overall=0.25)
    assert list(figure.data[0].x) == [0.1, 0.3, 0.2]
    assert figure.layout.yaxis.ticktext[1] == "&lt;Alpha&gt; (200)"
    assert figure.layout.yaxis.autorange == "reversed"
    assert "30.0% (<Alpha>)" in plotting.alt_text(figure)
    named = plotting.unspliced_fraction_by_cluster(table, genes="all genes of the file")
    assert named.layout.xaxis.title.text.endswith("(S + U), all genes of the file")
    assert "over all genes of the file" in plotting.alt_text(named)
    with pytest.raises(DataError, match="no cluster"):
        plotting.unspliced_fraction_by_cluster(table.iloc[:0])
    with pytest.raises(DataError, match="lacks n_cells"):
        plotting.unspliced_fraction_by_cluster(table.drop(columns="n_cells"))


@pytest.mark.parametrize("dark", [False, True])
def test_every_figure_says_what_it_shows(embedding: np.ndarray, dark: bool) -> None:
    edges = np.linspace(0, 1, 5)
    histogram = plotting.Histogram("splicedvae", np.arange(4), edges, 0.5)
    figures = [
        plotting.streams(
            [plotting.StreamPanel("a", embedding, lines())], colors=categories(41), dark=dark
        ),
        plotting.latents([plotting.LatentPanel("a", embedding)], colors=categories(41), dark=dark),
        plotting.predicted_against_measured(
            [plotting.Density("scvi", np.ones((4, 4)), edges, edges)], dark=dark
        ),
        plotting.coverage_curves(metrics(), dark=dark),
        plotting.depth_histogram([histogram], dark=dark),
        plotting.within_gene_correlation([histogram], dark=dark),
    ]
    for figure in figures:
        assert plotting.alt_text(figure).endswith(".")
        assert figure.layout.template == plotting.template(dark)
    assert plotting.alt_text(go.Figure()) == ""


def _summary() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "predictor": predictor,
                "metric": metric,
                "coverage": coverage,
                "mean": mean,
                "sd": sd,
                "ceiling": ceiling,
                "n_runs": 5,
            }
            for metric, coverage, ceiling in (("skill", 1, np.nan), ("pearson", 5, 0.9))
            for predictor, mean, sd in (("gene_mean", 0.1, np.nan), ("splicedvae", 0.4, 0.05))
        ]
    )


def test_benchmark_overview_draws_means_spreads_and_ceilings() -> None:
    figure = plotting.benchmark_overview(_summary())
    first = figure.data[0]
    drawn = dict(zip(first.y, zip(first.x, first.error_x["array"], strict=True), strict=True))
    assert drawn == {"SplicedVAE": (0.4, 0.05), "gene mean": (0.1, 0.0)}
    assert [shape.x0 for shape in figure.layout.shapes] == [0.9]
    assert "SplicedVAE" in plotting.alt_text(figure)


def test_benchmark_overview_without_its_metrics_is_refused() -> None:
    with pytest.raises(DataError, match="choose other metrics"):
        plotting.benchmark_overview(_summary().assign(metric="bleu"))
    with pytest.raises(DataError, match="lacks sd"):
        plotting.benchmark_overview(_summary().drop(columns="sd"))
