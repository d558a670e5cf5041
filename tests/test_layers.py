"""The names of an AnnData's layers are those beside X, whichever version of anndata there is."""

from __future__ import annotations

import numpy as np
import pytest
from anndata import AnnData

from splicedvae._core.layers import drop_layers, named_layers


@pytest.mark.parametrize("layers", [{}, {"b": np.ones((2, 3)), "a": np.zeros((2, 3))}])
def test_x_is_no_layer(layers: dict[str, np.ndarray]) -> None:
    cells = AnnData(np.eye(2, 3), layers=layers)
    assert named_layers(cells) == list(layers)
    drop_layers(cells)
    assert named_layers(cells) == []
    np.testing.assert_array_equal(cells.X, np.eye(2, 3))


def test_without_x() -> None:
    cells = AnnData(layers={"spliced": np.eye(3)})
    assert named_layers(cells) == ["spliced"]
