"""Commands that train both models, and that show how well they predict."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from splicedvae._core.errors import RunError
from splicedvae._core.keys import HeadKind, RatioLikelihood, Sources
from splicedvae._core.metrics import metric_of
from splicedvae.cli._options import (
    AmbiguousLayer,
    AmbiguousPlace,
    BatchKey,
    ClusterKey,
    Components,
    DataFile,
    HowCounted,
    Mode,
    Neighbors,
    Overwrite,
    RunName,
    SplicedLayer,
    Total,
    Transitions,
    UnsplicedLayer,
    pairs_of,
)
from splicedvae.cli._output import (
    Json,
    escape,
    number,
    print_json,
    quiet_models,
    stderr,
    stdout,
    told,
)
from splicedvae.cli._progress import run_progress

if TYPE_CHECKING:
    import pandas as pd

    from splicedvae.runs import Run

_MODEL = "Model and training"
_CELLS = "Cells and genes"


@told
def train(
    data: DataFile,
    out: Annotated[
        Path, typer.Option(metavar="RUN", help="Run folder to make.", show_default=False)
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
    held_out: Annotated[
        float,
        typer.Option(
            help="Share of the cells kept out of everything fitted.", rich_help_panel=_CELLS
        ),
    ] = 0.2,
    fold: Annotated[
        int,
        typer.Option(
            help="Which share: each fold of a seed holds out other cells.", rich_help_panel=_CELLS
        ),
    ] = 0,
    split_by: Annotated[
        str | None,
        typer.Option(
            help="Column of obs (batch, donor, species): hold out the group that --fold counts "
            "to, as a whole.",
            rich_help_panel=_CELLS,
        ),
    ] = None,
    transitions: Transitions = None,
    min_shared_counts: Annotated[
        int,
        typer.Option(
            help="Counts a gene needs in training cells that have both its spliced and "
            "unspliced ones.",
            rich_help_panel=_CELLS,
        ),
    ] = 20,
    min_cells: Annotated[
        int,
        typer.Option(
            help="Training cells in which each layer must have a molecule of a gene.",
            rich_help_panel=_CELLS,
        ),
    ] = 0,
    n_top_genes: Annotated[
        int,
        typer.Option(
            help="Most variable genes to model; 0 for all that pass.", rich_help_panel=_CELLS
        ),
    ] = 2000,
    max_epochs: Annotated[
        int | None,
        typer.Option(
            help="Passes over the training cells, for both models; if not given 100, fewer above "
            "20,000 cells.",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Cells in a step.", rich_help_panel=_MODEL)] = 128,
    n_latent: Annotated[int, typer.Option(help="Latent dimensions.", rich_help_panel=_MODEL)] = 10,
    ratio_likelihood: Annotated[
        RatioLikelihood,
        typer.Option(help="Likelihood of S given S + U.", rich_help_panel=_MODEL),
    ] = "binomial",
    ratio_head: Annotated[
        HeadKind,
        typer.Option(help="Decoder of the ratio.", rich_help_panel=_MODEL),
    ] = "linear",
    ratio_weight: Annotated[
        float | None,
        typer.Option(
            help="Weight of the ratio's loss; the model's default if not given.",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    ratio_shrinkage: Annotated[
        float | None,
        typer.Option(
            help="Pull of each gene to its mean ratio; learned from the data if not given.",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            help="Step size of the optimiser; 0.006 if not given.", rich_help_panel=_MODEL
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Seed of split, training and maps.", rich_help_panel=_MODEL)
    ] = 0,
    velocity_mode: Mode = "balanced",
    n_neighbors: Neighbors = 30,
    n_pcs: Components = 30,
    velocity_genes: Annotated[
        int | None,
        typer.Option(
            help="Most variable of the model's genes to use for velocities, 0 for all; as "
            "--n-top-genes if not given.",
            rich_help_panel="Velocity",
        ),
    ] = None,
    velocity_min_counts: Annotated[
        int | None,
        typer.Option(
            help="Counts a gene needs in cells with both its layers; as --min-shared-counts if "
            "not given.",
            rich_help_panel="Velocity",
        ),
    ] = None,
    velocity_seed: Annotated[
        int | None,
        typer.Option(
            help="Seed of neighbours and map; as --seed if not given.", rich_help_panel="Velocity"
        ),
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Train SplicedVAE and scVI on a file with S/U, evaluate both, compute velocities.

    Cells are held out first; genes are chosen on the others. The run folder then holds the
    models, predictions for all cells from totals alone, metrics with baselines and noise
    ceilings on held-out cells, and the velocities.

    [bold]Examples[/bold]

    splicedvae train cells.h5ad --out run

    splicedvae train cells.h5ad --out run --cluster-key celltype --max-epochs 100

    splicedvae report run --out report.html
    """
    from splicedvae import io, triage
    from splicedvae._core.labels import batch_labels
    from splicedvae._core.messages import keeping
    from splicedvae.jobs import estimate
    from splicedvae.pipeline import execute
    from splicedvae.runs import RunConfig, need_layers

    earlier = _earlier(out, overwrite=overwrite)
    console = stderr()
    with console.status(f"reading {escape(data.name)}"):
        result = io.read(
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
        held_out=held_out,
        fold=fold,
        split_by=split_by,
        transitions=pairs_of(transitions),
        min_shared_counts=min_shared_counts,
        min_cells=min_cells,
        n_top_genes=n_top_genes or None,
        max_epochs=max_epochs,
        batch_size=batch_size,
        n_latent=n_latent,
        ratio_likelihood=ratio_likelihood,
        ratio_head=ratio_head,
        ratio_weight=ratio_weight,
        ratio_shrinkage=ratio_shrinkage,
        learning_rate=learning_rate,
        seed=seed,
    ).with_velocity(
        mode=velocity_mode,
        n_neighbors=n_neighbors,
        n_pcs=n_pcs,
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


@told
def evaluate(
    run: RunName,
    data: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DATA]",
            help="Another file with S/U. Without it, the run's own held-out cells are shown.",
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

    Each number stands beside scVI with the same ratio head, a ridge regression, nearest
    neighbours, the means of genes and groups, and the ceiling that sampling noise sets.

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
        from splicedvae import io
        from splicedvae.pipeline import evaluate_on

        result = io.read(
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
    """Return the settings of the velocity that were asked for apart from the run's.

    Parameters
    ----------
    genes
        How many, 0 for all.
    counts
        How many a gene needs.
    seed
        Seed of neighbours and map.

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
    """Say whether an earlier run is to be removed; nothing else ever is.

    Raises
    ------
    RunError
        If a run is there and was not to be overwritten, or is at work.
    """
    from splicedvae.runs import Run

    if not overwrite or not out.exists() or not any(out.iterdir()):
        if out.exists() and (out / "config.json").exists():
            raise RunError(
                f"The folder {out.name!r} holds a run already: choose another name or give "
                "--overwrite."
            )
        return False
    if not Run(out).status.is_final:
        raise RunError(f"The run in {out.name!r} is at work: wait for its end or stop it.")
    return True


def print_results(run: Run) -> None:
    """Print the metrics of a finished training and how its velocities came about."""
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
