"""Workers killed at random moments: every run ends with the numbers of the uninterrupted one.

A bounded number here; `python -m benchmarks.faults` does any number.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).absolute().parents[2]


def test_killed_and_damaged_runs_end_with_the_same_numbers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "path", [str(REPOSITORY), *sys.path])
    monkeypatch.setenv("SPLICEDVAE_RUNS", str(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    from benchmarks.faults import attack

    out = attack(1, seed=5, n_cells=160, n_genes=40, epochs=150)
    assert (out.kills, out.finished) == (1, 1)
    assert out.wrong == []
    assert "same numbers" in out.told()
