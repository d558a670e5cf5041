"""One small benchmark that was really run, in two halves."""

from __future__ import annotations

from pathlib import Path

import pytest

from splicedvae import benchmark, datasets

SETTINGS = {"cluster_key": "clusters", "max_epochs": 15, "n_latent": 5}


@pytest.fixture(scope="session")
def simulated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("data") / "cells.h5ad"
    datasets.simulate(240, 80, n_batches=2, mean_depth=300, seed=5).write_h5ad(file)
    return file


@pytest.fixture(scope="session")
def halves(simulated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> benchmark.Benchmark:
    out = tmp_path_factory.mktemp("benchmark") / "halves"
    return benchmark.run(simulated_file, out, design="halves", seeds=[0], **SETTINGS)
