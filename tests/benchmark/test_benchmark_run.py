"""The protocol on simulated cells: every run a real one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from splicedvae import benchmark, datasets
from splicedvae._core.errors import DataError, RunError
from splicedvae._core.keys import Obs, Sources, Split
from splicedvae.benchmark import Benchmark
from splicedvae.benchmark._run import _configs
from splicedvae.runs import Run
from splicedvae.velocity import VelocitySettings

SETTINGS = {"cluster_key": "clusters", "max_epochs": 15, "n_latent": 5}


@pytest.fixture(scope="module")
def simulated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("data") / "cells.h5ad"
    datasets.simulate(240, 80, n_batches=2, mean_depth=300, seed=5).write_h5ad(file)
    return file


@pytest.fixture(scope="module")
def halves(simulated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    out = tmp_path_factory.mktemp("benchmark") / "halves"
    return benchmark.run(simulated_file, out, design="halves", seeds=[0], **SETTINGS)


def test_halves_train_for_each_other(halves: Benchmark) -> None:
    runs = [Run(halves.path / "runs" / f"seed0_fold{fold}") for fold in (0, 1)]
    held_out = [run.predictions.obs[Obs.SPLIT].astype(str) == Split.HELD_OUT for run in runs]
    np.testing.assert_array_equal(held_out[0].to_numpy(), ~held_out[1].to_numpy())
    assert all(run.config.velocity.seed == run.config.seed == 0 for run in runs)


def test_every_run_of_a_benchmark_is_in_its_table(halves: Benchmark) -> None:
    table = halves.metrics
    assert set(zip(table["seed"], table["fold"], strict=True)) == {(0, 0), (0, 1)}
    for fold in (0, 1):
        run = Run(halves.path / "runs" / f"seed0_fold{fold}")
        part = table[table["fold"] == fold].drop(columns=["seed", "fold"]).reset_index(drop=True)
        pd.testing.assert_frame_equal(part, run.metrics, check_dtype=False)


def test_the_table_holds_all_predictors_and_every_kind_of_metric(halves: Benchmark) -> None:
    metrics = set(halves.summary["metric"])
    assert {
        "rmse",
        "pearson",
        "skill",
        "calibration_error",
        "within_gene_slope",
        "within_gene_r_by_cluster",
        "within_gene_r_by_cluster_50",
        "interval_coverage",
        "expression_nll",
        "silhouette_clusters",
        "nmi_kmeans",
        "time_r2",
        "velocity_evidence_p",
        "velocity_cosine_genes",
        "velocity_cosine_umap",
        "velocity_cosine_genes_own_graph",
        "velocity_cosine_genes_true",
        "velocity_confidence",
        "cbdir",
        "cbdir_null",
        "coherence_umap",
        "time_order",
    } <= metrics
    cosines = halves.summary[halves.summary["metric"] == "velocity_cosine_genes"]
    assert set(cosines["predictor"]) >= {
        *(set(Sources.PREDICTORS) - {Sources.GENE_MEAN}),
        Sources.SHUFFLED,
    }
    control = halves.metrics[halves.metrics["predictor"] == Sources.SHUFFLED]
    assert control["note"].str.contains("mean of 5 draws").any()


def test_json_and_figure_say_what_the_table_says(halves: Benchmark) -> None:
    told = json.loads((halves.path / "summary.json").read_text())
    assert told["plan"]["design"] == "halves"
    frame = pd.DataFrame(told["summary"])
    np.testing.assert_allclose(
        frame["mean"].astype(float), halves.summary["mean"].astype(float), equal_nan=True
    )
    figure = halves.figure()
    skill = halves.summary.query("metric == 'skill' and predictor == 'ridge'")["mean"].iloc[0]
    drawn = dict(zip(figure.data[0].y, figure.data[0].x, strict=True))
    assert drawn[Sources.LABELS[Sources.RIDGE]] == pytest.approx(skill)
    assert "plotly" in (halves.path / "figure.html").read_text().lower()


def test_a_benchmark_that_was_interrupted_goes_on(
    halves: Benchmark, simulated_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "again"
    (out / "runs").mkdir(parents=True)
    for name in ("benchmark.json", "runs/seed0_fold0.csv"):
        (out / name).write_bytes((halves.path / name).read_bytes())
    # The second run was cut off while it was written.
    broken = out / "runs" / "seed0_fold1"
    broken.mkdir()
    (broken / "config.json").write_text("{}")
    stamp = os.stat(out / "runs" / "seed0_fold0.csv").st_mtime_ns
    seen = []
    again = benchmark.run(
        simulated_file,
        out,
        design="halves",
        seeds=[0],
        keep_runs=False,
        progress=lambda number, of, status: seen.append((number, of)),
        **SETTINGS,
    )
    assert set(seen) == {(1, 2)}
    assert os.stat(out / "runs" / "seed0_fold0.csv").st_mtime_ns == stamp
    assert not broken.exists()
    np.testing.assert_allclose(
        again.summary["mean"].astype(float), halves.summary["mean"].astype(float), rtol=0.05
    )


def test_whole_groups_are_held_out_in_turn(simulated_file: Path, tmp_path: Path) -> None:
    found = benchmark.run(
        simulated_file,
        tmp_path / "groups",
        design="groups",
        split_by="batch",
        seeds=[0],
        **{**SETTINGS, "max_epochs": 3},
    )
    for fold in (0, 1):
        run = Run(found.path / "runs" / f"seed0_fold{fold}")
        assert any("in obs column 'batch' were held out" in note for note in run.notes)
        obs = run.predictions.obs
        assert (obs[Obs.SPLIT].astype(str) == Split.HELD_OUT).sum() > 50
    assert sorted(set(found.metrics["fold"])) == [0, 1]


def test_transfer_judges_on_the_other_file(simulated_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.h5ad"
    cells = datasets.simulate(150, 80, mean_depth=300, seed=6)
    cells.write_h5ad(other)
    found = benchmark.run(
        simulated_file,
        tmp_path / "transfer",
        design="transfer",
        test=other,
        seeds=[0],
        **{**SETTINGS, "max_epochs": 3},
    )
    genes = Run(found.path / "runs" / "seed0_fold0").predictions.var_names
    judged = found.metrics.query("metric == 'nll'")
    assert set(judged["predictor"]) >= {"splicedvae", "scvi", "ridge", "knn", "gene_mean"}
    assert set(judged["n"]) == {int(cells[:, genes].X.sum())}


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"design": "thirds"}, RunError, "expected one of cells, folds"),
        ({"seeds": []}, RunError, "no seeds"),
        ({"design": "groups"}, RunError, "belongs to the design 'groups'"),
        ({"split_by": "batch"}, RunError, "belongs to the design 'groups'"),
        ({"design": "groups", "split_by": "donor"}, RunError, "no column 'donor'"),
        ({"test": "x.h5ad"}, RunError, "belongs to the design 'transfer'"),
        ({"seed": 3}, RunError, "set by the benchmark itself"),
        ({"n_latent": 0}, RunError, "at least 1"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    simulated_file: Path, tmp_path: Path, arguments: dict[str, object], error: type, words: str
) -> None:
    with pytest.raises(error, match=words):
        benchmark.run(simulated_file, tmp_path / "out", **arguments)


def test_another_benchmark_is_not_overwritten(
    halves: Benchmark, simulated_file: Path, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match="holds another benchmark"):
        benchmark.run(simulated_file, halves.path, design="cells")
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match="is not empty"):
        benchmark.run(simulated_file, tmp_path)
    with pytest.raises(RunError, match=r"has no benchmark\.json"):
        Benchmark(tmp_path)


def test_settings_of_the_velocity_reach_the_runs(halves: Benchmark) -> None:
    assert Run(halves.path / "runs" / "seed0_fold0").config.velocity == VelocitySettings(seed=0)


@pytest.mark.parametrize("velocity", [{}, {"mode": "stochastic"}])
def test_velocities_follow_the_settings_of_their_run(
    simulated_file: Path, velocity: dict[str, str]
) -> None:
    asked = {"n_top_genes": None, "min_shared_counts": 5}
    plan = {"data_sha256": "0" * 64, "held_out": 0.2, "split_by": None, "design": "cells"}
    given = {**asked, "velocity": velocity} if velocity else asked
    for config in _configs(simulated_file, {**plan, "seeds": [3, 4]}, given):
        expected = VelocitySettings(**asked, **velocity, seed=config.seed)  # type: ignore[arg-type]
        assert config.velocity == expected


def test_a_table_without_its_columns_is_refused(halves: Benchmark) -> None:
    with pytest.raises(DataError, match="lack the column 'seed'"):
        benchmark.summarise(halves.metrics.drop(columns="seed"))
    with pytest.raises(DataError, match="no predictor 'oracle'"):
        benchmark.compare(halves.metrics, reference="oracle")
