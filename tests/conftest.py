"""What every test shares: where the real counts lie, and an isolated, single-threaded process.

Nothing a test writes may reach the user's own runs or cache, and two pytest workers must not
each start as many threads as the machine has cores; both are settled here, before anything heavy
is imported.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

REPOSITORY = Path(__file__).resolve().parents[1]
REAL_DATA_FILE = "mouse_pancreas_e15.h5ad"

_scratch = Path(tempfile.mkdtemp(prefix="splicedvae-tests-"))
os.environ["SPLICEDVAE_RUNS"] = str(_scratch / "runs")
os.environ["SPLICEDVAE_MODELS"] = str(_scratch / "models")
os.environ["SPLICEDVAE_CACHE"] = str(_scratch / "cache")
os.environ["MPLBACKEND"] = "Agg"
if "PYTEST_XDIST_WORKER" in os.environ:
    for _name in (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMBA_NUM_THREADS",
    ):
        os.environ.setdefault(_name, "1")


# No test times: on a busy machine a deadline fails what is right.
settings.register_profile(
    "splicedvae", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("splicedvae")


def pytest_unconfigure() -> None:
    """Remove this process's scratch folder."""
    shutil.rmtree(_scratch, ignore_errors=True)


def real_data_folder() -> Path:
    """Folder that should hold the real counts, whether it is there or not."""
    named = os.environ.get("SPLICEDVAE_DATA")
    if named:
        return Path(named).expanduser().resolve()
    return REPOSITORY.parent / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real counts; the test is skipped where they are not at hand."""
    folder = real_data_folder()
    if not (folder / REAL_DATA_FILE).is_file():
        pytest.skip(
            f"no {REAL_DATA_FILE} in the folder of real counts: set SPLICEDVAE_DATA to the folder "
            "that holds it (default: ../shared/data beside the repository)"
        )
    return folder


#: Root's containers refuse Chromium its sandbox, and its own look-ups would be refused one by one.
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium, one a process, as Playwright allows; skipped where there is none."""
    named = os.environ.get("CHROMIUM")
    names = [named] if named else ["chromium", "chromium-browser", "google-chrome"]
    executable = next(filter(None, map(shutil.which, names)), None)
    if executable is None:
        pytest.skip("no Chromium on the PATH: install chromium, or name one in CHROMIUM")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_ARGUMENTS)
        yield chromium
        chromium.close()
