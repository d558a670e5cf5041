"""Commands that train both models, and that show how well they predict."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from splicedvae._core.errors import RunError
from splicedvae._core.keys import Sources
from splicedvae._core.metrics import metric_of
from splicedvae._core.settings import RunFields, VelocityFields
from splicedvae.cli._options import (
    VELOCITY,
    AmbiguousLayer,
    AmbiguousPlace,
    BatchKey,
    ClusterKey,
    DataFile,
    HowCounted,
    Overwrite,
    RunName,
    SplicedLayer,
    Total,
    Transitions,
    UnsplicedLayer,
    pairs_of,
    takes,
)
from splicedvae.cli._output import (
    Json,
    escape,
    exit_on_error,
    number,
    print_json,
    quiet_models,
    stderr,
    stdout,
)
from splicedvae.cli._progress import run_progress

if TYPE_CHECKING:
    import pandas as pd

    from splicedvae.runs import Run

#: Settings of a run that `train` takes as they are, by panel of its help.
_SETTINGS = {
    "Cells and genes": (
        "held_out",
        "fold",
        "split_by",
        "min_shared_counts",
        "min_cells",
        "n_top_genes",
    ),
    "Model and training": (
        "max_epochs",
        "batch_size",
        "n_latent",
        "ratio_likelihood",
        "ratio_head",
        "ratio_weight",
        "ratio_shrinkage",
        "learning_rate",
        "seed",
    ),
}


@exit_on_error
@takes("settings", RunFields, _SETTINGS)
@takes(
    "velocity",
    VelocityFields,
    {VELOCITY: ("mode", "n_neighbors", "n_pcs")},
    renamed={"mode": "velocity_mode"},
)
def train(
    *,
    data: DataFile,
    out: Annotated[
        Path, typer.Option(metavar="RUN", help="Run folder to create.", show_default=False)
    ],
    name: Annotated[str | None, typer.Option(help="Display name of the run.")] = None,
    total: Total = None,
    spliced_layer: SplicedLayer = None,
    unspliced_layer: UnsplicedLayer = None,
    ambiguous_layer: AmbiguousLayer = None,
    ambiguous: AmbiguousPlace = None,
    counts: HowCounted = None,
    cluster_key: ClusterKey = None,
    batch_key: BatchKey = None,
    settings: dict[str, Any],
    transitions: Transitions = None,
    velocity: dict[str, Any],
    velocity_genes: Annotated[
        int | None,
        typer.Option(
            help="Number of highly variable genes of the model to use for velocities, 0 for "
            "all; as --n-top-genes if not given.",
            rich_help_panel=VELOCITY,
        ),
    ] = None,
    velocity_min_counts: Annotated[
        int | None,
        typer.Option(
            help="Minimum counts of a gene in cells with both its layers; as "
            "--min-shared-counts if not given.",
            rich_help_panel=VELOCITY,
        ),
    ] = None,
    velocity_seed: Annotated[
        int | None,
        typer.Option(
            help="Seed of neighbors and embedding; as --seed if not given.",
            rich_help_panel=VELOCITY,
        ),
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Train SplicedVAE and scVI on a file with S/U, evaluate both, compute velocities.

    Cells are held out first; genes are selected on the others. The run folder then holds the
    models, predictions for all cells from totals alone, metrics with baselines and noise
    ceilings on held-out cells, and the velocities.

    [bold]Examples[/bold]

    splicedvae train cells.h5ad --out run

    splicedvae train cells.h5ad --out run --cluster-key celltype --max-epochs 100

    splicedvae report run --out report.html
    """
    from splicedvae import triage
    from splicedvae._core.labels import batch_labels
    from splicedvae._core.messages import keeping
    from splicedvae.io import gate
    from splicedvae.jobs import estimate
    from splicedvae.pipeline import execute
    from splicedvae.runs import RunConfig, need_layers

    earlier = _earlier(out, overwrite=overwrite)
    console = stderr()
    with console.status(f"reading {escape(data.name)}"):
        result = gate.read(
            data,
            total=total,
            spliced_layer=spliced_layer,
            unspliced_layer=unspliced_layer,
            ambiguous_layer=ambiguous_layer,
            ambiguous=ambiguous,
        )
        # Before there is a folder.
        with keeping(result.notes):
            need_layers(result.has_measured_layers)
        if batch_key and batch_key in result.adata.obs:
            batch_labels(result.adata.obs[batch_key])
        if cluster_key is None:
            candidates = triage.cluster_candidates(result.adata)
            cluster_key = candidates[0] if candidates else None
            if cluster_key is not None:
                console.print(
                    f"Cell groups are taken from obs column {escape(cluster_key)}; --cluster-key "
                    "names another."
                )
    config = RunConfig(
        kind="train",
        data=str(data.absolute()),
        data_sha256=result.sha256,
        name=name or result.name,
        total=total,
        spliced_layer=spliced_layer,
        unspliced_layer=unspliced_layer,
        ambiguous_layer=ambiguous_layer,
        ambiguous=ambiguous,
        cluster_key=cluster_key or None,
        batch_key=batch_key or None,
        counts=counts or result.counts or "with-introns",
        transitions=pairs_of(transitions),
        **settings,
    ).with_velocity(
        **velocity,
        **velocity_apart(velocity_genes, velocity_min_counts, velocity_seed),
    )
    expected = estimate(config, n_cells=result.adata.n_obs, n_genes=result.adata.n_vars)
    del result
    if expected is not None:
        console.print(f"Takes {expected}.")
    if earlier:
        shutil.rmtree(out)
    with run_progress() as progress:
        run = execute(config, out, progress=progress)
    if as_json:
        print_json(run_as_json(run))
        return
    for note in run.notes:
        console.print(f"- {escape(note)}")
    _print_metrics(run.metrics)
    _print_velocities(run)
    console.print(f"Next: splicedvae report {escape(out)} --out report.html")


@exit_on_error
def evaluate(
    run: RunName,
    data: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DATA]",
            help="Another file with S/U. If not given, the metrics of the run's own held-out "
            "cells.",
        ),
    ] = None,
    total: Total = None,
    spliced_layer: SplicedLayer = None,
    unspliced_layer: UnsplicedLayer = None,
    ambiguous_layer: AmbiguousLayer = None,
    ambiguous: AmbiguousPlace = None,
    cluster_key: ClusterKey = None,
    batch_key: BatchKey = None,
    as_json: Json = False,
) -> None:
    """Show how well a run predicts: its own held-out cells, or another file with S/U.

    The table also has scVI with the same ratio head, a ridge regression, nearest neighbors, the
    means of genes and groups, and the noise ceiling.

    [bold]Examples[/bold]

    splicedvae evaluate run

    splicedvae evaluate run other_experiment.h5ad --json > metrics.json
    """
    from splicedvae.runs import open_run

    found = open_run(run)
    notes: list[str] = []
    if data is None:
        metrics = found.metrics
    else:
        from splicedvae.io import gate
        from splicedvae.pipeline import evaluate_on

        result = gate.read(
            data,
            total=total,
            spliced_layer=spliced_layer,
            unspliced_layer=unspliced_layer,
            ambiguous_layer=ambiguous_layer,
            ambiguous=ambiguous,
        )
        with quiet_models():
            metrics, notes = evaluate_on(
                found, result, batch_key=batch_key, cluster_key=cluster_key or None
            )
    if as_json:
        print_json({"run": found.id, "metrics": metrics.to_dict(orient="records"), "notes": notes})
        return
    for note in notes:
        stderr().print(f"- {escape(note)}")
    if data is None:
        _print_metrics(metrics)
        _print_velocities(found)
    else:
        _print_metrics(metrics, f"On {escape(result.name)}")


def velocity_apart(
    genes: int | None, counts: int | None, seed: int | None
) -> dict[str, int | None]:
    """Return the velocity settings that were given separately from the run's.

    Parameters
    ----------
    genes
        Number of genes, 0 for all.
    counts
        Minimum counts of a gene.
    seed
        Seed of neighbors and embedding.

    Returns
    -------
    Those that are not None, for `splicedvae.runs.RunConfig.with_velocity`.
    """
    settings: dict[str, int | None] = {}
    if genes is not None:
        settings["n_top_genes"] = genes or None
    if counts is not None:
        settings["min_shared_counts"] = counts
    if seed is not None:
        settings["seed"] = seed
    return settings


def _earlier(out: Path, *, overwrite: bool) -> bool:
    """Return whether an earlier run is to be removed; nothing else ever is.

    Raises
    ------
    RunError
        If a run is there and must not be overwritten, or is running.
    """
    from splicedvae.runs import Run

    if not overwrite or not out.exists() or not any(out.iterdir()):
        if out.exists() and (out / "config.json").exists():
            raise RunError(
                f"The folder {out.name!r} holds a run: choose another name or give --overwrite."
            )
        return False
    if not Run(out).status.is_final:
        raise RunError(
            f"The run in {out.name!r} is still running: wait until it has finished, or stop it."
        )
    return True


def print_results(run: Run) -> None:
    """Print the metrics of a finished training and how its velocities were computed."""
    _print_metrics(run.metrics)
    _print_velocities(run)


def run_as_json(run: Run) -> dict[str, Any]:
    """Return a finished training as the command prints it with ``--json``."""
    from splicedvae import views

    return {
        "run": str(run.path),
        "id": run.id,
        "name": run.name,
        "state": run.status.state,
        "metrics": run.metrics.to_dict(orient="records"),
        "velocity": run.velocity_account,
        "verdicts": {
            source: {
                "answer": found.answer,
                "grounds": [dataclasses.asdict(ground) for ground in found.reasons],
            }
            for source, found in views.verdicts(run).items()
        },
        "notes": list(run.notes),
    }


#: Signs of the grounds of a verdict.
_MARKS = {"against": "-", "caution": "!", "unknown": "?", "for": "+"}
#: Rows of the table a person sees: metric and coverage.
_SHOWN = (
    ("rmse", 1),
    ("rmse", 5),
    ("pearson", 1),
    ("pearson", 5),
    ("skill", 1),
    ("within_gene_r_by_cluster", 1),
    ("velocity_cosine_genes", 1),
    ("velocity_cosine_genes_equal", 1),
    ("velocity_cosine_umap", 1),
)


def _print_metrics(metrics: pd.DataFrame, title: str = "On held-out cells") -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    shown = [one for one in Sources.ALL if one.predicts and one.key in set(metrics["predictor"])]
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=0)
    table.add_column("")
    for one in shown:
        table.add_column(one.narrow, justify="right")
    table.add_column("ceiling", justify="right")
    for key, coverage in _SHOWN:
        rows = metrics[(metrics["metric"] == key) & (metrics["coverage"] == coverage)]
        values = rows.set_index("predictor")["value"]
        if not {one.key for one in shown} & set(values.index):
            continue
        cells = [number(values.get(one.key)) for one in shown]
        table.add_row(metric_of(key).at(coverage), *cells, number(rows["ceiling"].max()))
    stdout().print(table)


def _print_velocities(run: Run) -> None:
    from splicedvae import views

    console = stdout()
    for source, found in views.verdicts(run).items():
        label = Sources.LABELS.get(source, source)
        console.print(f"velocity, {label}: [bold]{escape(found.answer)}[/bold]")
        for ground in found.reasons:
            console.print(f"  {_MARKS[ground.weight]} {escape(ground.sentence)}")
        if not found.reasons:
            console.print(f"  {escape(found.sentence)}")
        for sentence in run.velocity_account[source].get("fallbacks", ()):
            console.print(f"  [yellow]! {escape(sentence)}[/yellow]")
