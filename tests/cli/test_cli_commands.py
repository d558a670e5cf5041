"""From simulated cells to a report by commands alone, for people and for scripts."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
from click.testing import Result
from scipy.sparse import csc_matrix, csr_matrix

from splicedvae import __version__
from splicedvae._core.keys import Layers, Obsm, Sources, Uns, Var
from splicedvae._core.layers import named_layers
from splicedvae.runs import Run, RunConfig

Command = Callable[..., Result]
Trained = tuple[Path, Result]


def test_simulated_file_holds_counts_and_truth(cells: Path, totals: Path) -> None:
    full = ad.read_h5ad(cells)
    assert full.shape == (260, 60)
    assert {Layers.SPLICED, Layers.UNSPLICED, Layers.TRUE_VELOCITY} <= set(full.layers)
    assert list(ad.read_h5ad(totals).layers) == []


def test_inspect_tells_people_and_scripts_the_same(
    command: Command, cells: Path, totals: Path
) -> None:
    told = command("inspect", cells)
    assert told.exit_code == 0
    assert "260 x 60" in told.stdout
    found = json.loads(command("inspect", cells, "--json").stdout)
    assert (found["n_cells"], found["n_genes"]) == (260, 60)
    assert found["cluster_key"] == "clusters"
    assert f"{found['unspliced_fraction']:.3f}" in told.stdout
    for row in found["clusters"]:
        assert row["cluster"] in told.stdout
    assert json.loads(command("inspect", totals, "--json").stdout)["has_measured_layers"] is False
    assert "predict them" in command("inspect", totals).stdout
    assert "Doublets and ambient RNA are not checked" in command("inspect", totals).stdout


def test_ambiguous_counts_are_shown_and_placed_by_options(
    command: Command, cells: Path, trained: Trained, tmp_path: Path
) -> None:
    """Three layers as kb writes them, then under names of no tool."""
    simulated = ad.read_h5ad(cells)
    spliced, unspliced = (
        csr_matrix(simulated.layers[key]) for key in (Layers.SPLICED, Layers.UNSPLICED)
    )
    mature = spliced.copy()
    mature.data = np.floor(mature.data / 3)
    parts = {"mature": mature, "nascent": unspliced, "ambiguous": spliced - mature}
    file, strange = tmp_path / "adata.h5ad", tmp_path / "strange.h5ad"
    ad.AnnData(mature, obs=simulated.obs, var=simulated.var, layers=parts).write_h5ad(file)
    named = dict(zip(("one", "two", "three"), parts.values(), strict=True))
    ad.AnnData(mature, obs=simulated.obs, var=simulated.var, layers=named).write_h5ad(strange)
    layers = ["--spliced-layer", "one", "--unspliced-layer", "two", "--ambiguous-layer", "three"]
    added = json.loads(command("inspect", file, "--json").stdout)
    apart = json.loads(command("inspect", file, "--ambiguous", "apart", "--json").stdout)
    by_name = [strange, *layers, "--ambiguous", "spliced"]
    third = json.loads(command("inspect", *by_name, "--json").stdout)
    whole = (spliced + unspliced).sum()
    for found in (added, apart, third):
        assert found["total_source"] == "spliced + unspliced + ambiguous"
        assert found["ambiguous_share"] == pytest.approx((spliced - mature).sum() / whole)
    assert added["unspliced_fraction"] == pytest.approx(unspliced.sum() / whole)
    assert third["unspliced_fraction"] == added["unspliced_fraction"]
    assert apart["unspliced_fraction"] > added["unspliced_fraction"]
    assert f"{added['ambiguous_share']:.1%} of the counts, added" in command("inspect", file).stdout
    out, clean = tmp_path / "out.h5ad", tmp_path / "clean.h5ad"
    assert command("predict", trained[0], *by_name, "--out", out).exit_code == 0
    assert command("predict", trained[0], cells, "--out", clean).exit_code == 0
    kept, expected = ad.read_h5ad(out), ad.read_h5ad(clean)
    assert abs(kept.X - expected.X).max() == 0
    assert abs(kept.layers[Layers.RATIO] - expected.layers[Layers.RATIO]).max() < 1e-6
    assert abs(kept.layers[Layers.SPLICED] - expected.layers[Layers.SPLICED]).max() == 0


def test_inspect_asks_a_model_about_cells_without_layers(
    command: Command, trained: Trained, totals: Path
) -> None:
    alone = json.loads(command("inspect", totals, "--json").stdout)["verdict"]
    assert alone["answer"] == "no"
    asked = json.loads(command("inspect", totals, "--model", trained[0], "--json").stdout)
    reasons = " ".join(asked["verdict"]["reasons"])
    assert "novelty" in reasons
    assert "no trained model" not in reasons
    told = command("inspect", totals, "--model", trained[0])
    assert asked["verdict"]["answer"] in told.stdout
    assert "novelty" in told.stdout
    assert command("inspect", totals, "--model", "no-such-run").exit_code == 1


def test_train_writes_a_run_and_nothing_but_json_to_stdout(trained: Trained, cells: Path) -> None:
    out, result = trained
    told = json.loads(result.stdout)
    run = Run(out)
    assert run.is_finished
    assert told["id"] == run.id
    assert told["state"] == "finished"
    assert len(told["metrics"]) == len(run.metrics)
    assert set(told["velocity"]) == {"measured", "splicedvae", "scvi", "true"}
    assert run.config.held_out == 0.3
    assert run.config.max_epochs == 3
    assert run.config.cluster_key == "clusters"
    assert run.config.velocity.n_neighbors == 12
    assert run.name == cells.name
    # Progress went to stderr, a line a stage.
    assert "training SplicedVAE" in result.stderr
    # How long it takes is said before the first stage.
    before = result.stderr.partition("reading the data")[0]
    assert re.search(r"Takes (about )?\d.* (seconds|minutes?)", before.replace("\n", " "))


def test_every_setting_of_a_run_can_be_given_to_train(command: Command) -> None:
    told = command("train", "--help").stdout.replace("\n", "")
    elsewhere = {"kind", "data", "data_sha256", "velocity", "model_run", "orthologs"}
    for item in dataclasses.fields(RunConfig):
        if item.name not in elsewhere:
            assert f"--{item.name.replace('_', '-')}" in told, item.name


def test_train_does_not_touch_an_earlier_run_unless_asked(
    command: Command, trained: Trained, cells: Path, totals: Path, tmp_path: Path
) -> None:
    out, _ = trained
    before = (out / "config.json").read_bytes()
    refused = command("train", cells, "--out", out)
    assert refused.exit_code == 1
    assert "--overwrite" in refused.stderr
    assert (out / "config.json").read_bytes() == before
    # Refused for its data before the earlier run is removed.
    assert command("train", totals, "--out", out, "--overwrite").exit_code == 1
    assert (out / "config.json").read_bytes() == before
    (tmp_path / "letter.txt").write_text("dear")
    for words in ((), ("--overwrite",)):
        refused = command("train", cells, "--out", tmp_path, *words)
        assert refused.exit_code == 1
        assert (tmp_path / "letter.txt").read_text() == "dear"


def test_evaluate_shows_the_runs_own_numbers(command: Command, trained: Trained) -> None:
    out, _ = trained
    told = json.loads(command("evaluate", out, "--json").stdout)
    assert len(told["metrics"]) == len(Run(out).metrics)
    shown = command("evaluate", out).stdout
    metrics = Run(out).metrics.set_index(["predictor", "metric", "coverage"])["value"]
    for predictor in Sources.PREDICTORS:
        assert f"{metrics[predictor, 'rmse', 1]:.3f}" in shown
    assert "SplicedVAE" in shown
    assert "ceiling" in shown


def test_evaluate_on_other_cells(command: Command, trained: Trained, tmp_path: Path) -> None:
    out, _ = trained
    other = tmp_path / "other.h5ad"
    assert command("simulate", "--out", other, "--n-cells", 90, "--n-genes", 60).exit_code == 0
    result = command("evaluate", out, other, "--cluster-key", "clusters", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert list(dict.fromkeys(row["predictor"] for row in told["metrics"])) == list(
        Sources.PREDICTORS
    )
    assert "found by name" in told["notes"][0]
    assert {"rmse", "within_gene_r_by_cluster"} <= {row["metric"] for row in told["metrics"]}


@pytest.fixture(scope="module")
def predicted(
    command: Command, trained: Trained, totals: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    file = tmp_path_factory.mktemp("predicted") / "predicted.h5ad"
    result = command("predict", trained[0], totals, "--out", file, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["account"]["layers"] == ["spliced", "unspliced", "splicing_ratio"]
    assert told["account"]["run"] == Run(trained[0]).id
    return file


def test_predict_on_totals_is_ready_for_scvelo(predicted: Path, totals: Path) -> None:
    cells, given = ad.read_h5ad(predicted), ad.read_h5ad(totals)
    assert list(cells.obs_names) == list(given.obs_names)
    x = csr_matrix(given[:, cells.var_names].X)
    spliced, unspliced = cells.layers[Layers.SPLICED], cells.layers[Layers.UNSPLICED]
    assert (csr_matrix(spliced + unspliced) != x).nnz == 0
    ratio = csr_matrix(cells.layers[Layers.RATIO])
    assert ratio.nnz == x.nnz
    assert 0 <= ratio.data.min() < ratio.data.max() <= 1
    assert cells.uns[Uns.ROOT][Uns.PREDICTED]["predictor"] == "SplicedVAE"


def test_predict_takes_and_writes_zarr_and_tells_the_same(
    command: Command, trained: Trained, totals: Path, predicted: Path, tmp_path: Path
) -> None:
    store, out = tmp_path / "totals.zarr", tmp_path / "predicted.zarr"
    given = ad.read_h5ad(totals)
    given.write_zarr(store)
    result = command("predict", trained[0], store, "--out", out)
    assert result.exit_code == 0, result.output
    assert "Total counts were read from X." in result.stderr
    assert "found by name" in result.stderr
    assert "120 cells" in result.stderr
    found, expected = ad.read_zarr(out), ad.read_h5ad(predicted)
    for name in named_layers(expected):
        ours, theirs = csr_matrix(found.layers[name]), csr_matrix(expected.layers[name])
        np.testing.assert_allclose(ours.toarray(), theirs.toarray(), rtol=0, atol=1e-6)
    assert command("predict", trained[0], store, "--out", out).exit_code == 1
    assert command("predict", trained[0], store, "--out", out, "--overwrite").exit_code == 0
    # A file whose counts are stored gene by gene is read as a whole, to the same end.
    given.X = csc_matrix(given.X)
    whole, target = tmp_path / "by_gene.h5ad", tmp_path / "whole.h5ad"
    given.write_h5ad(whole)
    assert command("predict", trained[0], whole, "--out", target).exit_code == 0
    again = csr_matrix(ad.read_h5ad(target).layers[Layers.RATIO])
    np.testing.assert_allclose(again.data, csr_matrix(found.layers[Layers.RATIO]).data, atol=1e-6)


def test_predict_keeps_measured_layers(
    command: Command, trained: Trained, cells: Path, tmp_path: Path
) -> None:
    file = tmp_path / "both.h5ad"
    words = ["--model", "scvi", "--out", file]
    assert command("predict", trained[0], cells, *words).exit_code == 0
    both, given = ad.read_h5ad(file), ad.read_h5ad(cells)
    given = given[:, both.var_names]
    for name in (Layers.SPLICED, Layers.UNSPLICED):
        assert (csr_matrix(both.layers[name]) != csr_matrix(given.layers[name])).nnz == 0
    assert Layers.PREDICTED_SPLICED in both.layers
    assert both.uns[Uns.ROOT][Uns.PREDICTED]["predictor"] == "scVI + ratio head"


def test_velocity_of_predicted_and_of_measured_layers(
    command: Command, predicted: Path, cells: Path, totals: Path, tmp_path: Path
) -> None:
    words = ["--n-neighbors", 12, "--min-shared-counts", 10, "--json"]
    for file, source in ((predicted, "splicedvae"), (cells, "measured")):
        out = tmp_path / f"{source}.h5ad"
        result = command("velocity", file, "--out", out, *words)
        assert result.exit_code == 0, result.output
        told = json.loads(result.stdout)
        assert told["source"] == source
        account = ad.read_h5ad(file).uns.get(Uns.ROOT, {}).get(Uns.PREDICTED, {})
        assert ("model's" in " ".join(told["prediction_notes"])) == (source == "splicedvae")
        assert all(sentence in account.values() for sentence in told["prediction_notes"])
        moving = ad.read_h5ad(out)
        assert moving.obsm[Obsm.VELOCITY_UMAP].shape == (moving.n_obs, 2)
        assert int(moving.var[Var.VELOCITY_GENES].sum()) == told["n_velocity_genes"] > 0
        assert np.isfinite(moving.layers[Layers.MS]).all()
    refused = command("velocity", totals, "--out", tmp_path / "none.h5ad")
    assert refused.exit_code == 1
    assert "splicedvae predict" in refused.stderr
    refused = command("velocity", cells, "--use", "predicted", "--out", tmp_path / "none.h5ad")
    assert refused.exit_code == 1
    assert not (tmp_path / "none.h5ad").exists()


def test_ratios_constant_within_each_gene_are_refused_a_velocity(
    command: Command, cells: Path, tmp_path: Path
) -> None:
    flat = ad.read_h5ad(cells)
    share = np.linspace(0.3, 0.9, flat.n_vars)
    flat.layers[Layers.SPLICED] = csr_matrix(csr_matrix(flat.X).multiply(share), dtype=np.float32)
    flat.layers[Layers.UNSPLICED] = csr_matrix(
        csr_matrix(flat.X).multiply(1 - share), dtype=np.float32
    )
    flat.uns[Uns.ROOT] = {Uns.PREDICTED: {"layers": [Layers.SPLICED, Layers.UNSPLICED]}}
    file, out = tmp_path / "flat.h5ad", tmp_path / "velocity.h5ad"
    flat.write_h5ad(file)
    refused = command("velocity", file, "--out", out, "--n-neighbors", 12)
    assert refused.exit_code == 1, refused.output
    assert refused.stderr.startswith("Error: ")
    assert refused.stderr.count("\n") == 1
    assert not out.exists()


def test_report_is_one_page(command: Command, trained: Trained, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    result = command("report", trained[0], "--out", file)
    assert result.exit_code == 0, result.output
    text = file.read_text(encoding="utf-8")
    assert text.lstrip().lower().startswith("<!doctype html>")
    assert Run(trained[0]).id in text
    assert command("report", trained[0], "--out", file).exit_code == 1


def test_version(command: Command) -> None:
    assert command("--version").stdout.strip() == f"splicedvae {__version__}"


def test_a_report_of_an_error_gets_versions_and_no_folder(command: Command) -> None:
    lines = command("--version", "--verbose").stdout.splitlines()
    assert lines[0] == f"splicedvae {__version__}"
    assert f"torch {version('torch')}" in lines
    assert any("processor cores" in line for line in lines)
    assert not [line for line in lines if "/" in line or str(Path.home()) in line]


def test_options_without_a_command_are_wrong_usage(command: Command) -> None:
    found = command("--verbose")
    assert found.exit_code == 2
    assert "No command was given" in found.output
