"""A simulated file and finished runs, made once for all tests of runs and the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from splicedvae import datasets, io
from splicedvae.pipeline import execute
from splicedvae.runs import Run, RunConfig
from splicedvae.velocity import VelocitySettings

CLUSTERS = "clusters"


@pytest.fixture(scope="session")
def simulated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """320 simulated cells x 60 genes with S/U, labels and truth."""
    file = tmp_path_factory.mktemp("data") / "simulated.h5ad"
    datasets.simulate(320, 60, seed=3).write_h5ad(file, compression="gzip")
    return file


@pytest.fixture(scope="session")
def small_config(simulated_file: Path) -> RunConfig:
    """A run on it that takes seconds."""
    return RunConfig(
        data=str(simulated_file),
        data_sha256=io.sha256(simulated_file),
        name="small",
        cluster_key=CLUSTERS,
        max_epochs=4,
        held_out=0.25,
        min_shared_counts=10,
        velocity=VelocitySettings(n_neighbors=12, min_shared_counts=10),
    )


@pytest.fixture(scope="session")
def finished_run(small_config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The finished training run."""
    return execute(small_config, tmp_path_factory.mktemp("runs") / "finished")
