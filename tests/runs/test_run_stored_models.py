"""A prediction by a stored model: which weights answered, and what counts would be needed for."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from splicedvae import io, pipeline, store, views
from splicedvae._core.errors import RunError, StoreError
from splicedvae._core.keys import Layers, Sources
from splicedvae.runs import Run, RunConfig, open_models, velocity_facts
from splicedvae.store import StoredModel


@pytest.fixture
def stored(finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoredModel:
    monkeypatch.setenv("SPLICEDVAE_MODELS", str(tmp_path / "models"))
    made = pipeline.store_run(finished_run, tmp_path / "made", name="lineage")
    return store.add_model(made.path)


def asking(model: str, file: Path, small_config: RunConfig) -> RunConfig:
    return dataclasses.replace(
        small_config,
        kind="predict",
        data=str(file),
        data_sha256=io.sha256(file),
        model_run=model,
    )


def test_a_card_says_what_the_run_knows(stored: StoredModel, finished_run: Run) -> None:
    card = stored.card
    assert card.n_genes == finished_run.predictions.n_vars
    assert card.n_cells + card.evaluation.n_held_out == finished_run.predictions.n_obs
    assert card.source.sha256 == finished_run.config.data_sha256
    row = finished_run.metrics.query("predictor == 'splicedvae' and metric == 'skill'")
    skill = card.metric(Sources.SPLICEDVAE, "skill")
    assert skill is not None
    assert skill.value == pytest.approx(float(row["value"].iloc[0]), rel=1e-3)
    assert card.evaluation.verdict


def test_a_stored_model_answers_as_its_run(
    stored: StoredModel,
    finished_run: Run,
    simulated_file: Path,
    small_config: RunConfig,
    tmp_path: Path,
) -> None:
    config = asking(stored.reference, simulated_file, small_config)
    run = pipeline.execute(config, tmp_path / "by-model")
    codes = {note.code for note in run.notes}
    assert {"model-stored", "cells-known-to-model", "evaluation-left-out"} <= codes
    assert run.provenance["model"]["model_sha256"] == stored.digest
    assert any(
        "have the names of training cells of the model" in said
        for said in views.stream_cautions(run)
    )
    assert not any("None of the" in said for said in views.stream_cautions(run))
    assert stored.card.to_json() == run.provenance["model"]["model_card"]
    facts = velocity_facts(run, Sources.SPLICEDVAE)
    assert facts.trained == stored.card.evaluation.verdict
    ours, theirs = run.predictions, finished_run.predictions[run.predictions.obs_names]
    difference = abs(ours.layers[Layers.RATIO] - theirs.layers[Layers.RATIO])
    assert difference.max() < 0.002


def test_the_id_of_a_run_knows_the_weights(
    stored: StoredModel, simulated_file: Path, small_config: RunConfig, tmp_path: Path
) -> None:
    by_name = asking(stored.reference, simulated_file, small_config)
    by_folder = asking(str(stored.path), simulated_file, small_config)
    other = asking(f"{stored.name}@{'0' * 16}", simulated_file, small_config)
    assert by_name.digest() == by_folder.digest() != other.digest()
    with pytest.raises(StoreError, match="was requested"):
        pipeline.execute(other, tmp_path / "other")


def test_orthologs_enter_the_id_only_where_they_are_used(small_config: RunConfig) -> None:
    mapped = dataclasses.replace(small_config, orthologs="human")
    assert mapped.digest() != small_config.digest()
    assert RunConfig.from_dict(mapped.to_dict()) == mapped


def test_what_is_neither_run_nor_model(stored: StoredModel, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run and no stored model"):
        open_models("nothing")
    (stored.path / "card.json").write_text("{}")
    with pytest.raises(StoreError, match="digest"):
        open_models(stored.name)
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match="not a run folder"):
        open_models(tmp_path / "empty")


def test_a_run_with_batches_makes_no_stored_model(
    finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_batches = dataclasses.replace(finished_run.config, batch_key="batch")
    monkeypatch.setattr(Run, "config", property(lambda self: with_batches))
    with pytest.raises(RunError, match="trained with batches"):
        pipeline.store_run(finished_run, tmp_path / "x", name="x")


@pytest.mark.real_data
def test_a_bundled_model_asked_about_human_cells(real_data: Path) -> None:
    source = open_models("mouse-pancreas-e15")
    cells = io.read(real_data / "human_pbmc_400cells_totals_only.h5ad").adata
    fit = pipeline.candidates(cells.var, pipeline.trained_on(source).species, sources=[source])[
        0
    ].fit
    assert fit.n_found < 10
    pair = pipeline.orthologs_asked("auto", pipeline.trained_on(source), cells.var)
    assert pair is not None
    assert (pair.data, pair.model) == ("human", "mouse")
    _, alignment = source.model().align(cells, orthologs=pair)
    assert alignment.n_found > 0.7 * alignment.n_model
    assert 0.05 < (alignment.counts_share or 0) < 0.5
    assert pipeline.novelty(source, cells, orthologs=pair).value > 0.25
