from __future__ import annotations

import numpy as np
import pytest
from anndata import AnnData

from splicedvae import velocity as vl
from splicedvae._core.errors import DataError, SplicedVAEError


def field(vectors, n: int = 1500, seed: int = 0, dtype: type = np.float32) -> AnnData:
    rng = np.random.default_rng(seed)
    points = rng.uniform(-3, 3, (n, 2))
    adata = AnnData(np.zeros((n, 1), dtype=np.float32))
    adata.obsm["X_umap"] = points.astype(dtype)
    adata.obsm["velocity_umap"] = vectors(points).astype(dtype)
    return adata


def split(lines: vl.StreamLines) -> list[np.ndarray]:
    table = np.column_stack([lines.x, lines.y])
    cuts = np.flatnonzero(np.isnan(lines.x))
    return [part[~np.isnan(part[:, 0])] for part in np.split(table, cuts)]


def rotation(points: np.ndarray) -> np.ndarray:
    return np.column_stack([-points[:, 1], points[:, 0]])


def test_lines_of_a_rotation_are_circles_followed_with_the_flow() -> None:
    lines = vl.streamlines(field(rotation))
    parts = split(lines)
    assert len(parts) == lines.n_lines > 10
    for part in parts:
        radius = np.hypot(part[:, 0], part[:, 1])
        if radius.max() < 2.3 and radius.min() > 0.5:
            assert np.ptp(radius) < 0.35
        turn = part[:-1, 0] * np.diff(part[:, 1]) - part[:-1, 1] * np.diff(part[:, 0])
        if radius.min() > 0.5:
            assert (turn > 0).mean() > 0.9
    ring = np.hypot(lines.arrow_x, lines.arrow_y) > 0.5
    heads = lines.arrow_x * lines.arrow_dy - lines.arrow_y * lines.arrow_dx
    assert (heads[ring] > 0).all()


def test_arrays_are_float32_of_one_length_with_nan_between_lines() -> None:
    lines = vl.streamlines(field(rotation))
    for name in ("x", "y", "speed", "arrow_x", "arrow_y", "arrow_dx", "arrow_dy"):
        assert getattr(lines, name).dtype == np.float32
    assert lines.x.shape == lines.y.shape == lines.speed.shape
    gaps = np.isnan(lines.x)
    np.testing.assert_array_equal(gaps, np.isnan(lines.y))
    np.testing.assert_array_equal(gaps, np.isnan(lines.speed))
    assert gaps.sum() == lines.n_lines - 1
    np.testing.assert_allclose(np.hypot(lines.arrow_dx, lines.arrow_dy), 1, rtol=1e-5)
    assert np.nanmin(lines.speed) >= 0
    assert np.nanmax(lines.speed) <= 1 + 1e-6


def test_an_arrow_head_lies_on_its_line() -> None:
    lines = vl.streamlines(field(lambda p: np.tile([1.0, 0.3], (len(p), 1))))
    for part, x, y in zip(split(lines), lines.arrow_x, lines.arrow_y, strict=True):
        steps = np.hypot(*np.diff(part, axis=0).T)
        distance = np.hypot(part[:, 0] - x, part[:, 1] - y).min()
        assert distance <= steps.max() + 1e-6
    np.testing.assert_allclose(lines.arrow_dy / lines.arrow_dx, 0.3, atol=0.02)


def test_speed_follows_the_field() -> None:
    adata = field(lambda p: np.column_stack([p[:, 0] + 3.5, 0 * p[:, 0]]))
    lines = vl.streamlines(adata, smooth=2.0)
    seen = ~np.isnan(lines.x)
    assert np.corrcoef(lines.x[seen], lines.speed[seen])[0, 1] > 0.8


def test_density_and_length() -> None:
    adata = field(rotation)
    assert vl.streamlines(adata, density=2.0).n_lines > 1.4 * vl.streamlines(adata).n_lines
    short = vl.streamlines(adata, max_length=0.3)
    longest = max(np.hypot(*np.diff(part, axis=0).T).sum() for part in split(short))
    assert longest < 0.4 * 6.2


def test_the_number_of_neighbours_is_capped() -> None:
    adata = field(rotation, n=8000)
    capped = vl.streamlines(adata, n_neighbors=5000)
    np.testing.assert_array_equal(capped.x, vl.streamlines(adata, n_neighbors=100).x)
    np.testing.assert_array_equal(capped.x, vl.streamlines(adata).x)


def test_far_and_large_coordinates_of_float32() -> None:
    adata = field(rotation)
    adata.obsm["X_umap"] = adata.obsm["X_umap"] * np.float32(0.01) + np.float32(20)
    assert vl.streamlines(adata).n_lines > 10


def test_cells_without_a_finite_velocity_are_passed_over() -> None:
    adata = field(rotation)
    adata.obsm["velocity_umap"][::7] = np.nan
    lines = vl.streamlines(adata)
    assert lines.n_lines > 10
    assert np.isfinite(lines.arrow_x).all()


def test_nothing_moves() -> None:
    adata = field(lambda p: 0 * p)
    lines = vl.streamlines(adata)
    assert lines.n_lines == lines.x.size == 0
    assert not vl.arrows_grid(adata).dx.any()


@pytest.mark.parametrize("n", [12, 40])
def test_few_cells(n: int) -> None:
    lines = vl.streamlines(field(lambda p: np.tile([1.0, 0.0], (len(p), 1)), n=n))
    assert lines.x.shape == lines.y.shape


def test_grid_arrows_point_with_the_flow() -> None:
    arrows = vl.arrows_grid(field(rotation), density=0.5)
    assert arrows.x.shape == arrows.y.shape == arrows.dx.shape == arrows.dy.shape
    assert arrows.x.dtype == np.float32
    assert 100 < arrows.x.size <= 625
    ring = np.hypot(arrows.x, arrows.y) > 0.6
    turning = arrows.x * arrows.dy - arrows.y * arrows.dx
    assert (turning[ring] > 0).all()


def test_wrong_requests() -> None:
    adata = field(rotation)
    with pytest.raises(DataError, match="X_pca"):
        vl.streamlines(adata, basis="pca")
    with pytest.raises(DataError, match="absent_umap"):
        vl.streamlines(adata, vkey="absent")
    for name in ("density", "smooth", "max_length"):
        with pytest.raises(SplicedVAEError, match=name):
            vl.streamlines(adata, **{name: 0.0})
    adata.obsm["X_umap"][:, 1] = 1.0
    with pytest.raises(DataError, match="two-dimensional"):
        vl.streamlines(adata)
