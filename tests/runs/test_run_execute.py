"""The whole job on simulated cells: what is in the folder, that nothing leaks, how it fails."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import threading
import time
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from splicedvae import datasets, io
from splicedvae._core.errors import DataError, GenesError, RunError, SplicedVAEError
from splicedvae._core.keys import Layers, Obs, Obsm, Sources, Split, Var
from splicedvae._core.layers import drop_layers, named_layers
from splicedvae.pipeline import evaluate_on, execute, ratio_intervals
from splicedvae.pipeline.assessment import assess, groups_note, training_cells
from splicedvae.runs import Run, RunConfig, Status
from splicedvae.runs.status import write_status


@pytest.fixture(scope="module")
def totals_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Other cells of the same kind without S/U, their genes in another order and some missing."""
    file = tmp_path_factory.mktemp("totals") / "totals.h5ad"
    cells = datasets.simulate(150, 60, seed=3, truth=False)
    cells = cells[:, list(cells.var_names[::-1][:55])].copy()
    drop_layers(cells)
    cells.write_h5ad(file)
    return file


@pytest.fixture(scope="module")
def predicted_run(
    finished_run: Run, totals_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Run:
    config = RunConfig(
        kind="predict",
        data=str(totals_file),
        data_sha256=io.sha256(totals_file),
        name="predicted",
        cluster_key=Obs.CLUSTERS,
        model_run=str(finished_run.path),
        velocity=finished_run.config.velocity,
    )
    return execute(config, tmp_path_factory.mktemp("predict") / "run")


def test_folder_holds_what_the_architecture_says(finished_run: Run) -> None:
    assert finished_run.is_finished
    there = {
        item.relative_to(finished_run.path).as_posix()
        for item in finished_run.path.rglob("*")
        if item.is_file()
    }
    assert there == {
        "SHA256SUMS",
        "config.json",
        "provenance.json",
        "status.json",
        "worker.json",
        "notes.json",
        "live.jsonl",
        "log.txt",
        "model/splicedvae/weights.safetensors",
        "model/splicedvae/model.json",
        "model/scvi/weights.safetensors",
        "model/scvi/model.json",
        "history.csv",
        "metrics.csv",
        "genes.csv",
        "predictions.h5ad",
        "other_genes.h5",
        "velocity/measured.h5ad",
        "velocity/splicedvae.h5ad",
        "velocity/scvi.h5ad",
        "velocity/true.h5ad",
        "velocity.json",
    }
    for name in ("provenance.json", "status.json", "velocity.json", "config.json"):
        json.loads((finished_run.path / name).read_text())
    assert finished_run.provenance["packages"]["scvi-tools"].startswith("1.4")
    assert finished_run.provenance["code"].startswith("0.1.0+")


def test_predictions_hold_ratios_exactly_at_the_totals(finished_run: Run) -> None:
    cells = finished_run.predictions
    totals = csr_matrix(cells.X)
    for layer in (Layers.RATIO, Layers.RATIO_SCVI):
        ratio = csr_matrix(cells.layers[layer])
        assert ratio.dtype == np.float32
        np.testing.assert_array_equal(ratio.indices, totals.indices)
        np.testing.assert_array_equal(ratio.indptr, totals.indptr)
        assert ((ratio.data >= 0) & (ratio.data <= 1)).all()
    assert (totals != cells.layers[Layers.SPLICED] + cells.layers[Layers.UNSPLICED]).nnz == 0
    assert cells.obs[Obs.SPLIT].value_counts().to_dict() == {Split.TRAIN: 240, Split.HELD_OUT: 80}
    assert (
        set(cells.obs[Obs.CLUSTERS].cat.categories) > {"Alpha"}
        or cells.obs[Obs.CLUSTERS].notna().all()
    )
    for name in (Obsm.UMAP, Obsm.UMAP_LATENT, Obsm.UMAP_LATENT_SCVI):
        assert cells.obsm[name].shape == (320, 2)
        assert np.isfinite(cells.obsm[name]).all()
    train = training_cells(finished_run)
    spliced = np.asarray(train.layers[Layers.SPLICED].sum(axis=0)).ravel()
    unspliced = np.asarray(train.layers[Layers.UNSPLICED].sum(axis=0)).ravel()
    np.testing.assert_allclose(cells.var[Var.GENE_MEAN], spliced / (spliced + unspliced), atol=0.05)


def test_stored_model_gives_the_stored_ratios_from_totals_alone(finished_run: Run) -> None:
    cells = finished_run.predictions
    totals = ad.AnnData(cells.X[:40], var=pd.DataFrame(index=cells.var_names))
    for source, layer in ((Sources.SPLICEDVAE, Layers.RATIO), (Sources.SCVI, Layers.RATIO_SCVI)):
        again = finished_run.model(source).get_splicing_ratio(totals).to_numpy()
        stored = cells.layers[layer][:40]
        rows, columns = stored.nonzero()
        np.testing.assert_allclose(
            again[rows, columns], np.asarray(stored[rows, columns]).ravel(), atol=1e-5
        )


def test_held_out_layers_changed_at_random_leave_predictions_untouched(
    finished_run: Run, small_config: RunConfig, tmp_path: Path
) -> None:
    cells = ad.read_h5ad(small_config.data)
    held_out = (finished_run.predictions.obs[Obs.SPLIT] == Split.HELD_OUT).to_numpy()
    assert list(cells.obs_names) == list(finished_run.predictions.obs_names)
    totals = csr_matrix(cells.X)
    dense = totals.toarray()
    rng = np.random.default_rng(0)
    spliced = cells.layers[Layers.SPLICED].toarray()
    spliced[held_out] = rng.binomial(dense[held_out].astype(int), rng.random(dense.shape[1]))
    cells.layers[Layers.SPLICED] = csr_matrix(spliced.astype(np.float32))
    cells.layers[Layers.UNSPLICED] = csr_matrix((dense - spliced).astype(np.float32))
    file = tmp_path / "changed.h5ad"
    cells.write_h5ad(file)
    config = dataclasses.replace(small_config, data=str(file), data_sha256=io.sha256(file))
    other = execute(config, tmp_path / "run")
    assert list(other.predictions.var_names) == list(finished_run.predictions.var_names)
    for layer in (Layers.RATIO, Layers.RATIO_SCVI):
        assert (other.predictions.layers[layer] != finished_run.predictions.layers[layer]).nnz == 0
    # The measurement did change, so the judgement must have.
    assert not other.metrics["value"].equals(finished_run.metrics["value"])


def test_metrics_are_those_of_the_stored_ratios(finished_run: Run) -> None:
    cells = finished_run.predictions
    cells = cells[(cells.obs[Obs.SPLIT] == Split.HELD_OUT).to_numpy()]
    spliced = cells.layers[Layers.SPLICED].toarray()
    counted = spliced + cells.layers[Layers.UNSPLICED].toarray()
    metrics = finished_run.metrics.set_index(["predictor", "metric", "coverage"])["value"]
    for source, layer in ((Sources.SPLICEDVAE, Layers.RATIO), (Sources.SCVI, Layers.RATIO_SCVI)):
        ratio = cells.layers[layer].toarray()
        for coverage in (1, 5):
            at = counted >= coverage
            error = ratio[at] - (spliced[at] / counted[at])
            assert metrics[source, "rmse", coverage] == pytest.approx(
                np.sqrt((error**2).mean()), rel=1e-4
            )
    assert list(dict.fromkeys(finished_run.metrics["predictor"]))[:6] == list(Sources.PREDICTORS)
    assert set(finished_run.metrics["predictor"]) == {
        *Sources.PREDICTORS,
        Sources.MEASURED,
        Sources.SHUFFLED,
    }
    for source in Sources.PREDICTORS:
        assert f"skill_{source}" in finished_run.genes
    known = set(finished_run.metrics["metric"])
    assert {"velocity_cosine_genes", "velocity_cosine_umap", "velocity_cosine_umap_true"} <= known
    cosines = finished_run.metrics.query("metric.str.contains('cosine')", engine="python")
    assert cosines["n"].max() <= 80
    assert list(finished_run.genes.index) == list(finished_run.predictions.var_names)


def test_group_mean_is_a_baseline_where_cells_have_groups(finished_run: Run) -> None:
    cells = finished_run.predictions
    cells.obs[Obs.CLUSTERS] = cells.obs[Obs.CLUSTERS].astype(str)
    held_out = (cells.obs[Obs.SPLIT] == Split.HELD_OUT).to_numpy()
    train, test = cells[~held_out].copy(), cells[held_out].copy()

    def predictors(train: ad.AnnData, test: ad.AnnData) -> set[str]:
        return set(assess(train, test, {}, seed=0).metrics["predictor"])

    without = {Sources.RIDGE, Sources.KNN, Sources.GENE_MEAN}
    assert predictors(train, test) == {*without, Sources.GROUP_MEAN}
    assert groups_note(train, test) is None
    test.obs.iloc[:3, test.obs.columns.get_loc(Obs.CLUSTERS)] = "new"
    assert predictors(train, test) == {*without, Sources.GROUP_MEAN}
    note = groups_note(train, test)
    assert note is not None
    assert note.startswith("1 of ")
    test.obs[Obs.CLUSTERS] = "new"
    assert predictors(train, test) == without
    note = groups_note(train, test)
    assert note is not None
    assert "is left out" in note
    for alone in (train, test):
        del alone.obs[Obs.CLUSTERS]
        assert predictors(train, test) == without
        assert groups_note(train, test) is None


def test_history_has_each_epoch_of_both_models(finished_run: Run) -> None:
    history = finished_run.history
    for predictor in (Sources.SPLICEDVAE, Sources.SCVI):
        for metric in ("elbo_train", "loss_train", "ratio_loss_train"):
            rows = history[(history.predictor == predictor) & (history.metric == metric)]
            assert rows["epoch"].tolist() == [1, 2, 3, 4], (predictor, metric)
            assert np.isfinite(rows["value"]).all()
    pd.testing.assert_frame_equal(history, finished_run.live(), check_dtype=False)


def test_velocities_share_genes_cells_and_map(finished_run: Run) -> None:
    assert finished_run.velocity_sources == ("measured", "splicedvae", "scvi", "true")
    moving = {source: finished_run.velocity(source) for source in finished_run.velocity_sources}
    first = moving["measured"]
    for source, other in moving.items():
        assert list(other.var_names) == list(first.var_names)
        assert list(other.obs_names) == list(finished_run.predictions.obs_names)
        np.testing.assert_array_equal(
            other.obsm[Obsm.UMAP], finished_run.predictions.obsm[Obsm.UMAP]
        )
        assert other.obsm[Obsm.VELOCITY_UMAP].shape == (320, 2)
        assert not [
            name for name in named_layers(other) if name.startswith(("splicedvae_", "scvi_"))
        ]
        account = finished_run.velocity_account[source]
        assert account["state"] == "ok"
        assert account["settings"]["n_neighbors"] == 12
    assert not np.array_equal(
        first.layers[Layers.VELOCITY], moving["splicedvae"].layers[Layers.VELOCITY]
    )
    with pytest.raises(RunError, match="no velocity from 'knn'"):
        finished_run.velocity("knn")


def test_prediction_for_other_cells_reports_genes_and_draws(
    predicted_run: Run, finished_run: Run
) -> None:
    cells = predicted_run.predictions
    model_genes = list(finished_run.predictions.var_names)
    assert list(cells.var_names) == [gene for gene in model_genes if gene in set(cells.var_names)]
    assert 0 < cells.n_vars < len(model_genes)
    assert any("were found by name" in note for note in predicted_run.notes)
    assert Layers.SPLICED not in cells.layers
    assert predicted_run.velocity_sources == ("splicedvae", "scvi")
    with pytest.raises(RunError, match="no metrics"):
        _ = predicted_run.metrics
    ratio = cells.layers[Layers.RATIO]
    moving = predicted_run.velocity("splicedvae")
    assert moving.n_obs == 150
    assert ratio.nnz == csr_matrix(cells.X).nnz


def test_model_of_other_genes_fails_with_what_to_do(finished_run: Run, tmp_path: Path) -> None:
    cells = datasets.simulate(60, 60, seed=1, truth=False)
    cells.var_names = [f"ENSG{number:011d}" for number in range(60)]
    file = tmp_path / "human.h5ad"
    cells.write_h5ad(file)
    config = RunConfig(
        kind="predict",
        data=str(file),
        data_sha256=io.sha256(file),
        name="human",
        model_run=str(finished_run.path),
    )
    with pytest.raises(GenesError, match="Ensembl"):
        execute(config, tmp_path / "run")
    status = Run(tmp_path / "run").status
    assert status.state == "failed"
    assert "map the data's genes" in status.message


def test_evaluation_of_the_training_file_uses_held_out_cells_alone(
    finished_run: Run, small_config: RunConfig
) -> None:
    metrics, notes = evaluate_on(finished_run, io.read(small_config.data))
    assert (
        "240 cells of this file were used to train the models, so only its other 80 cells"
        in notes[0]
    )
    of_velocity = finished_run.metrics["metric"].str.match(
        "velocity|agreement|cbdir|coherence|time_order|silhouette_batches"
    )
    ours = finished_run.metrics[~of_velocity]
    pd.testing.assert_frame_equal(
        metrics.reset_index(drop=True),
        ours.reset_index(drop=True),
        check_dtype=False,
        rtol=1e-4,
    )


def test_evaluation_without_measured_layers_is_refused(
    finished_run: Run, totals_file: Path
) -> None:
    with pytest.raises(DataError, match="no spliced and unspliced counts"):
        evaluate_on(finished_run, io.read(totals_file))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"learning_rate": 1e9}, "diverged"),
        ({"min_shared_counts": 10**6}, "No gene has"),
        ({"batch_key": "nothing"}, "no column 'nothing'"),
        ({"held_out": 0.999}, "leaves no cells"),
        ({"data_sha256": "0" * 64}, "has changed"),
    ],
)
def test_what_cannot_work_fails_in_one_sentence(
    small_config: RunConfig, tmp_path: Path, change: dict[str, object], words: str
) -> None:
    config = dataclasses.replace(small_config, **change)  # type: ignore[arg-type]
    with pytest.raises(SplicedVAEError, match=words):
        execute(config, tmp_path / "run")
    run = Run(tmp_path / "run")
    assert run.status.state == "failed"
    assert words in run.status.message
    assert "\n" not in run.status.message
    assert str(tmp_path) not in run.status.message
    assert "Traceback" not in run.status.message


def test_unforeseen_error_is_told_without_traceback_or_path(
    small_config: RunConfig, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()

    def progress(status: Status) -> None:
        if status.state == "running" and status.stage == "choosing cells and genes":
            raise KeyError(f"lost in {tmp_path}/somewhere/file.py")

    with pytest.raises(RunError, match="internal error") as error:
        execute(small_config, folder, progress=progress)
    assert "KeyError" in str(error.value)
    assert str(tmp_path) not in str(error.value)
    assert Run(folder).status.state == "failed"
    assert "Traceback" in Run(folder).log_tail(100)


def test_interrupt_stops_the_run_and_leaves_signals_as_they_were(
    small_config: RunConfig, tmp_path: Path
) -> None:
    before = signal.getsignal(signal.SIGINT)

    def progress(status: Status) -> None:
        if status.message == "epoch 1 of 1000000":
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        execute(
            dataclasses.replace(small_config, max_epochs=1_000_000),
            tmp_path / "run",
            progress=progress,
        )
    assert Run(tmp_path / "run").status.state == "stopped"
    assert signal.getsignal(signal.SIGINT) is before


def test_folder_of_another_run_or_other_things_is_refused(
    small_config: RunConfig, finished_run: Run, tmp_path: Path
) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(RunError, match="not empty"):
        execute(small_config, tmp_path)
    with pytest.raises(RunError, match="is a file"):
        execute(small_config, tmp_path / "letter.txt")
    with pytest.raises(RunError, match="holds an earlier run"):
        execute(small_config, finished_run.path)
    with pytest.raises(RunError, match="another run"):
        execute(dataclasses.replace(small_config, seed=9), finished_run.path)
    assert finished_run.is_finished
    assert (tmp_path / "letter.txt").read_text() == "dear"


def test_heart_beats_while_the_work_is_silent(tmp_path: Path) -> None:
    from splicedvae.jobs import journal
    from splicedvae.runs.status import read_status

    write_status(tmp_path, Status())
    with journal.Journal(tmp_path, [("long", 1.0)]) as journal:
        journal.stage("long")
        first = read_status(tmp_path).updated
        beaten = threading.Event()
        deadline = time.monotonic() + 60
        while not beaten.is_set() and time.monotonic() < deadline:
            if read_status(tmp_path).updated > first:
                beaten.set()
            beaten.wait(0.1)
    assert beaten.is_set()


def test_a_run_says_whether_there_is_a_velocity_and_how_sure_it_is(finished_run: Run) -> None:
    evidence = finished_run.metrics.query("metric == 'velocity_evidence_p'").iloc[0]
    assert evidence["predictor"] == Sources.MEASURED
    assert 1 / 50 <= evidence["value"] <= 1
    assert evidence["note"] in finished_run.notes
    obs = finished_run.velocity(Sources.SPLICEDVAE).obs
    for name in (Obs.DIRECTION_UNCERTAINTY, Obs.LENGTH_UNCERTAINTY):
        for where in ("", "_umap"):
            known = obs[name + where].dropna()
            assert len(known) > 0.9 * len(obs)
            assert known.min() >= 0
            assert known.std() > 0
    assert Obs.DIRECTION_UNCERTAINTY not in finished_run.velocity(Sources.MEASURED).obs


def test_strange_cells_are_told_of_and_brought_back(finished_run: Run, tmp_path: Path) -> None:
    genes = finished_run.predictions.var_names
    other = datasets.simulate(120, 80, mean_depth=400, seed=91)
    other.var_names = [*genes, *(f"other{i}" for i in range(80 - len(genes)))]
    file = tmp_path / "strange.h5ad"
    other.write_h5ad(file)
    config = RunConfig(
        kind="predict",
        data=str(file),
        data_sha256=io.sha256(file),
        name="strange",
        model_run=str(finished_run.path),
    )
    run = execute(config, tmp_path / "run")
    assert any("out of distribution" in note and "do not trust" in note for note in run.notes)
    with pytest.raises(RunError, match=r"out of distribution.*intervals hold too few counts"):
        ratio_intervals(run, np.arange(5), n_samples=4)
    _, notes = evaluate_on(finished_run, io.read(file))
    assert any("out of distribution" in note for note in notes)
