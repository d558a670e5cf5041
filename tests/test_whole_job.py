"""The whole job by commands, on real counts and on a simulation of more than 5,000 cells."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from splicedvae._core.keys import Layers, Obs, Obsm, Sources, Split, Uns, Var
from splicedvae._core.layers import drop_layers
from splicedvae.runs import Run

pytestmark = pytest.mark.timeout(900)


def splicedvae(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "splicedvae.cli", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )


def succeed(*words: object) -> str:
    done = splicedvae(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def pancreas_run(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pancreas") / "run"
    succeed("train", real_data / "mouse_pancreas_e15.h5ad", "--out", out, "--max-epochs", 80)
    return out


def value(metrics: pd.DataFrame, predictor: str, metric: str, coverage: int = 1) -> float:
    rows = metrics.query("predictor == @predictor and metric == @metric and coverage == @coverage")
    assert len(rows) == 1
    return float(rows["value"].iloc[0])


@pytest.mark.real_data
def test_pancreas_is_trained_evaluated_and_reported(pancreas_run: Path, tmp_path: Path) -> None:
    run = Run(pancreas_run)
    metrics = run.metrics
    assert set(metrics["predictor"]) >= {*Sources.PREDICTORS} - {Sources.GROUP_MEAN}
    assert value(metrics, "ridge", "skill") > 0
    assert value(metrics, "splicedvae", "skill") > 0
    assert value(metrics, "splicedvae", "within_gene_r_by_cluster") > 0.3
    assert value(metrics, "gene_mean", "within_gene_r_by_cluster") == 0
    # What people quote is reached by a constant per gene.
    assert value(metrics, "gene_mean", "pearson") > 0.55
    assert (
        value(metrics, "splicedvae", "rmse")
        > metrics.query("predictor == 'splicedvae' and metric == 'rmse'")["ceiling"].iloc[0]
    )
    assert set(run.velocity_sources) == {"measured", "splicedvae", "scvi"}
    held_out = run.predictions.obs[Obs.SPLIT] == Split.HELD_OUT
    assert held_out.sum() == round(0.2 * run.predictions.n_obs)
    report = tmp_path / "report.html"
    succeed("report", pancreas_run, "--out", report)
    text = report.read_text(encoding="utf-8")
    assert run.config.data_sha256[:12] in text
    assert "gene mean" in text


@pytest.mark.real_data
def test_velocity_of_the_prediction_follows_the_known_order_of_fates(pancreas_run: Path) -> None:
    moving = Run(pancreas_run).velocity("splicedvae")
    clusters = moving.obs[Obs.CLUSTERS].astype(str).to_numpy()
    where, arrows = moving.obsm[Obsm.UMAP], moving.obsm[Obsm.VELOCITY_UMAP]
    cosines = []
    for start, end in (("Ngn3 high EP", "Pre-endocrine"), ("Pre-endocrine", "Beta")):
        towards = where[clusters == end].mean(axis=0) - where[clusters == start]
        own = arrows[clusters == start]
        size = np.linalg.norm(towards, axis=1) * np.linalg.norm(own, axis=1)
        cosines.append(np.nanmean((towards * own).sum(axis=1) / np.where(size > 0, size, np.nan)))
    assert np.mean(cosines) > 0.2


@pytest.mark.real_data
def test_held_out_cells_given_as_totals_get_layers_and_a_velocity(
    pancreas_run: Path, real_data: Path, tmp_path: Path
) -> None:
    run = Run(pancreas_run)
    cells = ad.read_h5ad(real_data / "mouse_pancreas_e15.h5ad")
    held_out = run.predictions.obs_names[run.predictions.obs[Obs.SPLIT] == Split.HELD_OUT]
    totals = cells[held_out].copy()
    drop_layers(totals)
    totals.write_h5ad(tmp_path / "totals.h5ad")
    succeed("predict", pancreas_run, tmp_path / "totals.h5ad", "--out", tmp_path / "out.h5ad")
    out = ad.read_h5ad(tmp_path / "out.h5ad")
    assert {Layers.SPLICED, Layers.UNSPLICED, Layers.RATIO} <= set(out.layers)
    total = csr_matrix(out.layers[Layers.SPLICED] + out.layers[Layers.UNSPLICED])
    assert (total != csr_matrix(totals[:, out.var_names].X)).nnz == 0
    # The same ratio as the run itself predicted for these cells.
    np.testing.assert_allclose(
        csr_matrix(out.layers[Layers.RATIO]).toarray(),
        csr_matrix(run.predictions[held_out, out.var_names].layers[Layers.RATIO]).toarray(),
        rtol=1e-4,
    )
    moved = tmp_path / "moved.h5ad"
    succeed("velocity", tmp_path / "out.h5ad", "--out", moved)
    velocity = ad.read_h5ad(moved)
    assert velocity.n_obs == len(held_out)
    assert velocity.var[Var.VELOCITY_GENES].sum() >= 5
    assert Uns.VELOCITY_GRAPH in velocity.uns


@pytest.mark.real_data
def test_human_cells_with_a_mouse_model_fail_with_what_to_do(
    pancreas_run: Path, real_data: Path, tmp_path: Path
) -> None:
    done = splicedvae(
        "predict",
        pancreas_run,
        real_data / "human_pbmc_400cells_totals_only.h5ad",
        "--out",
        tmp_path / "out.h5ad",
    )
    assert done.returncode == 1
    sentence = " ".join(done.stderr.split())
    assert "capitalized symbols as in mouse" in sentence
    assert "upper-case symbols as in human" in sentence
    assert "orthologs" in sentence
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out.h5ad").exists()


@pytest.mark.real_data
def test_another_experiment_is_evaluated_honestly(pancreas_run: Path, real_data: Path) -> None:
    file = real_data / "mouse_dentate_gyrus_100cells.h5ad"
    told = json.loads(succeed("evaluate", pancreas_run, file, "--json"))
    metrics = pd.DataFrame(told["metrics"])
    assert np.isfinite(value(metrics, "splicedvae", "skill"))
    assert value(metrics, "gene_mean", "skill") == pytest.approx(0, abs=1e-9)


def test_more_than_5000_simulated_cells_go_the_same_way(tmp_path: Path) -> None:
    file, run = tmp_path / "cells.h5ad", tmp_path / "run"
    succeed("simulate", "--out", file, "--n-cells", 5200, "--n-genes", 100)
    found = json.loads(succeed("inspect", file, "--json"))
    assert found["n_cells"] == 5200
    succeed("train", file, "--out", run, "--max-epochs", 8)
    result = Run(run)
    assert result.predictions.n_obs == 5200
    assert set(result.velocity_sources) == {"measured", "splicedvae", "scvi", "true"}
    metrics = result.metrics
    assert value(metrics, "splicedvae", "skill") > 0
    # The velocity from totals alone points where the true one points.
    assert value(metrics, "splicedvae", "velocity_cosine_umap_true") > 0.5
