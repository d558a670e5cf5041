"""Downloads of a run: report, cells, tables."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import streamlit as st

from splicedvae._core.errors import RunError
from splicedvae._core.keys import Sources
from splicedvae.dashboard.text import defuse
from splicedvae.runs import Run

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9-]+")


def file_stem(run: Run) -> str:
    """Make a file name of a run's display name."""
    stem = _UNSAFE.sub("-", run.name).strip("-").lower()[:40]
    return f"splicedvae-{stem or run.path.name}"


def metrics_csv(run: Run) -> bytes:
    """Return the metrics as CSV (UTF-8), cells that a spreadsheet would run defused.

    Raises
    ------
    RunError
        If the run was not evaluated.
    """
    return defuse(run.metrics).to_csv(index=False).encode()


def genes_csv(run: Run) -> bytes:
    """Return the gene table as CSV (UTF-8), cells that a spreadsheet would run defused.

    Raises
    ------
    RunError
        If the run was not evaluated.
    """
    return defuse(run.genes).to_csv(index_label="gene").encode()


def report_html(run: Run) -> bytes:
    """Write the one-file report of a run and return it.

    Raises
    ------
    SplicedVAEError
        If the run has no data for the report.
    """
    from splicedvae.report import write_report

    with tempfile.TemporaryDirectory(prefix="splicedvae-report-") as folder:
        file = Path(folder) / "report.html"
        write_report(run, file)
        return file.read_bytes()


def everything_h5ad(run: Run) -> bytes:
    """Write counts, latent spaces, velocity and its graph into one h5ad and return it.

    Raises
    ------
    SplicedVAEError
        If the run is not finished.
    """
    from splicedvae.report import export_h5ad

    with tempfile.TemporaryDirectory(prefix="splicedvae-export-") as folder:
        file = Path(folder) / "everything.h5ad"
        # The kept form of a run has no matrices of its velocities.
        export_h5ad(Run(run.path), out=file)
        return file.read_bytes()


def has_metrics(run: Run) -> bool:
    """Say whether a run was evaluated against measured counts."""
    try:
        return len(run.metrics) > 0
    except RunError:
        return False


def buttons(run: Run) -> None:
    """Show the download buttons of a finished run; a file is made when its button is pressed."""
    stem = file_stem(run)
    with st.container(horizontal=True):
        _button(
            "Report", lambda: report_html(run), f"{stem}.html", "text/html", ":material/article:"
        )
        if has_metrics(run):
            _button(
                "Metrics",
                lambda: metrics_csv(run),
                f"{stem}-metrics.csv",
                "text/csv",
                ":material/table:",
            )
            _button(
                "Genes", lambda: genes_csv(run), f"{stem}-genes.csv", "text/csv", ":material/table:"
            )
        _button(
            "Everything",
            lambda: everything_h5ad(run),
            f"{stem}-everything.h5ad",
            "application/x-hdf5",
            ":material/deployed_code:",
        )
        _button(
            "Cells",
            (run.path / "predictions.h5ad").read_bytes,
            f"{stem}.h5ad",
            "application/x-hdf5",
            ":material/grid_on:",
        )
        for source in run.velocity_sources:
            if source in (Sources.SPLICEDVAE, Sources.SCVI):
                _button(
                    f"{Sources.LABELS[source]} velocity",
                    (run.path / "velocity" / f"{source}.h5ad").read_bytes,
                    f"{stem}-velocity-{source}.h5ad",
                    "application/x-hdf5",
                    ":material/airline_stops:",
                )


def _button(label: str, make: Callable[[], bytes], name: str, kind: str, icon: str) -> None:
    st.download_button(
        f"{label} (.{name.rsplit('.', 1)[-1]})",
        make,
        name,
        kind,
        icon=icon,
        on_click="ignore",
        key=f"download-{name}",
    )
