"""The command that evaluates all predictors over several seeds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from splicedvae._core.keys import Design, Sources
from splicedvae._core.metrics import metric_of
from splicedvae._core.settings import RunFields, VelocityFields
from splicedvae.cli._options import (
    VELOCITY,
    AmbiguousLayer,
    AmbiguousPlace,
    ClusterKey,
    DataFile,
    SplicedLayer,
    Total,
    Transitions,
    UnsplicedLayer,
    pairs_of,
    takes,
)
from splicedvae.cli._output import Json, escape, exit_on_error, print_json, stderr, stdout
from splicedvae.cli._progress import run_progress

if TYPE_CHECKING:
    from splicedvae.benchmark import Benchmark
    from splicedvae.runs import Status

#: Rows of the table a person sees: metric and coverage.
_SHOWN = (
    ("rmse", 1),
    ("pearson", 1),
    ("skill", 1),
    ("within_gene_r_by_cluster", 1),
    ("calibration_error", 1),
    ("interval_coverage", 5),
    ("expression_nll", 1),
    ("velocity_cosine_genes", 1),
    ("velocity_cosine_genes_equal", 1),
    ("velocity_cosine_umap", 1),
    ("velocity_effective_genes", 1),
    ("cbdir", 1),
    ("velocity_cosine_genes_true", 1),
    ("time_order", 1),
)


@exit_on_error
@takes(
    "settings",
    RunFields,
    {None: ("min_cells", "min_shared_counts", "n_top_genes", "max_epochs")},
)
@takes("velocity", VelocityFields, {VELOCITY: ("mode",)}, renamed={"mode": "velocity_mode"})
def benchmark(
    *,
    data: DataFile,
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Folder to create.", show_default=False)
    ],
    design: Annotated[
        Design,
        typer.Option(
            help="Which cells are held out: a fifth of the cells, all fifths in turn, both halves "
            "in turn (for velocities), whole groups in turn, or another file."
        ),
    ] = "cells",
    seeds: Annotated[int, typer.Option(help="How many seeds, counted from --first-seed.")] = 5,
    first_seed: Annotated[int, typer.Option(help="First seed.")] = 0,
    test: Annotated[
        Path | None, typer.Option(help="The other file, for --design transfer.")
    ] = None,
    split_by: Annotated[
        str | None,
        typer.Option(help="Column of obs with the groups, for --design groups."),
    ] = None,
    transitions: Transitions = None,
    total: Total = None,
    spliced_layer: SplicedLayer = None,
    unspliced_layer: UnsplicedLayer = None,
    ambiguous_layer: AmbiguousLayer = None,
    ambiguous: AmbiguousPlace = None,
    cluster_key: ClusterKey = None,
    settings: dict[str, Any],
    velocity: dict[str, Any],
    keep_runs: Annotated[
        bool, typer.Option(help="Keep the run folders, for the dashboard.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Evaluate SplicedVAE, scVI and every baseline over several seeds, with spreads and ceilings.

    Writes metrics.csv (tidy, a row per run and metric), summary.json (means, spreads, differences)
    and figure.html. After an interruption, the same command resumes.

    [bold]Examples[/bold]

    splicedvae benchmark cells.h5ad --out judged --seeds 5

    splicedvae benchmark cells.h5ad --out judged --design halves --transitions "A>B"

    splicedvae benchmark cells.h5ad --out judged --design groups --split-by donor

    splicedvae benchmark cells.h5ad --out judged --design transfer --test other.h5ad
    """
    from splicedvae import triage
    from splicedvae.benchmark import run
    from splicedvae.io import gate

    console = stderr()
    if cluster_key is None:
        with console.status(f"reading {escape(data.name)}"):
            found = triage.cluster_candidates(gate.read(data).adata)
        cluster_key = found[0] if found else None
        if cluster_key is not None:
            console.print(
                f"Cell groups are taken from obs column {escape(cluster_key)}; --cluster-key names "
                "another."
            )
    last = -1
    with run_progress() as show:

        def progress(number: int, of: int, status: Status) -> None:
            nonlocal last
            if number != last:
                last = number
                console.print(f"run {number + 1} of {of}")
            show(status)

        result = run(
            data,
            out,
            design=design,
            seeds=range(first_seed, first_seed + seeds),
            split_by=split_by,
            test=test,
            keep_runs=keep_runs,
            progress=progress,
            total=total,
            spliced_layer=spliced_layer,
            unspliced_layer=unspliced_layer,
            ambiguous_layer=ambiguous_layer,
            ambiguous=ambiguous,
            cluster_key=cluster_key or None,
            transitions=pairs_of(transitions),
            velocity=velocity,
            **settings,
        )
    if as_json:
        print_json(result.to_dict())
        return
    _print(result)
    console.print(f"Full table: {escape(out / 'metrics.csv')}")


def _print(result: Benchmark) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    summary = result.summary
    names = (*Sources.PREDICTORS, Sources.SHUFFLED, Sources.MEASURED)
    shown = [name for name in names if name in set(summary["predictor"])]
    table = Table(
        title=f"Mean ± standard deviation over {int(summary['n_runs'].max())} runs",
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=0,
    )
    table.add_column("")
    for name in shown:
        table.add_column(Sources.LABELS[name], justify="right")
    table.add_column("ceiling", justify="right")
    for key, coverage in _SHOWN:
        rows = summary[(summary["metric"] == key) & (summary["coverage"] == coverage)]
        if rows.empty:
            continue
        by_name = rows.set_index("predictor").to_dict(orient="index")
        label, digits = metric_of(key).at(coverage), metric_of(key).digits
        cells = [_written(by_name.get(name), digits) for name in shown]
        ceiling = rows["ceiling"].max()
        table.add_row(label, *cells, f"{ceiling:.{digits}f}" if ceiling == ceiling else "")
    stdout().print(table)


def _written(row: dict[Any, Any] | None, digits: int) -> str:
    if row is None or row["mean"] != row["mean"]:
        return ""
    spread = f"\n± {row['sd']:.{digits}f}" if row["sd"] == row["sd"] else ""
    return f"{row['mean']:.{digits}f}{spread}"
