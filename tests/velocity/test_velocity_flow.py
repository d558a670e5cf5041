"""The field that particles follow, and arrows of single cells."""

from __future__ import annotations

import numpy as np
import pytest
from anndata import AnnData
from hypothesis import given
from hypothesis import strategies as st

from splicedvae import velocity as vl
from splicedvae._core.errors import DataError, SplicedVAEError


def turning(n: int = 1500, seed: int = 0) -> AnnData:
    points = np.random.default_rng(seed).uniform(-3, 3, (n, 2))
    adata = AnnData(np.zeros((n, 1), dtype=np.float32))
    adata.obsm["X_umap"] = points.astype(np.float32)
    adata.obsm["velocity_umap"] = np.column_stack([-points[:, 1], points[:, 0]]).astype(np.float32)
    return adata


def test_field_of_a_rotation_turns_and_its_largest_speed_is_one() -> None:
    flow = vl.flow_field(turning())
    assert flow.u.shape == flow.v.shape == (flow.y.size, flow.x.size)
    for name in ("x", "y", "u", "v"):
        assert getattr(flow, name).dtype == np.float32
    np.testing.assert_allclose(np.diff(flow.x), flow.x[1] - flow.x[0], rtol=1e-3)
    assert np.nanmax(np.hypot(flow.u, flow.v)) == pytest.approx(1, abs=1e-5)
    x, y = np.meshgrid(flow.x, flow.y)
    inside = (np.hypot(x, y) < 2) & (np.hypot(x, y) > 0.7)
    turn = (x * flow.v - y * flow.u)[inside]
    assert np.isfinite(turn).mean() > 0.8
    assert np.nanmin(turn) > 0
    assert flow.moves


def test_nothing_that_moves_is_told() -> None:
    still = turning(200)
    still.obsm["velocity_umap"][:] = 0
    assert not vl.flow_field(still).moves
    assert vl.cell_arrows(still).x.size == 0


@given(density=st.floats(0.1, 3), seed=st.integers(0, 5))
def test_a_field_of_the_map_lends_one_cell_at_most(density: float, seed: int) -> None:
    adata = turning(400)
    arrows = vl.cell_arrows(adata, density=density, seed=seed)
    side = max(round(30 * density), 1)
    assert 1 <= arrows.x.size <= min(400, (side + 1) ** 2)
    rows = {tuple(row) for row in adata.obsm["X_umap"].tolist()}
    assert all(tail in rows for tail in zip(arrows.x.tolist(), arrows.y.tolist(), strict=True))
    np.testing.assert_allclose(arrows.dx, -arrows.y, rtol=1e-5)
    np.testing.assert_allclose(arrows.dy, arrows.x, rtol=1e-5)


def test_what_is_not_there_is_said() -> None:
    for follow in (vl.flow_field, vl.cell_arrows):
        with pytest.raises(DataError, match="X_tsne"):
            follow(turning(50), basis="tsne")
    with pytest.raises(SplicedVAEError, match="density"):
        vl.cell_arrows(turning(50), density=0)
    with pytest.raises(SplicedVAEError, match="smooth"):
        vl.flow_field(turning(50), smooth=-1)
