"""One HTML file that tells everything about a run and opens without a network.

The page is a template, filled with escaped text; figures come from
`splicedvae.views`. A part that a run does not have says why in its place.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jinja2
import numpy as np
import pandas as pd
import plotly.io
import plotly.offline
from markupsafe import Markup

from splicedvae import __version__, plotting, views
from splicedvae._core.errors import RunError, SplicedVAEError
from splicedvae._core.files import write_text
from splicedvae._core.keys import Layers, Obs, Sources
from splicedvae.report._figures import FIGURES, FigureCall
from splicedvae.views.cautions import run_cautions
from splicedvae.views.reproduce import command_line, file_name, python_call

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from splicedvae.runs import Run

_TEMPLATE: Final = "report.html.j2"
_COLUMN_TITLES: Final = {
    "cluster": "cluster",
    "n_cells": "cells",
    "held_out": "held out",
    "median_depth": "median counts",
    "unspliced_fraction": "unspliced fraction",
    "velocity_genes": "velocity genes",
}


@dataclass(frozen=True)
class _Figure:
    """A figure as it stands in the page, or the reason why it does not."""

    html: Markup
    alt: str
    missing: str = ""
    #: That many cells are drawn as a picture.
    note: str = ""
    python: str = ""


@dataclass(frozen=True)
class _Table:
    """A table of text, or the reason why there is none."""

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    missing: str = ""


def write_report(run: Run, out: Path | str, *, dark: bool = False) -> Path:
    """Write all results of a finished run into one HTML file.

    Parameters
    ----------
    run
        The run.
    out
        The file to write; a file of this name is replaced.
    dark
        Whether the page is dark.

    Returns
    -------
    The file, which needs no network. It is about 5 MB, most of it plotly.js, and with three
    velocities another 0.1 MB for each thousand cells up to 30,000. More cells are pictures, as on
    the pages, which the figures say: 50,000 cells take 5.4 MB and 4 s, 500,000 take 5.2 MB and
    18 s.

    Raises
    ------
    RunError
        If the run is not finished, or the file cannot be written.
    """
    out = Path(out)
    run.need_finished("a report tells of finished runs")
    if out.is_dir() or not out.parent.is_dir():
        raise RunError(
            f"{out.name!r} cannot be written, it is a folder or lies in one that does not exist: "
            "name a file in an existing folder."
        )
    text = _environment().get_template(_TEMPLATE).render(**_contents(run, dark))
    try:
        write_text(out, text)
    except OSError as error:
        raise RunError(
            f"The report {out.name!r} could not be written ({error.strerror}): choose another "
            "folder or free some space."
        ) from error
    return out


def _environment() -> jinja2.Environment:
    source = resources.files("splicedvae.report").joinpath(_TEMPLATE).read_text(encoding="utf-8")
    return jinja2.Environment(
        loader=jinja2.DictLoader({_TEMPLATE: source}),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _contents(run: Run, dark: bool) -> dict[str, Any]:
    config = run.config
    cells = run.predictions
    trained = config.kind == "train"
    figure = partial(_figure, dark=dark)
    return {
        "dark": dark,
        "title": run.name,
        "run_id": run.id,
        "kind": config.kind,
        "version": __version__,
        "plotly_js": Markup(plotly.offline.get_plotlyjs()),
        "written": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "facts": _facts(run),
        "cautions": run_cautions(run),
        "notes": run.notes,
        "annotation": run.annotation.splitlines(),
        "has_measured": Layers.SPLICED in cells.layers and Layers.UNSPLICED in cells.layers,
        "has_split": Obs.SPLIT in cells.obs,
        "clusters": _table(partial(_cluster_rows, run)),
        "ratio_metrics": _table(partial(_metric_rows, run, "ratio")),
        "velocity_metrics": _table(partial(_metric_rows, run, "velocity")),
        "latent_metrics": _table(partial(_metric_rows, run, "latent")) if trained else None,
        "velocities": _table(partial(_velocity_rows, run)),
        "depth": figure("depth", views.depth_figure, run),
        "unspliced": figure("unspliced", views.unspliced_figure, run),
        "coverage": figure("coverage", views.coverage_figure, run),
        "gain": figure("gain", views.gain_figure, run),
        "ratios": figure("ratios", views.ratio_figure, run),
        "within_gene": figure("within-gene", views.within_gene_figure, run),
        "training": figure("training", views.training_figure, run) if trained else None,
        "watched": figure("watched", views.watched_figure, run) if trained else None,
        "watched_words": views.WATCHED_WORDS,
        "latents": figure("latents", views.latent_figure, run),
        "streams": figure("streams", views.stream_figure, run),
        "simulated": Sources.TRUE in run.velocity_account,
        "settings": _settings(run),
        "provenance": _provenance(run),
        "stages": [
            (str(name), f"{float(seconds):,.1f} s")
            for name, seconds in (run.provenance.get("stages") or {}).items()
        ],
        "command": command_line(run),
        "python": python_call(run),
    }


def _figure(name: str, draw: Callable[..., go.Figure], run: Run, *, dark: bool) -> _Figure:
    try:
        figure = draw(run, dark=dark)
    except SplicedVAEError as reason:
        return _Figure(Markup(""), "", missing=str(reason))
    html = plotly.io.to_html(
        figure,
        full_html=False,
        include_plotlyjs=False,
        config=dict(plotting.CONFIG),
        div_id=f"figure-{name}",
    )
    # plotly writes the figure as JSON in which "<", ">" and "/" are escaped.
    python = FigureCall(name).python(run) if name in FIGURES else ""
    return _Figure(
        Markup(html),
        plotting.alt_text(figure),
        note=plotting.picture_note(figure),
        python=python,
    )


def _table(make: Callable[[], pd.DataFrame]) -> _Table:
    try:
        table = make()
    except SplicedVAEError as reason:
        return _Table(missing=str(reason))
    return _Table(
        tuple(_COLUMN_TITLES.get(str(name), str(name)) for name in table.columns),
        tuple(tuple(str(value) for value in row) for row in table.to_numpy(dtype=object)),
    )


def _metric_rows(run: Run, about: Any) -> pd.DataFrame:
    table = views.metrics_table(run, about=about)
    if table.empty:
        raise RunError(f"The run has no metrics of the {about}.")
    return table.rename_axis("metric").reset_index()


def _cluster_rows(run: Run) -> pd.DataFrame:
    table = views.cluster_table(run)
    shown = table.assign(
        n_cells=[f"{n:,}" for n in table["n_cells"]],
        held_out=[f"{n:,}" for n in table["held_out"]],
        median_depth=[f"{depth:,.0f}" for depth in table["median_depth"]],
        unspliced_fraction=[
            f"{share:.1%}" if np.isfinite(share) else "–" for share in table["unspliced_fraction"]
        ],
    )
    return shown if Obs.SPLIT in run.predictions.obs else shown.drop(columns="held_out")


def _velocity_rows(run: Run) -> pd.DataFrame:
    table = views.velocity_table(run)
    if table.empty:
        raise RunError("The run has tried no velocity.")
    return table


def _facts(run: Run) -> list[tuple[str, str]]:
    config, cells = run.config, run.predictions
    table = views.cluster_table(run)
    n_held_out = int(table["held_out"].sum())
    facts = [
        ("data file", file_name(config.data)),
        ("cells", f"{cells.n_obs:,}"),
        ("genes of the model", f"{cells.n_vars:,}"),
    ]
    if Obs.SPLIT in cells.obs:
        facts.append(("trained on", f"{cells.n_obs - n_held_out:,} cells"))
        facts.append(("held out", f"{n_held_out:,} cells"))
    if config.model_run:
        facts.append(("models from the run", file_name(config.model_run)))
    if Obs.CLUSTERS in cells.obs:
        facts.append(("clusters", f"{len(table):,}, from {config.cluster_key}"))
    return facts


def _settings(run: Run) -> list[tuple[str, str]]:
    values = run.config.to_dict()
    values["data"] = file_name(str(values["data"]))
    if values.get("model_run"):
        values["model_run"] = file_name(str(values["model_run"]))
    velocity = values.pop("velocity", {})
    rows = [(name, _plain(value)) for name, value in values.items()]
    return rows + [(f"velocity: {name}", _plain(value)) for name, value in velocity.items()]


def _provenance(run: Run) -> list[tuple[str, str]]:
    told = dict(run.provenance)
    packages = told.pop("packages", {}) or {}
    # The notes tell of resumptions in words.
    for name in ("stages", "resumed"):
        told.pop(name, None)
    for name in ("started", "finished"):
        if told.get(name) is not None:
            moment = datetime.datetime.fromtimestamp(float(told[name]), datetime.UTC)
            told[name] = moment.strftime("%Y-%m-%d %H:%M:%S UTC")
    rows = [("run id", run.id)]
    rows += [(name.replace("_", " "), _plain(value)) for name, value in told.items()]
    return rows + [(name, _plain(value)) for name, value in packages.items()]


def _plain(value: Any) -> str:
    return "not set" if value is None else str(value)
