"""Files that attack their reader get one sentence of ``inspect``, and steer no terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import hostile_files
import pandas as pd
import psutil
import pytest

from splicedvae._core.messages import STEERING
from splicedvae.io import gate

from .conftest import Command


class Case(NamedTuple):
    """One folder of the collection of inputs that once broke the package."""

    name: str
    #: What the sentence says; None where the file is read.
    expected: str | None


_MEMORY = r"more memory than|would take .* in memory|cannot be read at|damaged HDF5"
_TIME = r"more than \d+ s of processor time"
COLLECTED = (
    Case("X_big_endian_dense", None),
    Case("deflate_chunk_bomb", _MEMORY),
    Case("dense_bool_ones_400MB", _MEMORY),
    Case("escape_names", None),
    Case("features_gz_bomb", _MEMORY),
    Case("gene_name_underscores_200k", None),
    Case("hdf5_one_bit_hang", _TIME),
    Case("hdf5_string_length_byte", _MEMORY),
    Case("loom_gene_nul", None),
    Case("loom_underscore_index", None),
    Case("mtx_gz_comment_bomb", _TIME),
    Case("objref_unlinked_external", "a reference to an array outside its groups"),
    Case("own_true_time_text", None),
    Case("own_true_velocity_text", None),
    Case("own_uns_simulation_string", None),
    Case("pickle_opaque_uns", None),
    Case("tenx_deflate_bomb", _MEMORY),
    Case("uns_98k_keys", f"more than 20,000 groups and arrays|{_TIME}"),
    Case("vlen_array_uns", None),
    Case("vlen_shared_heap_4GB", _MEMORY),
    Case("zarr3_fixed_utf32_huge", _MEMORY),
    Case("zarr3_null_bytes_huge", _MEMORY),
    Case("zarr_chunk_symlink", "symbolic link"),
    Case("zarr_fill_value_3GB_uint8", _MEMORY),
    Case("zarr_fill_value_6GB", _MEMORY),
    Case("zarr_gzip_chunk_bomb", _MEMORY),
    Case("zarr_vlen_count_lies", _MEMORY),
    Case("zip_entries_240k", "holds 240,000 files, at most 100,000"),
)
#: Made in minutes; declared sizes of zips are tested with the gate.
_SLOW = {"zip_bomb_15GB_disk"}
#: About runs and models, not about reading.
_OTHERS = {
    *("checkpoint_bits_flipped", "clock_step", "config_created_text"),
    *("weights_1e38", "weights_int_dtype"),
}


@pytest.fixture(scope="module")
def collection() -> Path:
    """Folder of the collection, whose files take minutes to make."""
    named = os.environ.get("SPLICEDVAE_HOSTILE")
    if not named:
        pytest.skip("takes minutes: set SPLICEDVAE_HOSTILE to the folder of collected inputs")
    folder = Path(named).resolve()
    assert (folder / "_lib.py").is_file()
    return folder


def check_sentence(command: Command, path: Path, expected: str) -> None:
    result = command("inspect", path)
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    *notes, last = result.stderr.splitlines()
    assert all(note.startswith("- ") for note in notes), result.stderr
    assert last.startswith(f"Error: {path.name}: ")
    assert re.search(expected, last), last
    assert last.endswith(".")
    assert hostile_files.SECRET not in result.output
    assert str(path.parent) not in result.output


def test_the_table_knows_the_collection(collection: Path) -> None:
    """A case that is added there is to be added here."""
    known = {case.name for case in COLLECTED} | _SLOW | _OTHERS
    assert {place.parent.name for place in collection.glob("*/make.py")} <= known


@pytest.mark.parametrize("case", COLLECTED, ids=lambda case: case.name)
def test_collected_inputs(
    collection: Path, tmp_path: Path, command: Command, case: Case, monkeypatch
) -> None:
    made = subprocess.run(
        [sys.executable, collection / case.name / "make.py", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    path = Path(made.stdout.split()[-1])
    before = psutil.Process().memory_info().rss
    if case.expected is not None:
        monkeypatch.setenv("SPLICEDVAE_READ_SECONDS", "3")
        check_sentence(command, path, case.expected)
    else:
        result = command("inspect", path)
        assert result.exit_code == 0, result.output
        assert STEERING.search(result.output.replace("\n", "")) is None
        # What is accepted can be written again.
        gate.read(path).adata.write_h5ad(tmp_path / "again.h5ad")
    assert psutil.Process().memory_info().rss < before + 300e6


@pytest.mark.parametrize(
    "case",
    [
        hostile_files.memory_shared_strings,
        hostile_files.other_file_by_unlinked_reference,
        hostile_files.other_file_by_link_of_a_chunk,
        hostile_files.other_file_by_link_in_a_folder,
    ],
    ids=lambda case: case.__name__,
)
def test_made_here(tmp_path: Path, command: Command, case, monkeypatch) -> None:
    monkeypatch.setenv("SPLICEDVAE_MAX_BYTES", str(32 * 1024**2))
    path, expected = case(tmp_path)
    check_sentence(command, path, expected)


@pytest.mark.parametrize("as_json", [False, True])
def test_names_steer_no_terminal(tmp_path: Path, command: Command, as_json: bool) -> None:
    name = "\x1b]0;PWN\x07\x1b[31mred\u202e\x9b"
    cells = hostile_files.cells()
    cells.obs["clusters"] = pd.Categorical([f"{name}1", f"{name}2"] * 15)
    cells.var_names = [f"{name}{number}" for number in range(20)]
    cells.layers[name] = cells.X.copy()
    cells.uns[name] = {name: name}
    cells.write_h5ad(tmp_path / f"{name}.h5ad")
    result = command("inspect", tmp_path / f"{name}.h5ad", *(["--json"] if as_json else []))
    assert result.exit_code == 0, result.output
    assert STEERING.search(result.output.replace("\n", "")) is None
    broken = tmp_path / f"{name}.txt"
    broken.write_text("text")
    refused = command("inspect", broken)
    assert refused.exit_code == 1
    assert STEERING.search(refused.output.replace("\n", "")) is None
