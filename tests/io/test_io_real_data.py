"""The four real sets: what they hold is known from their description and from anndata alone."""

from __future__ import annotations

import anndata
import numpy as np
import pytest

from splicedvae._core.layers import named_layers
from splicedvae.io import read
from splicedvae.triage import inspect

pytestmark = pytest.mark.real_data


@pytest.mark.parametrize(
    ("name", "shape", "fraction", "clusters"),
    [
        ("mouse_pancreas_e15.h5ad", (591, 7192), 0.194, 8),
        ("mouse_pancreas_e15_50cells_all_genes.h5ad", (50, 27998), 0.162, 0),
        ("mouse_dentate_gyrus_100cells.h5ad", (100, 13913), 0.099, 0),
    ],
)
def test_sets_with_measured_layers(real_data, name, shape, fraction, clusters):
    result = read(real_data / name)
    plain = anndata.read_h5ad(real_data / name)
    adata = result.adata
    assert adata.shape == shape
    assert (result.total_source, result.counts) == ("X", "with-introns")
    assert result.has_measured_layers
    assert adata.X.dtype == np.float32
    for key in named_layers(plain):
        assert (adata.layers[key] != plain.layers[key]).nnz == 0
    assert (adata.X != plain.X).nnz == 0
    assert (adata.layers["spliced"] + adata.layers["unspliced"] != adata.X).nnz == 0
    assert list(adata.var_names) == list(plain.var_names)
    summary = inspect(result)
    assert summary.unspliced_fraction == pytest.approx(fraction, abs=5e-4)
    assert len(summary.clusters) == clusters
    assert summary.species.species == "mouse"
    assert summary.gene_style == "symbols"


def test_the_set_with_totals_only(real_data):
    result = read(real_data / "human_pbmc_400cells_totals_only.h5ad")
    assert not result.has_measured_layers
    assert result.counts is None
    assert named_layers(result.adata) == []
    summary = inspect(result)
    assert summary.species.species == "human"
    assert (summary.cluster_key, summary.batch_key) == (None, "batch")
    assert any("no spliced and unspliced" in warning for warning in summary.warnings)


def test_the_pancreas_as_scvelo_ships_it(real_data):
    """X is the spliced matrix there; the sum is taken instead."""
    from splicedvae.io import from_anndata

    plain = anndata.read_h5ad(real_data / "mouse_pancreas_e15.h5ad")
    total = plain.X.copy()
    plain.X = plain.layers["spliced"].copy()
    result = from_anndata(plain)
    assert result.total_source == "spliced + unspliced"
    assert (total != result.adata.X).nnz == 0


def test_log_normalised_real_counts_are_refused(real_data):
    import scanpy

    from splicedvae._core.errors import DataError
    from splicedvae.io import from_anndata

    plain = anndata.read_h5ad(real_data / "human_pbmc_400cells_totals_only.h5ad")
    scanpy.pp.normalize_total(plain, target_sum=1e4)
    with pytest.raises(DataError, match="normalized"):
        from_anndata(plain)
    scanpy.pp.log1p(plain)
    with pytest.raises(DataError, match=r"log-normalized\?"):
        from_anndata(plain)
