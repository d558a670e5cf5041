"""A report of more cells than a browser draws as points stays small, and says what it drew."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import plotly.offline
import pytest

from splicedvae import plotting
from splicedvae.report import write_report
from splicedvae.runs import Run

SYNTHETIC = Path(__file__).absolute().parents[2] / "benchmarks" / "synthetic_run.py"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Run:
    found = importlib.util.spec_from_file_location("synthetic_run", SYNTHETIC)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    made: Run = module.write_run(
        tmp_path_factory.mktemp("large") / "run", plotting.MOST_POINTS + 1, 60, counted=20
    )
    return made


def test_many_cells_are_pictures_in_a_report_of_a_few_megabytes(large: Run, tmp_path: Path) -> None:
    page = write_report(large, tmp_path / "report.html").read_text(encoding="utf-8")
    assert len(page) - len(plotly.offline.get_plotlyjs()) < 1_500_000
    # Both maps of cells say so under the figure.
    said = f"{plotting.MOST_POINTS + 1:,} cells are drawn as an image"
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page, flags=re.DOTALL)
    assert sum(said in caption for caption in captions) == 2
