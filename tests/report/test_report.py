"""A report from real runs: small simulations, trained, predicted and refused for real."""

from __future__ import annotations

import html
import html.parser
import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from splicedvae import cli, datasets, io, plotting, triage, views
from splicedvae._core.errors import DataError, RunError
from splicedvae._core.keys import Layers, Obs, Obsm, Sources, Split
from splicedvae._core.layers import named_layers
from splicedvae._core.metrics import METRICS
from splicedvae.cli._options import pairs_of
from splicedvae.cli._training import velocity_apart
from splicedvae.pipeline import execute
from splicedvae.report import write_report
from splicedvae.runs import Run, RunConfig
from splicedvae.runs.edit import prepare_folder
from splicedvae.velocity import VelocitySettings
from splicedvae.views import command_line, python_call, stream_cautions

#: A name that breaks out of HTML, of scripts and of plotly's templates if nothing holds it.
HOSTILE = "</script><img src=x onerror=alert(1)>%{x}$y$"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    cells = datasets.simulate(n_cells=300, n_genes=80, mean_depth=600, seed=3)
    cells.obs[Obs.CLUSTERS] = cells.obs[Obs.CLUSTERS].cat.rename_categories({"Fate A": HOSTILE})
    cells.write_h5ad(folder / "cells.h5ad")
    totals = cells[:120].copy()
    for name in named_layers(totals):
        del totals.layers[name]
    totals.write_h5ad(folder / "totals only.h5ad")
    return folder


def train(folder: Path, name: str, **settings: object) -> Run:
    data = folder / "cells.h5ad"
    config = RunConfig(
        data=str(data),
        data_sha256=io.sha256(data),
        name=f"{name} & <co>",
        cluster_key=Obs.CLUSTERS,
        n_top_genes=None,
        max_epochs=2,
        n_latent=4,
        **settings,
    )
    return execute(config, folder / name)


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    return train(folder, "trained")


@pytest.fixture(scope="module")
def refused(folder: Path) -> Run:
    """So strong a shrinkage that no ratio varies within a gene."""
    return train(folder, "refused", held_out=0.1, ratio_shrinkage=1e9, learning_rate=1e-9)


@pytest.fixture(scope="module")
def predicted(folder: Path, run: Run) -> Run:
    data = folder / "totals only.h5ad"
    config = RunConfig(
        data=str(data),
        data_sha256=io.sha256(data),
        name="predicted",
        kind="predict",
        model_run=str(run.path),
    )
    return execute(config, folder / "predicted")


@pytest.fixture(scope="module")
def page(run: Run, folder: Path) -> str:
    return write_report(run, folder / "report.html").read_text(encoding="utf-8")


class Texts(html.parser.HTMLParser):
    """Collect what a browser would see: tags and the text outside of scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside not in {"script", "style"}:
            self.text.append(data)


def parse(page: str) -> tuple[list[tuple[str, dict[str, str | None]]], str]:
    parser = Texts()
    parser.feed(page)
    return parser.tags, " ".join(" ".join(parser.text).split())


def test_the_report_needs_nothing_but_itself(page: str) -> None:
    tags, _ = parse(page)
    for tag, attributes in tags:
        for name in ("src", "href", "action"):
            target = attributes.get(name) or "#"
            assert target.startswith(("#", "data:")), (tag, target)
    policy = next(a["content"] for tag, a in tags if a.get("http-equiv"))
    assert policy is not None
    assert "default-src 'none'" in policy
    # plotly.js once, and a drawing for each figure.
    assert page.count("plotly.js v") == 1
    assert sum(tag == "figure" for tag, _ in tags) == page.count("Plotly.newPlot(") >= 9


def test_names_from_data_stay_text(page: str, run: Run) -> None:
    tags, text = parse(page)
    assert not any("onerror" in attributes for _, attributes in tags)
    assert not any(tag == "img" for tag, _ in tags)
    assert HOSTILE in text
    assert "trained & <co>" in text


def test_the_report_says_what_the_run_holds(page: str, run: Run, folder: Path) -> None:
    _, text = parse(page)
    assert "cells.h5ad" in text
    assert str(folder) not in page
    assert run.config.data_sha256 in text
    assert run.id in text
    assert str(run.provenance["packages"]["torch"]) in text
    for note in run.notes:
        assert note in text
    for source in (Sources.MEASURED, Sources.SPLICEDVAE, Sources.SCVI, Sources.TRUE):
        assert Sources.LABELS[source] in text
    rmse = run.metrics.query(
        "predictor == 'splicedvae' and metric == 'rmse' and coverage == 1"
    ).iloc[0]
    row = re.search(r"RMSE, n ≥ 1 ([\d.]+ )+", text)
    assert row is not None
    assert f"{rmse['value']:.4f}" in row[0]
    assert f"{rmse['ceiling']:.4f}" in row[0]


def test_figures_are_described_for_those_who_cannot_see_them(page: str) -> None:
    tags, _ = parse(page)
    told = [attributes["aria-label"] for tag, attributes in tags if attributes.get("role") == "img"]
    assert len(told) >= 9
    assert all(sentence and sentence.endswith(".") for sentence in told)


def test_a_refused_velocity_is_told_with_its_reason(refused: Run, folder: Path) -> None:
    account = refused.velocity_account
    assert account[Sources.SPLICEDVAE]["state"] == "refused"
    reason = account[Sources.SPLICEDVAE]["message"]
    _, text = parse(write_report(refused, folder / "refused.html").read_text(encoding="utf-8"))
    assert reason in text
    figure = views.stream_figure(refused)
    assert reason in plotting.alt_text(figure)
    lines = {trace.xaxis for trace in figure.data if trace.mode == "lines"}
    # Measured and true, the first and the fourth panel.
    assert lines == {"x", "x4"}
    table = views.velocity_table(refused).set_index("source")
    assert table.loc["SplicedVAE", "state"] == "refused"
    assert reason in table.loc["SplicedVAE", "remarks"]


def test_a_refused_velocity_has_no_confidence(refused: Run) -> None:
    figure = views.stream_figure(refused, [Sources.MEASURED, Sources.SPLICEDVAE], Obs.CONFIDENCE)
    drawn = {trace.xaxis for trace in figure.data if len(trace.x) and trace.marker.coloraxis}
    assert drawn == {"x"}


def test_a_prediction_without_measured_counts_is_reported(predicted: Run, folder: Path) -> None:
    page = write_report(predicted, folder / "predicted.html").read_text(encoding="utf-8")
    _, text = parse(page)
    assert "the prediction cannot be checked here" in text
    assert "No table: " in text
    assert "Not drawn: " in text
    assert str(folder) not in page
    assert views.predictors(predicted) == ()
    with pytest.raises(DataError, match="no spliced and unspliced"):
        views.ratio_density(predicted, Sources.SPLICEDVAE)
    first, second = command_line(predicted).split("\n")
    assert parsed(first)["data"].name == "totals only.h5ad"
    assert parsed(first)["name"] == "trained"
    assert parsed(second)["data"] == parsed(first)["out"]


def test_page_and_report_list_the_same_cautions(run: Run, page: str) -> None:
    said = stream_cautions(run)
    assert any("cells were used in training" in sentence for sentence in said)
    assert any(sentence.startswith("Smoothness") for sentence in said)
    _, text = parse(page)
    assert all(sentence in text for sentence in said)


def asked_for(folder: Path, config: RunConfig) -> Run:
    folder.mkdir()
    prepare_folder(folder, config)
    return Run(folder)


def parsed(command: str) -> dict[str, Any]:
    """What the command line understands, without doing it."""
    program, name, *words = shlex.split(command)
    assert program == "splicedvae"
    group = typer.main.get_command(cli.app)
    return group.commands[name].make_context(name, words).params


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {
            "name": 'it\'s; a "run" $x',
            "cluster_key": None,
            "n_top_genes": None,
            "seed": 7,
            "velocity": VelocitySettings(mode="deterministic", n_neighbors=12, seed=7),
        },
        {"n_top_genes": 300, "min_shared_counts": 0, "seed": 7},
        {
            "seed": 7,
            "velocity": VelocitySettings(
                n_top_genes=None, min_shared_counts=0, n_pcs=7, seed=0, n_jobs=1
            ),
        },
        {
            "cluster_key": "cell type",
            "counts": "exonic",
            "held_out": 0.3,
            "ratio_likelihood": "beta-binomial",
            "ratio_weight": 2.5,
            "learning_rate": 1e-4,
            "spliced_layer": "matrix, spliced",
            "max_epochs": 3,
            "fold": 1,
            "split_by": "donor",
            "min_cells": 4,
            "transitions": (("Ngn3 low EP", "Beta"), ("Beta", "it's")),
        },
    ],
)
def test_the_command_of_a_report_asks_for_the_same_run(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    config = RunConfig(**{"data": "/x/cells.h5ad", "data_sha256": "0" * 64, "name": "n"} | settings)
    command = command_line(asked_for(tmp_path / "asked", config))
    assert "/x/" not in command
    asked = parsed(command)
    assert asked["data"] == Path("cells.h5ad")
    for name, value in config.to_dict().items():
        if name in {"data", "data_sha256", "kind", "model_run", "orthologs", "velocity"}:
            continue
        understood = asked[name] or None if name in {"cluster_key", "n_top_genes"} else asked[name]
        if name == "transitions":
            understood = [list(pair) for pair in pairs_of(understood)]
        assert understood == value, name
    shared = {"mode": asked["velocity_mode"], "n_neighbors": asked["n_neighbors"]}
    apart = [asked[f"velocity_{name}"] for name in ("genes", "min_counts", "seed")]
    understood = config.with_velocity(**shared, n_pcs=asked["n_pcs"], **velocity_apart(*apart))
    assert understood.velocity == config.velocity


@pytest.mark.parametrize(
    "settings",
    [
        VelocitySettings(),
        VelocitySettings("stochastic", None, min_shared_counts=0, n_pcs=7, n_neighbors=9, seed=4),
    ],
)
def test_the_commands_of_a_prediction_compute_its_velocity(
    tmp_path: Path, settings: VelocitySettings
) -> None:
    config = RunConfig(
        "totals.h5ad", "0" * 64, "n", kind="predict", model_run="trained", velocity=settings
    )
    _, second = command_line(asked_for(tmp_path / "asked", config)).split("\n")
    asked = parsed(second)
    names = ("mode", "n_neighbors", "n_pcs", "min_shared_counts", "seed")
    understood = {name: asked[name] for name in names}
    assert VelocitySettings(n_top_genes=asked["n_top_genes"] or None, **understood) == settings


def test_only_finished_runs_are_reported(run: Run, folder: Path) -> None:
    unfinished = folder / "unfinished"
    shutil.copytree(run.path, unfinished)
    status = json.loads((unfinished / "status.json").read_text(encoding="utf-8"))
    status.update(state="failed", message="The disk is full.")
    (unfinished / "status.json").write_text(json.dumps(status), encoding="utf-8")
    with pytest.raises(RunError, match="failed"):
        write_report(Run(unfinished), folder / "no.html")
    assert not (folder / "no.html").exists()


def test_a_report_goes_into_a_file(run: Run, folder: Path) -> None:
    for out in (folder, folder / "absent" / "report.html"):
        with pytest.raises(RunError, match="name a file"):
            write_report(run, out)


def test_dark_reports_have_light_ink(run: Run, folder: Path) -> None:
    page = write_report(run, folder / "dark.html", dark=True).read_text(encoding="utf-8")
    assert 'data-theme="dark"' in page
    assert plotting.template(dark=True).layout.font.color in page


def test_streams_take_lines_that_are_there(run: Run) -> None:
    sources = [Sources.SPLICEDVAE, Sources.MEASURED]
    lines = {source: views.stream_lines(run, source, density=0.5) for source in sources}
    figure = views.stream_figure(run, sources, lines=lines)
    drawn = [trace for trace in figure.data if trace.name == "stream lines"]
    for trace, source in zip(drawn, sources, strict=True):
        np.testing.assert_array_equal(trace.x, lines[source].x)
    again = views.stream_figure(run, sources, density=0.5)
    np.testing.assert_array_equal(again.data[-2].x, figure.data[-2].x)
    with pytest.raises(DataError, match="no velocity from nobody"):
        views.stream_figure(run, ["nobody"])


def test_cells_can_be_colored_by_everything_offered(run: Run) -> None:
    choices = views.color_choices(run)
    assert choices[0] == views.default_color(run) == Obs.CLUSTERS
    assert {Obs.SPLIT, views.CELL_DEPTH, Obs.TRUE_TIME, Obs.CONFIDENCE, Obs.LENGTH} <= set(choices)
    velocity = run.velocity(Sources.MEASURED)
    for choice in (*choices, run.predictions.var_names[0]):
        colors = views.cell_colors(run, choice, velocity)
        assert len(colors) == run.predictions.n_obs
    split = views.cell_colors(run, Obs.SPLIT)
    assert isinstance(split, plotting.Categories)
    assert split.names == (Split.TRAIN, Split.HELD_OUT)
    with pytest.raises(DataError, match="no column or gene 'nothing'"):
        views.cell_colors(run, "nothing")


def test_colors_by_a_gene_are_its_counts(run: Run) -> None:
    cells = run.predictions
    gene = str(cells.var_names[4])
    colors = views.cell_colors(run, gene)
    assert isinstance(colors, plotting.Values)
    dense = cells.X.toarray()
    expected = np.log1p(1e4 * dense[:, 4] / np.maximum(dense.sum(axis=1), 1))
    np.testing.assert_allclose(colors.values, expected, rtol=1e-6)


def test_latents_are_the_models_own_maps(run: Run) -> None:
    """SplicedVAE's as it is; scVI's turned and scaled as a whole, which keeps all shapes."""
    figure = views.latent_figure(run)
    for axis, key in (("x", Obsm.UMAP_LATENT), ("x2", Obsm.UMAP_LATENT_SCVI)):
        cells = [trace for trace in figure.data if trace.xaxis == axis]
        index = np.concatenate([trace.customdata for trace in cells])
        drawn = np.concatenate([np.column_stack([trace.x, trace.y]) for trace in cells])
        own = run.predictions.obsm[key][index]
        if key == Obsm.UMAP_LATENT:
            np.testing.assert_array_equal(drawn, own)
            continue
        apart, before = (
            np.linalg.norm(points - points[0], axis=1)[1:].astype(float) for points in (drawn, own)
        )
        np.testing.assert_allclose(apart / apart[0], before / before[0], rtol=1e-3)


@pytest.mark.parametrize("source", [Sources.SPLICEDVAE, Sources.GENE_MEAN])
def test_density_counts_held_out_entries_alone(run: Run, source: str) -> None:
    cells = run.predictions
    held_out = cells[(cells.obs[Obs.SPLIT] == Split.HELD_OUT).to_numpy()]
    spliced = held_out.layers[Layers.SPLICED].toarray().astype(float)
    counted = spliced + held_out.layers[Layers.UNSPLICED].toarray()
    density = views.ratio_density(run, source, coverage=3, n_bins=10)
    assert density.counts.sum() == (counted >= 3).sum()
    ratio = spliced[counted >= 3] / counted[counted >= 3]
    measured, _ = np.histogram(ratio, density.measured_edges)
    np.testing.assert_array_equal(density.counts.sum(axis=0), measured)
    assert f"{density.counts.sum():,} held-out entries" in str(density.caption)


def test_metrics_stand_beside_what_is_possible(run: Run) -> None:
    table = views.metrics_table(run)
    labels = [Sources.LABELS[name] for name in Sources.PREDICTORS]
    assert list(table.columns) == [*labels, views.BEST_POSSIBLE, views.N_VALUES]
    row = run.metrics.query("predictor == 'scvi' and metric == 'pearson' and coverage == 2").iloc[0]
    shown = table.loc["Pearson r, n ≥ 2"]
    assert shown["scVI + ratio head"] == f"{row['value']:.3f}"
    assert shown[views.BEST_POSSIBLE] == f"{row['ceiling']:.3f}"
    assert shown[views.N_VALUES] == f"{row['n']:,.0f}"
    velocity = views.metrics_table(run, about="velocity")
    assert {"known transitions (CBDir)", "cosine to the measured velocity, gene space"} <= set(
        velocity.index
    )
    latent = views.metrics_table(run, about="latent")
    assert "negative log-likelihood of expression per cell" in latent.index
    tables = [set(part.index) for part in (table, velocity, latent)]
    assert sum(map(len, tables)) == len(set.union(*tables))
    # Every metric has words of its own.
    assert set(run.metrics["metric"]) <= {one.key for one in METRICS}


def test_gain_runs_from_the_gene_mean_to_the_best_possible(run: Run) -> None:
    gain = views.gain_table(run)
    constant = gain[gain["predictor"] == Sources.GENE_MEAN]
    assert len(constant) == 8
    assert (constant["value"] == 0).all()
    at = {"predictor": Sources.KNN, "metric": "rmse", "coverage": 1}
    metrics = run.metrics.set_index(list(at))
    value, ceiling = metrics.loc[tuple(at.values()), ["value", "ceiling"]]
    mean = metrics.loc[(Sources.GENE_MEAN, "rmse", 1), "value"]
    found = gain.set_index(list(at)).loc[tuple(at.values()), "value"]
    assert found == pytest.approx((mean - value) / (mean - ceiling))


def test_clusters_add_up(run: Run) -> None:
    table = views.cluster_table(run)
    cells = run.predictions
    assert table["n_cells"].sum() == cells.n_obs
    assert table["held_out"].sum() == (cells.obs[Obs.SPLIT] == Split.HELD_OUT).sum()
    first = cells[(cells.obs[Obs.CLUSTERS] == table["cluster"][0]).to_numpy()]
    unspliced = first.layers[Layers.UNSPLICED].sum()
    share = unspliced / (unspliced + first.layers[Layers.SPLICED].sum())
    assert table["unspliced_fraction"][0] == pytest.approx(share, rel=1e-5)


def test_the_python_of_a_report_asks_for_the_same_run(run: Run, folder: Path) -> None:
    code = python_call(run).replace("run = execute(", "asked = (")
    scope: dict[str, object] = {}
    exec(compile(code, "report", "exec"), scope)
    config, _ = scope["asked"]  # type: ignore[misc]
    assert config.digest() == run.id
    assert config.data == "cells.h5ad"


def test_files_are_drawn_as_inspected(folder: Path) -> None:
    result = io.read(folder / "cells.h5ad")
    summary = triage.inspect(result, cluster_key=Obs.CLUSTERS)
    bars = views.data_unspliced_figure(summary).data[0]
    assert list(bars.x) == [row.unspliced_fraction for row in summary.clusters]
    depth = views.data_depth_figure(summary).data[0]
    assert depth.y.sum() == result.adata.n_obs
    fraction = views.data_fraction_figure(summary)
    assert fraction.layout.xaxis.tickformat == ".0%"
    bare = triage.inspect(io.read(folder / "totals only.h5ad"))
    for draw in (views.data_unspliced_figure, views.data_fraction_figure):
        with pytest.raises(DataError, match="no spliced and unspliced"):
            draw(bare)


@pytest.mark.browser
def test_the_report_opens_without_a_network(page: str, folder: Path, browser: Any) -> None:
    context = browser.new_context(offline=True, viewport={"width": 1300, "height": 900})
    tab = context.new_page()
    faults: list[str] = []
    asked: list[str] = []
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    tab.on("dialog", lambda dialog: faults.append("a name from the data was executed"))
    tab.on("request", lambda request: asked.append(request.url.split(":")[0]))
    tab.goto((folder / "report.html").as_uri())
    tab.wait_for_function(
        "document.querySelectorAll('.js-plotly-plot .main-svg').length >= "
        "document.querySelectorAll('figure').length",
        timeout=60_000,
    )
    assert faults == []
    assert set(asked) <= {"file", "data", "blob"}
    # The page is not wider than the window, and the legend shows the name itself.
    assert tab.evaluate("document.documentElement.scrollWidth") <= 1300
    legend = tab.locator("#figure-streams .legendtext").all_text_contents()
    assert plotting.shorten(HOSTILE) in legend
    # One camera: zooming the first panel moves the last.
    ranges = tab.evaluate(
        """async () => {
            const plot = document.getElementById("figure-streams");
            await Plotly.relayout(plot, {"xaxis.range": [0, 2], "yaxis.range": [0, 2]});
            return ["xaxis", "xaxis2", "xaxis4"].map(name => plot._fullLayout[name].range);
        }"""
    )
    for other in ranges[1:]:
        assert other == pytest.approx(ranges[0])
    context.close()
