"""Names that steer a terminal or turn the direction of writing are changed when a file is read."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splicedvae._core.messages import STEERING, clean
from splicedvae.cli._output import _escaped
from splicedvae.io import read

ESCAPE = "\x1b]0;PWN\x07\x1b[31mred"
TURNED = "a\u202eb\u2066c"


@given(st.text())
def test_clean_text_has_nothing_to_replace_and_keeps_its_length(text):
    assert STEERING.search(clean(text)) is None
    assert len(clean(text)) == len(text)
    assert clean(clean(text)) == clean(text)


@pytest.mark.parametrize(
    "name", ["Ψ-ε", "T\u00a0cell", "\u06a9\u200c\u0646", "👩\u200d🔬", "Müller 1"]
)
def test_names_of_people_and_scripts_stay(name):
    assert clean(name) == name


def test_no_name_of_a_file_steers_a_terminal(tmp_path, counts):
    counts.obs["clusters"] = pd.Categorical([ESCAPE, TURNED] * 15)
    counts.obs[f"col{ESCAPE}"] = [f"{TURNED}{i}" for i in range(30)]
    counts.obs_names = [f"{ESCAPE}{i}" for i in range(30)]
    counts.var_names = [f"{TURNED}{i}" for i in range(20)]
    counts.obsm[f"X_{TURNED}"] = np.zeros((30, 2))
    counts.uns["inner"] = {ESCAPE: 1}
    counts.write_h5ad(tmp_path / "cells.h5ad")
    result = read(tmp_path / "cells.h5ad")
    adata = result.adata
    found = [*adata.obs_names, *adata.var_names, *adata.obs, *adata.obsm, *adata.uns["inner"]]
    found += [*adata.obs["clusters"], *adata.obs[clean(f"col{ESCAPE}")], *result.notes]
    assert [name for name in found if STEERING.search(name)] == []
    assert set(adata.obs["clusters"]) == {clean(ESCAPE), clean(TURNED)}
    assert any("steer a terminal" in note and "obs/clusters" in note for note in result.notes)


def test_names_that_become_one_are_numbered_or_joined(tmp_path, counts):
    counts.obs["clusters"] = pd.Categorical(["a\u202e", "a\u202d", "b"] * 10)
    counts.var_names = ["G\x01", "G\x02", *(f"Gene{i}" for i in range(18))]
    counts.write_h5ad(tmp_path / "cells.h5ad")
    adata = read(tmp_path / "cells.h5ad").adata
    assert list(adata.obs["clusters"].cat.categories) == ["a?", "b"]
    assert list(adata.var_names[:2]) == ["G?", "G?-1"]


def test_null_characters_and_compound_attributes_of_a_loom(tmp_path):
    rng = np.random.default_rng(0)
    with h5py.File(tmp_path / "cells.loom", "w") as file:
        file["matrix"] = rng.poisson(1.0, (20, 30)).astype("f4")
        file["row_attrs/Gene"] = np.array([f"G\0{i}".encode() for i in range(20)])
        file["col_attrs/CellID"] = np.array([f"cell{i}".encode() for i in range(30)])
        file["col_attrs/pairs"] = np.array([(1, 2.0)] * 30, dtype=[("a", "i4"), ("b", "f8")])
        file["col_attrs/_index"] = np.arange(30)
        file.create_group("layers")
    result = read(tmp_path / "cells.loom")
    assert not any("\0" in name for name in result.adata.var_names)
    assert list(result.adata.obs) == ["index"]
    assert any("col_attrs/pairs was left out" in note for note in result.notes)
    result.adata.write_h5ad(tmp_path / "again.h5ad")


def test_json_for_scripts_is_printable_and_exact():
    value = {f"{ESCAPE}{TURNED}\x9b": ["line\nline"]}
    text = STEERING.sub(_escaped, json.dumps(value, indent=1, ensure_ascii=False))
    assert STEERING.search(text.replace("\n", "")) is None
    assert json.loads(text) == value
