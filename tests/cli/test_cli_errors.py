"""Exit codes and sentences: 0 done, 1 an error to mend, 2 wrong use, 130 interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pytest
from click.testing import Result

from splicedvae.runs import Run

Command = Callable[..., Result]


def is_one_sentence(text: str) -> bool:
    return text.startswith("Error: ") and text.count("\n") == 1 and text.rstrip().endswith(".")


@pytest.mark.parametrize(
    "words",
    [
        ["inspect", "{tmp}/missing.h5ad"],
        ["inspect", "{tmp}/text.h5ad"],
        ["inspect", "{tmp}/empty.h5ad"],
        ["train", "{tmp}/missing.h5ad", "--out", "{tmp}/run"],
        ["train", "{cells}", "--out", "{tmp}/run", "--cluster-key", "none such"],
        ["train", "{cells}", "--out", "{tmp}/run", "--held-out", "1.5"],
        ["train", "{cells}", "--out", "{tmp}/run", "--ratio-weight", "-1"],
        ["train", "{totals}", "--out", "{tmp}/run"],
        ["evaluate", "{tmp}"],
        ["resume", "demo"],
        ["evaluate", "0123456789abcdef"],
        ["evaluate", "../../etc"],
        ["predict", "no-such-run", "{cells}", "--out", "{tmp}/p.h5ad"],
        ["predict", "{tmp}", "{cells}", "--out", "{tmp}/p.h5ad"],
        ["velocity", "{cells}", "--out", "{tmp}/v.txt"],
        ["velocity", "{cells}", "--out", "{tmp}/no/folder/v.h5ad"],
        ["velocity", "{cells}", "--out", "{cells}"],
        ["velocity", "{cells}", "--out", "{tmp}/v.h5ad", "--n-neighbors", "1"],
        ["simulate", "--out", "{cells}"],
        ["report", "{tmp}", "--out", "{tmp}/r.html"],
        ["demo", "--out", "{tmp}"],
    ],
)
def test_what_a_user_can_mend_is_one_sentence_and_exit_code_1(
    command: Command, cells: Path, totals: Path, tmp_path: Path, words: list[str]
) -> None:
    (tmp_path / "text.h5ad").write_text("not a file of cells")
    (tmp_path / "empty.h5ad").write_bytes(b"")
    before = cells.read_bytes()
    filled = [word.format(tmp=tmp_path, cells=cells, totals=totals) for word in words]
    result = command(*filled)
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    last = result.stderr.splitlines(keepends=True)[-1]
    assert is_one_sentence(last), result.stderr
    assert "Traceback" not in result.stderr
    assert str(tmp_path) not in last
    assert cells.read_bytes() == before


def test_missing_batches_are_refused_before_there_is_a_folder(
    command: Command, cells: Path, tmp_path: Path
) -> None:
    adata = anndata.read_h5ad(cells)
    adata.obs["lane"] = [np.nan, *([1.0, 2.0] * adata.n_obs)][: adata.n_obs]
    adata.write_h5ad(tmp_path / "gaps.h5ad")
    result = command(
        "train", tmp_path / "gaps.h5ad", "--out", tmp_path / "run", "--batch-key", "lane"
    )
    assert result.exit_code == 1
    assert "1 of 260 cells have no label in obs column 'lane'" in result.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["fly"],
        ["train"],
        ["simulate"],
        ["simulate", "--out", "x.h5ad", "--n-cells", "many"],
        ["simulate", "--out", "x.h5ad", "--topology", "moebius"],
        ["velocity", "a.h5ad", "--out", "b.h5ad", "--mode", "dynamical"],
        ["inspect", "a.h5ad", "--colour"],
    ],
)
def test_wrong_use_is_exit_code_2(command: Command, words: list[str]) -> None:
    result = command(*words)
    assert result.exit_code == 2
    assert "Usage" in result.stderr


@pytest.mark.parametrize(
    "name",
    [
        "simulate",
        "inspect",
        "train",
        "resume",
        "evaluate",
        "predict",
        "velocity",
        "report",
        "app",
        "demo",
    ],
)
def test_help_teaches_by_example(command: Command, name: str) -> None:
    result = command(name, "--help")
    assert result.exit_code == 0
    assert "Examples" in result.stdout
    assert f"splicedvae {name}" in result.stdout


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from splicedvae.cli import app\n"
        "try:\n    app(['--help'])\n"
        "except SystemExit as ended:\n    assert not ended.code\n"
        "heavy = {'torch', 'scvi', 'scanpy', 'scvelo', 'anndata', 'pandas', 'streamlit'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "RNA velocity" in ended.stdout


def test_interrupted_training_is_exit_code_130_and_a_stopped_run(
    cells: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    words = ["train", cells, "--out", out, "--max-epochs", "1000000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "splicedvae.cli", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 180
    while not (out / "live.jsonl").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 130
    assert stdout == ""
    assert stderr.rstrip().endswith("Stopped.")
    assert "Traceback" not in stderr
    assert Run(out).status.state == "stopped"


def test_dashboard_without_streamlit_says_what_to_install(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An entry of None in sys.modules is how Python marks a package that cannot be imported.
    monkeypatch.setitem(sys.modules, "streamlit", None)
    result = command("app")
    assert result.exit_code == 1
    assert "splicedvae[dashboard]" in result.stderr


def test_training_refused_for_its_data_leaves_no_folder(
    command: Command, totals: Path, tmp_path: Path
) -> None:
    assert command("train", totals, "--out", tmp_path / "run").exit_code == 1
    assert not (tmp_path / "run").exists()
