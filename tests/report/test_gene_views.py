"""Views of one gene and of calibration from runs that were really made."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from splicedvae import datasets, io, plotting, views
from splicedvae._core.errors import DataError, RunError
from splicedvae._core.keys import Layers, Obs, Sources, Split
from splicedvae._core.layers import named_layers
from splicedvae.pipeline import execute, gene_moments, ratio_intervals
from splicedvae.runs import Run, RunConfig

#: A copy whose results a test changes, as of a run from before there were digests.
WITHOUT_DIGESTS = shutil.ignore_patterns("SHA256SUMS")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("genes")
    cells = datasets.simulate(n_cells=300, n_genes=60, mean_depth=600, seed=3)
    cells.write_h5ad(folder / "cells.h5ad")
    totals = cells[:100].copy()
    for name in named_layers(totals):
        del totals.layers[name]
    del totals.obs[Obs.TRUE_TIME]
    totals.write_h5ad(folder / "totals.h5ad")
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    data = folder / "cells.h5ad"
    config = RunConfig(
        data=str(data),
        data_sha256=io.sha256(data),
        name="trained",
        cluster_key=Obs.CLUSTERS,
        n_top_genes=None,
        max_epochs=4,
        n_latent=4,
    )
    return execute(config, folder / "trained")


@pytest.fixture(scope="module")
def predicted(folder: Path, run: Run) -> Run:
    data = folder / "totals.h5ad"
    config = RunConfig(
        data=str(data),
        data_sha256=io.sha256(data),
        name="predicted",
        kind="predict",
        model_run=str(run.path),
    )
    return execute(config, folder / "predicted")


@pytest.fixture(scope="module")
def gene(run: Run) -> str:
    return str(run.genes["spliced"].idxmax())


def test_the_table_has_ours_before_the_baselines_and_the_best_first(run: Run) -> None:
    table = views.gene_table(run)
    names = list(table.columns)
    assert names[:3] == ["skill_splicedvae", "within_gene_r_splicedvae", views.CEILING_COLUMN]
    assert names.index("skill_scvi") < names.index("skill_ridge") < names.index("skill_knn")
    worth = table["skill_splicedvae"] * (table["spliced"] + table["unspliced"])
    assert worth.dropna().is_monotonic_decreasing
    assert set(table.index) == set(run.predictions.var_names)
    used = run.velocity(Sources.SPLICEDVAE).var["velocity_genes"]
    assert table[f"{views.USED_COLUMN}splicedvae"].sum() == used.sum()
    assert table[views.CEILING_COLUMN].dropna().between(0, 1).all()


def test_facts_say_what_the_tables_say(run: Run, gene: str) -> None:
    facts = views.gene_facts(run, gene)
    row = run.genes.loc[gene]
    assert (facts.spliced, facts.unspliced, facts.cells) == (
        row["spliced"],
        row["unspliced"],
        row["cells"],
    )
    assert facts.numbers.loc["splicedvae", "skill"] == row["skill_splicedvae"]
    assert facts.skill_error > 0
    assert 0 <= facts.ceiling <= 1
    assert (
        facts.sentences[-1].startswith("The SplicedVAE velocity uses")
        or "too little" in (facts.sentences[-1])
    )
    with pytest.raises(DataError, match="choose one of its"):
        views.gene_facts(run, "no such gene")


def test_each_gene_is_judged_by_its_skill(run: Run) -> None:
    for gene, skill in run.genes["skill_splicedvae"].dropna().items():
        said = " ".join(views.gene_facts(run, str(gene)).sentences)
        assert ("a constant is at least as good" in said) == (skill <= 0)
        assert ("better than a constant" in said) == (skill > 0)


def test_portraits_show_the_moments_of_each_velocity(run: Run, gene: str) -> None:
    figure = views.phase_figure(run, gene)
    for panel, source in enumerate((Sources.MEASURED, Sources.SPLICEDVAE, Sources.SCVI)):
        whole = run.velocity(source)
        place = whole.var_names.get_loc(gene)
        axis = "x" if not panel else f"x{panel + 1}"
        points = [t for t in figure.data if t.xaxis == axis and t.customdata is not None]
        where = np.concatenate([trace.customdata for trace in points])
        y = np.concatenate([trace.y for trace in points])[np.argsort(where)]
        np.testing.assert_array_equal(y, whole.layers[Layers.MU][:, place])
        line = next(t for t in figure.data if t.xaxis == axis and t.name == "steady state")
        slope = whole.var["velocity_gamma"].iloc[place]
        assert line.y[1] / line.x[1] == pytest.approx(slope, rel=1e-5)


def test_a_run_without_moments_says_so(run: Run, gene: str, tmp_path: Path) -> None:
    shutil.copytree(run.path, tmp_path / "bare", ignore=WITHOUT_DIGESTS)
    for source in (Sources.MEASURED, Sources.SPLICEDVAE, Sources.SCVI):
        with h5py.File(tmp_path / "bare" / "velocity" / f"{source}.h5ad", "a") as file:
            del file["layers"]["Mu"]
    bare = Run(tmp_path / "bare")
    with pytest.raises(RunError, match="has no smoothed counts"):
        gene_moments(bare, Sources.SPLICEDVAE, gene)
    with pytest.raises(DataError, match="has no smoothed counts"):
        views.phase_figure(bare, gene)
    (tmp_path / "bare" / "velocity" / "scvi.h5ad").write_bytes(b"no file")
    with pytest.raises(RunError, match="damaged"):
        gene_moments(bare, Sources.SCVI, gene)


def test_moments_need_a_velocity_and_a_gene(run: Run) -> None:
    with pytest.raises(RunError, match="not among"):
        gene_moments(run, Sources.MEASURED, "no such gene")
    with pytest.raises(RunError, match="no k nearest"):
        gene_moments(run, Sources.KNN, "any")


def test_intervals_hold_the_predicted_ratio_and_are_drawn(run: Run, gene: str) -> None:
    rows = views.drawn_cells(run)
    obs = run.predictions.obs
    assert (obs[Obs.SPLIT].iloc[rows] == Split.HELD_OUT).all()
    intervals = ratio_intervals(run, rows, n_samples=30)
    again = ratio_intervals(run, rows, n_samples=30)
    np.testing.assert_array_equal(intervals.lower, again.lower)
    ratio = run.predictions.layers[Layers.RATIO][rows].toarray()
    inside = (intervals.lower <= ratio) & (ratio <= intervals.upper)
    assert inside.to_numpy()[ratio > 0].mean() > 0.9
    share, entries = views.share_inside(run, gene, intervals)
    assert entries > 0
    assert 0.5 < share <= 1
    figure = views.gene_time_figure(run, gene, intervals)
    names = [trace.name for trace in figure.data]
    assert "90% interval of the model" in names
    assert any(str(name).startswith("90% interval for entries") for name in names)
    assert {"measured, pooled", "SplicedVAE", "scVI + ratio head", "gene mean"} <= set(names)
    without = views.gene_time_figure(run, gene)
    assert "90% interval of the model" not in [trace.name for trace in without.data]


def test_pooled_ratios_are_those_of_the_counts(run: Run, gene: str) -> None:
    cells = run.predictions
    held_out = (cells.obs[Obs.SPLIT] == Split.HELD_OUT).to_numpy()
    place = cells.var_names.get_loc(gene)
    s, u = (
        cells.layers[name][:, place].toarray().ravel()
        for name in (Layers.SPLICED, Layers.UNSPLICED)
    )
    figure = views.gene_cluster_figure(run, gene)
    measured = next(trace for trace in figure.data if trace.name == "measured, pooled")
    for name, value, n in zip(measured.text, measured.y, measured.customdata, strict=True):
        inside = held_out & (cells.obs[Obs.CLUSTERS] == name).to_numpy()
        assert n == (s + u)[inside].sum()
        if n:
            assert value == pytest.approx(s[inside].sum() / n)
    everyone = views.gene_cluster_figure(run, gene, which="all")
    assert sum(everyone.data[0].customdata) == pytest.approx((s + u).sum())


def test_a_run_without_counts_or_time_shows_what_it_has(predicted: Run) -> None:
    table = views.gene_table(predicted)
    assert {"counts", "cells", "gene_mean", "predicted"} <= set(table.columns)
    assert table["counts"].is_monotonic_decreasing
    gene = str(table.index[0])
    facts = views.gene_facts(predicted, gene)
    assert facts.spliced is None
    assert (
        "this gene cannot be checked. Its skill on held-out cells of the training data"
        in facts.sentences[0]
    )
    without = Run(predicted.path)
    without.__dict__["velocity_account"] = {}
    assert views.cell_time(without) is None
    with pytest.raises(DataError, match="no pseudotime"):
        views.gene_time_figure(without, gene)
    names = [trace.name for trace in views.gene_cluster_figure(predicted, gene).data]
    assert "measured, pooled" not in names
    assert "SplicedVAE" in names
    intervals = ratio_intervals(predicted, np.arange(20), n_samples=10)
    assert intervals.lower.shape == (20, predicted.predictions.n_vars)
    for view in (views.reliability_figure, views.cell_table, views.published_table):
        with pytest.raises(DataError):
            view(predicted)


def test_a_pseudotime_is_found_whatever_it_is_called(predicted: Run) -> None:
    cells = predicted.predictions
    values = np.linspace(0, 1, cells.n_obs)
    cells.obs["velocity_pseudotime"] = values
    try:
        time = views.cell_time(predicted)
        assert time is not None
        assert time.title == "velocity pseudotime"
        np.testing.assert_array_equal(time.values, values)
        gene = str(views.gene_table(predicted).index[0])
        assert "velocity pseudotime" in plotting.alt_text(views.gene_time_figure(predicted, gene))
    finally:
        del cells.obs["velocity_pseudotime"]


def test_calibration_agrees_with_the_metrics(run: Run) -> None:
    figure = views.reliability_figure(run)
    assert {"SplicedVAE", "scVI + ratio head", "gene mean"} <= {t.name for t in figure.data}
    ours = next(t for t in figure.data if t.name == "SplicedVAE" and t.xaxis == "x")
    error = np.average(np.abs(ours.y), weights=ours.customdata[:, 1])
    table = views.calibration_table(run)
    # The shipped layers are of single precision, and bins may part elsewhere.
    assert error == pytest.approx(table.loc["splicedvae", "calibration_error"], rel=0.05)
    assert table.index[-1] == "ceiling"
    assert table.loc["ceiling", "within_gene_slope"] == 1
    drawn = views.interval_figure(run)
    rows = run.metrics.query("metric == 'interval_coverage' and predictor == 'splicedvae'")
    np.testing.assert_allclose(drawn.data[0].y, rows.sort_values("coverage")["value"])


def test_cells_are_judged_and_the_worst_are_named(run: Run) -> None:
    table = views.cell_table(run)
    held_out = run.predictions.obs[Obs.SPLIT] == Split.HELD_OUT
    assert list(table.index) == list(run.predictions.obs_names[held_out])
    worst = views.worst_cells(table, 3)
    assert worst["skill_splicedvae"].tolist() == sorted(table["skill_splicedvae"].dropna())[:3]
    figure = views.cell_figure(table, run)
    assert [trace.name for trace in figure.data] == ["SplicedVAE", "scVI + ratio head"]
    boxes = figure.data[0]
    known = list(run.predictions.obs[Obs.CLUSTERS].cat.categories)
    assert list(boxes.x) == [name for name in known if name in set(table["cluster"])]
    part = table.loc[table["cluster"] == boxes.x[0], "skill_splicedvae"].dropna()
    assert boxes.median[0] == pytest.approx(part.median())


def test_published_numbers_are_found_where_the_metrics_pass_them(run: Run) -> None:
    table = views.published_table(run).set_index(["predictor", "metric"])
    metrics = run.metrics.query("predictor == 'gene_mean' and metric == 'pearson' and n >= 100")
    passed = metrics.loc[metrics["value"] >= views.PUBLISHED["pearson"], "coverage"]
    coverage = table.loc[("gene_mean", "pearson"), "coverage"]
    if len(passed):
        assert coverage <= passed.min()
    reached = table.loc[("gene_mean", "pearson"), "value"]
    assert np.isnan(coverage) or reached >= views.PUBLISHED["pearson"]


def test_how_training_ended_is_told(run: Run) -> None:
    history = run.history
    watched = history[history["metric"] == "skill_held_out"]
    assert len(watched)
    models = {"splicedvae", "scvi"} & set(watched["predictor"])
    assert len(views.training_sentences(run)) == len(models) == 2

    def told(*skills: float) -> str:
        other = Run(run.path)
        other.__dict__["history"] = pd.DataFrame(
            {
                "predictor": "splicedvae",
                "metric": "skill_held_out",
                "epoch": range(1, len(skills) + 1),
                "value": skills,
            }
        )
        (sentence,) = views.training_sentences(other)
        return sentence

    assert "peaked in epoch 2 of 3 (0.0100) and fell to 0.0050" in told(0.001, 0.01, 0.005)
    assert "0.0100 in epoch 2 of 3), so there is no sign" in told(0.001, 0.01, 0.0099)
    assert "a constant per gene would have been better" in told(-0.2, -0.1)
