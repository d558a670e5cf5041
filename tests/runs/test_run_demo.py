"""A run made small enough to ship keeps what pages and reports read."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from splicedvae._core.errors import RunError
from splicedvae._core.keys import Layers, Obsm
from splicedvae.pipeline import gene_moments
from splicedvae.pipeline.demo import rounded, shrink
from splicedvae.report import write_report
from splicedvae.runs import Run, demo_run, open_run


@given(arrays(np.float32, st.integers(0, 20), elements=st.floats(width=32)))
def test_rounding_keeps_zeros_and_what_is_not_finite_and_two_digits(values: np.ndarray) -> None:
    result = rounded(values)
    np.testing.assert_array_equal(np.isnan(result), np.isnan(values))
    usual = np.isfinite(values) & (np.abs(values) < 1e38) & (np.abs(values) > 1e-37)
    np.testing.assert_allclose(result[usual], values[usual], rtol=2**-8)
    np.testing.assert_array_equal(result[values == 0], values[values == 0])
    assert (np.signbit(result) == np.signbit(values)).all()


def test_shrunk_run_reads_and_reports_like_the_whole_one(finished_run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "small"
    shutil.copytree(finished_run.path, folder)
    shrink(folder)
    small = open_run(folder)
    assert small.is_finished
    assert small.id == finished_run.id
    assert small.metrics.equals(finished_run.metrics)
    for source in finished_run.velocity_sources:
        whole, part = finished_run.velocity(source), small.velocity(source)
        assert list(part.var_names) == list(whole.var_names)
        np.testing.assert_allclose(
            part.obsm[Obsm.VELOCITY_UMAP], whole.obsm[Obsm.VELOCITY_UMAP], rtol=2**-8
        )
    gene = str(small.velocity("splicedvae").var_names[0])
    np.testing.assert_allclose(
        gene_moments(small, "splicedvae", gene),
        gene_moments(finished_run, "splicedvae", gene),
        rtol=2**-6,
    )
    ratio = small.predictions.layers[Layers.RATIO]
    assert abs(ratio - finished_run.predictions.layers[Layers.RATIO]).max() < 2**-8
    assert ratio.data.max() <= 1
    sizes = [
        sum(file.stat().st_size for file in run.path.rglob("*") if file.is_file())
        for run in (small, finished_run)
    ]
    assert sizes[0] < 0.7 * sizes[1]
    for file in [*folder.rglob("*.json"), *folder.rglob("*.csv")]:
        assert str(tmp_path.parent) not in file.read_text(encoding="utf-8"), file.name
        assert str(Path(finished_run.config.data).parent) not in file.read_text(encoding="utf-8")
    write_report(small, tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_shipped_demo_is_a_small_finished_run_with_every_part() -> None:
    try:
        run = demo_run()
    except RunError:
        pytest.skip("the demo run has not been made yet: splicedvae demo --out splicedvae/demo")
    assert run.is_finished
    assert run.velocity_sources == ("measured", "splicedvae", "scvi", "true")
    assert set(run.metrics["predictor"]) >= {"gene_mean", "knn", "scvi", "splicedvae"}
    assert len(run.history) > 0
    assert run.predictions.n_obs >= 500
    files = [file for file in run.path.rglob("*") if file.is_file()]
    assert max(file.stat().st_size for file in files) < 2_000_000
    assert sum(file.stat().st_size for file in files) < 6_000_000
    assert run.model("splicedvae").genes.equals(run.predictions.var_names)
