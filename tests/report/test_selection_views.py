"""Cells inside a line, and what is said of them: read from what a browser may send."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splicedvae import plotting, views
from splicedvae._core.errors import DataError
from splicedvae._core.keys import Layers, Obs, Obsm, Split
from splicedvae.evaluation import SelectionScores
from splicedvae.runs import Run, demo_run
from splicedvae.views import _selection

NUMBERS = st.one_of(st.floats(), st.integers(), st.none(), st.text(max_size=3), st.booleans())
SHAPES = st.dictionaries(
    st.sampled_from(["xref", "yref", "x", "y", "other"]),
    st.one_of(st.lists(NUMBERS, max_size=6), st.sampled_from(["x", "x2", "x3", "paper", "x02"])),
)
EVENTS = st.one_of(
    st.none(),
    st.text(max_size=5),
    st.dictionaries(
        st.sampled_from(["lasso", "box", "points"]),
        st.one_of(st.lists(st.one_of(SHAPES, NUMBERS), max_size=4), NUMBERS),
    ),
)


@pytest.fixture(scope="module")
def run() -> Run:
    return demo_run()


@pytest.fixture(scope="module")
def scores(run: Run) -> SelectionScores:
    found = views.selection_scores(run)
    assert found is not None
    return found


@given(EVENTS)
def test_anything_a_browser_sends_is_a_line_or_nothing(event: object) -> None:
    for line in views.outlines_of(event, 2):
        assert line.panel in (0, 1)
        assert len(line.x) == len(line.y) >= 3
        assert np.isfinite([*line.x, *line.y]).all()


def test_lines_and_boxes_are_read_with_their_panel() -> None:
    event = {
        "lasso": [{"xref": "x2", "yref": "y2", "x": [0, 1, 1], "y": [0, 0, 1.5]}],
        "box": [
            {"xref": "x", "yref": "y", "x": [2, 0], "y": [0, 3]},
            {"xref": "x3", "yref": "y3", "x": [0, 1], "y": [0, 1]},
            {"xref": "paper", "yref": "y", "x": [0, 1], "y": [0, 1]},
        ],
    }
    lasso, box = views.outlines_of(event, 2)
    assert (lasso.panel, lasso.x, lasso.y) == (1, (0, 1, 1), (0, 0, 1.5))
    assert (box.panel, box.x, box.y) == (0, (2, 0, 0, 2), (0, 0, 3, 3))


def test_a_line_no_hand_draws_is_refused() -> None:
    corners = list(np.linspace(0, 1, _selection.MOST_CORNERS + 1))
    with pytest.raises(DataError, match="simpler"):
        views.outlines_of({"lasso": [{"xref": "x", "x": corners, "y": corners}]}, 1)
    boxes = [{"xref": "x", "x": [0, 1], "y": [0, 1]}] * (_selection.MOST_OUTLINES + 1)
    with pytest.raises(DataError, match="simpler"):
        views.outlines_of({"box": boxes}, 1)


def test_what_a_line_goes_around_twice_is_outside() -> None:
    angles = np.pi / 2 + 4 * np.pi / 5 * np.arange(5)
    star = plotting.Outline(0, tuple(np.cos(angles)), tuple(np.sin(angles)))
    points = np.array([[0.0, 0.0], [0.0, 0.8], [0.9, 0.9], [np.nan, 0.0]])
    assert views.cells_within([star], [points]).tolist() == [False, True, False, False]


def test_lines_in_both_maps_add_up() -> None:
    first = np.array([[0.0, 0.0], [5.0, 5.0], [9.0, 9.0]])
    second = first[::-1].copy()
    square = ((-1.0, 1.0, 1.0, -1.0), (-1.0, -1.0, 1.0, 1.0))
    lines = [plotting.Outline(0, *square), plotting.Outline(1, *square)]
    assert views.cells_within(lines, [first, second]).tolist() == [True, False, True]
    huge = plotting.Outline(0, (-1e30, 1e30, 1e30), (-1e30, -1e30, 1e30))
    assert views.cells_within([huge], [first]).shape == (3,)


def test_the_second_map_is_turned_as_a_whole(run: Run) -> None:
    first, second = views.latent_maps(run)
    raw = np.asarray(run.predictions.obsm[Obsm.UMAP_LATENT_SCVI], dtype=float)[:, :2]
    pairs = np.random.default_rng(0).integers(0, len(raw), size=(200, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]

    def distances(points: np.ndarray) -> np.ndarray:
        return np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)

    shares = distances(second.embedding) / distances(raw)
    np.testing.assert_allclose(shares, shares.mean(), rtol=1e-3)
    apart = np.linalg.norm(second.embedding - first.embedding, axis=1).mean()
    assert apart < np.linalg.norm(raw - first.embedding, axis=1).mean()


def test_held_out_cells_of_a_cluster_are_judged(run: Run, scores: SelectionScores) -> None:
    name = views.cluster_names(run)[0]
    chosen = views.cells_of_clusters(run, [name, "no such cluster"])
    obs = run.predictions.obs
    assert chosen.sum() == (obs[Obs.CLUSTERS] == name).sum()
    found = views.summarise_selection(run, chosen, scores)
    held_out = (obs[Obs.SPLIT].astype(str) == Split.HELD_OUT).to_numpy()
    assert found.n_judged == (chosen & held_out).sum()
    assert found.metrics is not None
    assert list(found.metrics.index) == [
        "SplicedVAE",
        "scVI + ratio head",
        "gene mean",
        "noise ceiling",
    ]
    assert found.clusters is not None
    assert found.clusters.index.tolist() == [name]
    assert found.clusters["share of the cluster"].tolist() == [1.0]
    assert found.best_genes is not None
    assert (found.best_genes["counts"] >= _selection.SELECTION_MOLECULES).all()
    assert len(found.changed_genes) == _selection.N_GENES
    table = views.selected_cells(run, chosen)
    assert table.index.tolist() == run.predictions.obs_names[chosen].tolist()


def test_all_held_out_cells_have_the_metrics_of_the_run(run: Run, scores: SelectionScores) -> None:
    found = views.summarise_selection(run, np.ones(run.predictions.n_obs, bool), scores)
    whole = run.metrics.query("predictor == 'splicedvae' and coverage == 5")
    assert found.metrics is not None
    # The demo's file keeps 8 bits of its ratios.
    for column, metric in (("RMSE", "rmse"), ("Pearson r", "pearson")):
        expected = whole.loc[whole["metric"] == metric, "value"].iloc[0]
        assert found.metrics.loc["SplicedVAE", column] == pytest.approx(expected, abs=2e-3)
    assert any("no others" in said for said in found.cautions)


def test_few_cells_trained_cells_and_no_cells_are_told(run: Run, scores: SelectionScores) -> None:
    obs = run.predictions.obs
    held_out = (obs[Obs.SPLIT].astype(str) == Split.HELD_OUT).to_numpy()
    few = np.zeros(len(obs), dtype=bool)
    few[np.flatnonzero(held_out)[:3]] = True
    assert any(
        "depend strongly on chance" in said
        for said in views.summarise_selection(run, few, scores).cautions
    )
    trained = views.summarise_selection(run, ~held_out, scores)
    assert trained.metrics is None
    assert any("were used in training" in said for said in trained.cautions)
    assert any("no RMSE" in said for said in views.summarise_selection(run, few, None).cautions)
    with pytest.raises(DataError, match="encloses no cell"):
        views.summarise_selection(run, np.zeros(len(obs), dtype=bool), scores)


def test_cells_are_coloured_by_a_ratio_of_each_model(run: Run) -> None:
    cells = run.predictions
    gene = str(cells.var_names[3])
    found = views.cell_colors(run, f"{views.RATIO_PREFIX}{gene}")
    theirs = views.cell_colors(run, f"{views.RATIO_PREFIX}{gene}", source="scvi")
    counted = cells.X[:, 3].toarray().ravel() > 0
    assert isinstance(found, plotting.Values)
    assert isinstance(theirs, plotting.Values)
    np.testing.assert_array_equal(np.isfinite(found.values), counted)
    ratio = cells.layers[Layers.RATIO][:, 3].toarray().ravel()
    np.testing.assert_allclose(found.values[counted], ratio[counted])
    assert not np.allclose(found.values[counted], theirs.values[counted])


def test_cells_are_coloured_by_the_uncertainty_of_a_direction(run: Run) -> None:
    assert Obs.DIRECTION_UNCERTAINTY in views.color_choices(run)
    found = views.cell_colors(run, Obs.DIRECTION_UNCERTAINTY)
    assert isinstance(found, plotting.Values)
    assert 0 <= np.nanmin(found.values) <= np.nanmax(found.values) <= 1


def test_an_outline_holds_what_figures_read(run: Run) -> None:
    whole, outline = run.velocity("splicedvae"), run.velocity_outline("splicedvae")
    assert outline.obs.equals(whole.obs)
    assert outline.var.equals(whole.var)
    assert not outline.layers
    for key in whole.obsm:
        np.testing.assert_array_equal(outline.obsm[key], whole.obsm[key])
    assert run.depths.shape == (run.predictions.n_obs,)
