"""The gate gives what `read` gives, and the process that reads can do nothing else."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import psutil
import pytest
from hostile_files import HOSTILE, comments_without_end
from scipy import sparse

from splicedvae._core.errors import DataError, ReaderDiedError
from splicedvae.io import BackedCounts, ReadResult, gate, read, read_backed
from splicedvae.io.gate import _reader
from splicedvae.io.gate._bounds import Bounds

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Landlock is Linux's")


def scratch_folders() -> list[Path]:
    return list(Path(tempfile.gettempdir()).glob(f"splicedvae-gate-{os.getpid()}-*"))


def same(a: Any, b: Any) -> bool:
    """Whether two parts of AnnData hold the same, in the same types."""
    if isinstance(a, Mapping):
        return set(a) == set(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, pd.DataFrame):
        pd.testing.assert_frame_equal(a, b)
        return True
    if sparse.issparse(a):
        return a.format == b.format and a.dtype == b.dtype and (a != b).nnz == 0
    return type(a) is type(b) and bool(np.all(np.asarray(a) == np.asarray(b)))


def check_same(a: anndata.AnnData, b: anndata.AnnData) -> None:
    parts = ("X", "obs", "var", "uns", "obsm", "varm", "layers")
    assert [part for part in parts if not same(getattr(a, part), getattr(b, part))] == []


def facts_of(result: ReadResult) -> dict:
    return {key: value for key, value in vars(result).items() if key != "adata"}


@pytest.fixture
def rich(counts):
    """Counts with all that an AnnData can carry along."""
    rng = np.random.default_rng(1)
    counts.obs["text"] = np.array(["a", "b", None] * 10, dtype=object)
    counts.obs["plain"] = np.array([f"n{i}" for i in range(30)], dtype=object)
    counts.obs["number"] = rng.normal(size=30)
    counts.var["chosen"] = rng.random(20) > 0.5
    counts.obsm["table"] = pd.DataFrame({"a": range(30)}, index=counts.obs_names)
    counts.uns["nested"] = {"list": [1, 2], "text": "é", "none": {}, "number": 1.5}
    counts.raw = counts.copy()
    return counts


@pytest.mark.parametrize("ending", ["h5ad", "zarr"])
def test_the_gate_gives_what_read_gives(tmp_path, rich, ending):
    path = tmp_path / f"cells.{ending}"
    getattr(rich, f"write_{ending}")(path)
    here, there = read(path), gate.read(path)
    assert facts_of(there) == facts_of(here)
    assert [note.code for note in there.notes if hasattr(note, "code")]
    check_same(there.adata, here.adata)
    assert there.adata.X.dtype == here.adata.X.dtype
    assert not scratch_folders()


def test_options_reach_the_child(tmp_path, counts):
    counts.layers["kept"] = counts.X.copy()
    counts.write_h5ad(tmp_path / "cells.h5ad")
    assert gate.read(tmp_path / "cells.h5ad", total="kept").total_source == "layers/kept"


def test_totals_stay_on_disk_and_are_those_of_read_backed(tmp_path, counts):
    del counts.layers["spliced"], counts.layers["unspliced"]
    counts.write_h5ad(tmp_path / "totals.h5ad")
    with (
        gate.open_counts(tmp_path / "totals.h5ad") as there,
        read_backed(tmp_path / "totals.h5ad") as here,
    ):
        assert isinstance(there, BackedCounts)
        assert (there.notes, there.sha256, there.total_source) == (
            here.notes,
            here.sha256,
            here.total_source,
        )
        pairs = zip(there.blocks(), here.blocks(), strict=True)
        assert all((a != b).nnz == 0 for a, b in pairs)
        assert same(there.adata.obs, here.adata.obs)
        assert len(scratch_folders()) == 1
    assert not scratch_folders()


def test_what_has_to_be_read_whole_is_read_whole(tmp_path, counts):
    counts.write_h5ad(tmp_path / "cells.h5ad")
    assert isinstance(gate.open_counts(tmp_path / "cells.h5ad"), ReadResult)


def test_a_sentence_comes_with_its_notes(tmp_path, counts):
    counts.X = counts.X.multiply(0.37).tocsr()
    counts.layers.clear()
    counts.write_h5ad(tmp_path / "cells.loom")
    with pytest.raises(DataError) as here:
        read(tmp_path / "cells.loom")
    with pytest.raises(DataError) as there:
        gate.read(tmp_path / "cells.loom")
    assert str(there.value) == str(here.value)
    assert there.value.notes == here.value.notes
    assert len(here.value.notes) > 0


# The child -----------------------------------------------------------------------------------


@linux
def test_the_child_reaches_nothing_else(tmp_path):
    """After `confine`, only the one file can be read and only the scratch folder written."""
    (tmp_path / "asked").write_text("asked")
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "scratch").mkdir()
    tried = textwrap.dedent(
        """
        import os, socket, sys
        from pathlib import Path
        from splicedvae.io.gate._confine import confine
        here = Path(sys.argv[1])
        if left := confine(here / "asked", here / "scratch"):
            print("this kernel lacks", left)
            sys.exit(5)
        def fails(what):
            try:
                what()
            except OSError:
                return True
            return False
        assert (here / "asked").read_text() == "asked"
        (here / "scratch" / "own").write_text("own")
        import zoneinfo  # packages can still be imported
        assert fails((here / "secret").read_text), "read another file"
        assert fails((here / "link").read_text), "followed a link"
        assert fails(Path("/etc/passwd").read_text), "read a file of the system"
        assert fails(lambda: (here / "asked").write_text("x")), "wrote the file"
        assert fails(lambda: os.listdir(here)), "listed the folder"
        assert fails(lambda: socket.socket()), "opened a socket"
        assert fails(lambda: os.execv("/bin/true", ["true"])), "started a program"
        assert fails(os.fork), "forked"
        assert fails(lambda: os.kill(os.getppid(), 0)), "sent a signal"
        import threading
        thread = threading.Thread(target=print, args=("threads work",))
        thread.start(); thread.join()
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", tried, str(tmp_path)], capture_output=True, text=True, check=False
    )
    if done.returncode == 5:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stderr
    assert "threads work" in done.stdout


@linux
def test_a_file_without_end_meets_the_bound_on_time(tmp_path, monkeypatch):
    monkeypatch.setenv("SPLICEDVAE_READ_SECONDS", "1")
    path = comments_without_end(tmp_path)
    began = time.monotonic()
    with pytest.raises(ReaderDiedError, match=r"more than 1 s of processor time.*SPLICEDVAE_READ"):
        gate.read(path)
    assert time.monotonic() - began < 24
    assert not scratch_folders()


@linux
@pytest.mark.parametrize(
    ("ended_by", "words"),
    [(signal.SIGSEGV, "broke off, as damaged files"), (signal.SIGKILL, "took more memory than")],
)
def test_a_child_that_dies_is_a_sentence_and_the_next_file_is_read(
    tmp_path, counts, ended_by, words
):
    path = comments_without_end(tmp_path)
    counts.write_h5ad(tmp_path / "cells.h5ad")
    stop = threading.Event()

    def end() -> None:
        while not stop.wait(0.05):
            # A process may end between being listed and being looked at.
            with contextlib.suppress(psutil.Error):
                for fork in psutil.Process().children(recursive=True):
                    # Forks have the command line of the reader; a browser of another test has not.
                    is_reader = "splicedvae.io.gate._child" in " ".join(fork.cmdline())
                    if is_reader and fork.ppid() != os.getpid() and fork.cpu_times().user > 0.2:
                        fork.send_signal(ended_by)
                        return

    thread = threading.Thread(target=end)
    thread.start()
    try:
        with pytest.raises(ReaderDiedError, match=words) as caught:
            gate.read(path)
    finally:
        stop.set()
        thread.join()
    assert str(caught.value).startswith(f"{path.name}: ")
    assert not scratch_folders()
    assert gate.read(tmp_path / "cells.h5ad").adata.n_obs == 30


@linux
def test_a_killed_caller_takes_its_child_along_and_leaves_a_folder_that_is_cleared(
    tmp_path, monkeypatch
):
    # A folder of its own: any server that starts meanwhile clears the common one.
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(own))
    path = comments_without_end(tmp_path)
    code = f"from splicedvae.io import gate; gate.read({str(path)!r})"
    caller = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(own)})
    end = time.monotonic() + 60
    below: list[psutil.Process] = []
    while len(below) < 2 and time.monotonic() < end:
        time.sleep(0.05)
        below = psutil.Process(caller.pid).children(recursive=True)
    assert len(below) == 2
    caller.kill()
    caller.wait()
    gone, alive = psutil.wait_procs(below, timeout=10)
    assert not alive, gone
    left = list(own.glob(f"splicedvae-gate-{caller.pid}-*"))
    assert len(left) == 1
    gate.clear_leftovers()
    assert not left[0].exists()


def test_bounds_follow_the_file_the_machine_and_the_setting(monkeypatch):
    monkeypatch.delenv("SPLICEDVAE_MAX_BYTES", raising=False)
    small, large = Bounds.of(1000), Bounds.of(1 << 30)
    assert 512 * 1024**2 <= small.memory < 513 * 1024**2
    assert small.memory <= large.memory <= psutil.virtual_memory().total
    assert small.seconds < large.seconds
    assert Bounds.of(1000, max_bytes=1 << 20).arrays == 1 << 20
    monkeypatch.setenv("SPLICEDVAE_MAX_BYTES", "4096")
    assert Bounds.of(1000).arrays == 4096
    monkeypatch.setenv("SPLICEDVAE_READ_SECONDS", "-1")
    with pytest.raises(DataError, match="SPLICEDVAE_READ_SECONDS is set to '-1'"):
        Bounds.of(1000)


# Files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", HOSTILE, ids=lambda case: case.__name__)
def test_a_hostile_file_gets_its_sentence(tmp_path, case, monkeypatch):
    monkeypatch.setenv("SPLICEDVAE_READ_SECONDS", "2")
    monkeypatch.setenv("SPLICEDVAE_MAX_BYTES", str(32 * 1024**2))
    before = psutil.Process().memory_info().rss
    path, expected = case(tmp_path)
    built = psutil.Process().memory_info().rss
    with pytest.raises(DataError, match=expected) as caught:
        gate.read(path)
    message = str(caught.value)
    assert message.startswith(f"{path.name}: ")
    assert message.endswith(".")
    assert "\n" not in message
    assert str(tmp_path) not in message
    assert psutil.Process().memory_info().rss < max(before, built) + 100e6
    assert not scratch_folders()


def test_anndata_here_is_the_one_of_the_child(tmp_path, counts):
    """The child finds the packages of its caller, whatever the folder it was started in."""
    counts.write_h5ad(tmp_path / "cells.h5ad")
    (tmp_path / "anndata.py").write_text("raise SystemExit(9)")
    code = (
        f"from splicedvae.io import gate; print(gate.read({str(tmp_path / 'cells.h5ad')!r}).name)"
    )
    paths = os.pathsep.join([str(Path(anndata.__file__).parents[1]), *sys.path[1:]])
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "cells.h5ad", done.stderr


@linux
def test_a_reader_that_ends_idle_while_it_is_asked_costs_no_file(tmp_path, counts, monkeypatch):
    """The process ends by itself after a while, which may be just when a request comes."""
    counts.write_h5ad(tmp_path / "cells.h5ad")
    asked: list[int | None] = []
    ask = _reader.Reader.ask

    def late(self, scratch, bounds):
        if not asked:
            # End of input is what the process takes as no more requests.
            self._process.stdin.close()
            self._process.wait(20)
            self._process.stdin = (tmp_path / "nobody reads").open("w")
        asked.append(ask(self, scratch, bounds))
        return asked[-1]

    monkeypatch.setattr(_reader.Reader, "ask", late)
    assert gate.read(tmp_path / "cells.h5ad").adata.n_obs == counts.n_obs
    assert asked == [None, 0]
