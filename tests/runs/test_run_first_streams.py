"""A real worker shows its first streams before it is finished, and ends with the same numbers."""

from __future__ import annotations

import dataclasses
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from held_runs import held_at_first_streams, stop_all, wait_until, write_totals

from splicedvae import io, views
from splicedvae._core.errors import RunError
from splicedvae._core.keys import Layers, Obs, Obsm, Sources, Var
from splicedvae.jobs import resume, start
from splicedvae.pipeline import execute
from splicedvae.runs import Run, RunConfig
from splicedvae.runs.stages import STAGE_EVIDENCE, STAGE_MEASURED, STAGE_VELOCITIES

ARROWS = f"{Layers.VELOCITY}_{Obsm.UMAP.removeprefix('X_')}"


@pytest.fixture(autouse=True)
def own_runs_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("SPLICEDVAE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield tmp_path / "runs"
    stop_all()


@pytest.fixture
def totals_config(
    simulated_file: Path, small_config: RunConfig, finished_run: Run, tmp_path: Path
) -> RunConfig:
    """A prediction of the simulated cells without their S/U."""
    file = write_totals(simulated_file, tmp_path / "totals.h5ad")
    return RunConfig(
        data=str(file),
        data_sha256=io.sha256(file),
        name="totals",
        kind="predict",
        cluster_key="clusters",
        model_run=str(finished_run.path),
        velocity=small_config.velocity,
    )


def ended(run: Run) -> Run:
    wait_until(lambda: run.status.is_final, "the end of the run")
    assert run.is_finished, run.log_tail(30)
    return Run(run.path)


def test_streams_of_totals_are_there_before_the_run_is_finished(totals_config: RunConfig) -> None:
    run = start(totals_config)
    process = held_at_first_streams(run)
    try:
        pending = run.status.pending
        assert pending
        assert STAGE_VELOCITIES not in pending[1:]
        # Without measured counts there is nothing to evaluate or to test, nor to wait for.
        assert not {STAGE_MEASURED, STAGE_EVIDENCE} & set(pending)
        assert run.is_judged
        assert run.velocity_sources == (Sources.SPLICEDVAE, Sources.SCVI)
        first = run.velocity_outline(Sources.SPLICEDVAE)
        assert np.isfinite(first.obsm[ARROWS]).all()
        assert Obs.DIRECTION_UNCERTAINTY not in first.obs
        assert Var.VELOCITY_SHARE not in first.var
        assert views.verdict(run, Sources.SPLICEDVAE).answer != "not judged yet"
        with pytest.raises(RunError, match="wait for its end"):
            run.velocity(Sources.SPLICEDVAE)
        with pytest.raises(RunError, match="finished"):
            run.need_finished("a report tells of finished runs")
    finally:
        process.resume()
    run = ended(run)
    last = run.velocity(Sources.SPLICEDVAE)
    np.testing.assert_array_equal(last.obsm[ARROWS], first.obsm[ARROWS])
    np.testing.assert_array_equal(last.obsm[Obsm.UMAP], first.obsm[Obsm.UMAP])
    pd.testing.assert_frame_equal(last.obs[list(first.obs)], first.obs)
    assert np.isfinite(last.obs[Obs.DIRECTION_UNCERTAINTY]).any()
    assert Obsm.UMAP_LATENT in last.obsm
    assert run.status.pending == ()
    assert not (run.path / "outlines").exists()


def test_a_training_killed_after_its_first_streams_goes_on_to_the_same_end(
    small_config: RunConfig, finished_run: Run
) -> None:
    run = start(small_config)
    process = held_at_first_streams(run)
    assert not run.is_judged
    for source in (Sources.MEASURED, Sources.SPLICEDVAE):
        assert views.verdict(run, source).answer == "not judged yet"
    os.killpg(process.pid, signal.SIGKILL)
    wait_until(lambda: run.status.state == "lost", "the loss of the worker")
    assert not run.has_streams
    run = ended(resume(run))
    assert views.verdict(run, Sources.MEASURED) == views.verdict(finished_run, Sources.MEASURED)
    pd.testing.assert_frame_equal(run.metrics, finished_run.metrics)
    for source in finished_run.velocity_sources:
        here, there = run.velocity(source), finished_run.velocity(source)
        # ARPACK goes on with its own random numbers, which show in the last digits of this one.
        time_of = [found.obs.pop(Obs.PSEUDOTIME) for found in (here, there)]
        np.testing.assert_allclose(*time_of, atol=1e-4)
        pd.testing.assert_frame_equal(here.obs, there.obs, check_exact=True)
        np.testing.assert_array_equal(here.obsm[ARROWS], there.obsm[ARROWS])


def test_a_prediction_of_measured_cells_is_judged_at_its_end(
    totals_config: RunConfig, simulated_file: Path, tmp_path: Path
) -> None:
    judged: list[tuple[str, bool]] = []
    folder = tmp_path / "run"
    config = dataclasses.replace(
        totals_config, data=str(simulated_file), data_sha256=io.sha256(simulated_file)
    )

    def look(status: object) -> None:
        run = Run(folder)
        if run.has_streams:
            judged.append((run.status.stage, run.is_judged))

    run = execute(config, folder, progress=look)
    assert (STAGE_MEASURED, False) in judged
    assert (STAGE_EVIDENCE, False) in judged
    assert judged[-1][1]
    assert run.is_judged
