"""What tests of pages share: a folder of runs of their own, and caches that know nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import streamlit as st


@pytest.fixture
def runs_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of runs."""
    monkeypatch.setenv("SPLICEDVAE_RUNS", str(tmp_path / "runs"))
    monkeypatch.delenv("SPLICEDVAE_DATA_PATHS", raising=False)
    st.cache_resource.clear()
    st.cache_data.clear()
    return tmp_path / "runs"
