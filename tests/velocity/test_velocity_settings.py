from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splicedvae._core.errors import SplicedVAEError
from splicedvae.velocity import VelocitySettings

valid = st.builds(
    VelocitySettings,
    mode=st.sampled_from(["stochastic", "deterministic"]),
    n_top_genes=st.none() | st.integers(1, 10_000),
    min_shared_counts=st.integers(0, 1000),
    n_pcs=st.integers(2, 100),
    n_neighbors=st.integers(3, 100),
    seed=st.integers(0, 2**31),
    n_jobs=st.sampled_from([-1, 1, 4]),
)


@given(valid)
def test_settings_return_from_json_and_from_h5ad_values(settings: VelocitySettings) -> None:
    assert VelocitySettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
    stored = {
        name: np.int64(value) if isinstance(value, int) else np.str_(value)
        for name, value in settings.to_uns().items()
    }
    assert VelocitySettings.from_dict(stored) == settings


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"mode": "dynamical"}, "dynamical"),
        ({"n_neighbors": 2}, "n_neighbors"),
        ({"n_pcs": 1}, "n_pcs"),
        ({"n_top_genes": 0}, "n_top_genes"),
        ({"min_shared_counts": -1}, "min_shared_counts"),
        ({"n_jobs": 0}, "n_jobs"),
        ({"neighbours": 5}, "neighbours"),
        ({"n_pcs": 2.5}, "2.5"),
        ({"n_pcs": True}, "True"),
        ({"seed": "7"}, "'7'"),
        ({"seed": None}, "None"),
    ],
)
def test_wrong_settings_are_refused_by_name(values: dict[str, object], named: str) -> None:
    with pytest.raises(SplicedVAEError, match=named):
        VelocitySettings.from_dict(values)
