"""Commands about data: simulate a file, inspect a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from splicedvae._core.layers import drop_layers
from splicedvae.cli._options import (
    AmbiguousLayer,
    AmbiguousPlace,
    BatchKey,
    ClusterKey,
    DataFile,
    Overwrite,
    SplicedLayer,
    Total,
    UnsplicedLayer,
)
from splicedvae.cli._output import (
    Json,
    escape,
    exit_on_error,
    number,
    output_file,
    print_json,
    quiet_models,
    stderr,
    stdout,
    write_h5ad,
)

if TYPE_CHECKING:
    from anndata import AnnData

    from splicedvae.triage import DataSummary

#: Asks for the model that fits a file best.
BEST = "best"
Topology = Literal["linear", "bifurcation", "trifurcation", "tree", "cycle"]


@exit_on_error
def simulate(
    out: Annotated[Path, typer.Option(help="File to write, .h5ad.", show_default=False)],
    n_cells: Annotated[int, typer.Option(help="Cells.", min=1)] = 2000,
    n_genes: Annotated[int, typer.Option(help="Genes.", min=1)] = 300,
    topology: Annotated[Topology, typer.Option(help="Shape of the lineage.")] = "bifurcation",
    n_batches: Annotated[int, typer.Option(help="Batches.", min=1)] = 1,
    totals_only: Annotated[
        bool,
        typer.Option("--totals-only", help="Leave out S/U and the true values."),
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed.", min=0)] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Simulate branching differentiation with splicing kinetics and known velocity.

    The file has total, spliced and unspliced counts, clusters, and the true velocity, splicing
    ratio and time.

    [bold]Examples[/bold]

    splicedvae simulate --out cells.h5ad

    splicedvae simulate --out new.h5ad --totals-only --seed 1
    """
    output_file(out, ".h5ad", overwrite=overwrite)
    from splicedvae import datasets

    adata = datasets.simulate(
        n_cells, n_genes, topology=topology, n_batches=n_batches, truth=not totals_only, seed=seed
    )
    if totals_only:
        drop_layers(adata)
    write_h5ad(adata, out)
    stderr().print(f"{n_cells:,} cells x {n_genes:,} genes written to {escape(out)}.")


@exit_on_error
def inspect(
    data: DataFile,
    total: Total = None,
    spliced_layer: SplicedLayer = None,
    unspliced_layer: UnsplicedLayer = None,
    ambiguous_layer: AmbiguousLayer = None,
    ambiguous: AmbiguousPlace = None,
    cluster_key: ClusterKey = None,
    batch_key: BatchKey = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Finished run, 'demo', or stored model that may predict the layers of a file "
            "without them: compares its genes and cells with the file's. 'best' takes the one of "
            "the store and of your runs that fits best.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what is in a file: counts, S/U, depth, unspliced fraction per cluster, warnings.

    [bold]Examples[/bold]

    splicedvae inspect cells.h5ad

    splicedvae inspect totals.h5ad --model best

    splicedvae inspect cells.h5ad --json | jq .unspliced_fraction
    """
    from splicedvae import triage
    from splicedvae.io import gate

    result = gate.read(
        data,
        total=total,
        spliced_layer=spliced_layer,
        unspliced_layer=unspliced_layer,
        ambiguous_layer=ambiguous_layer,
        ambiguous=ambiguous,
    )
    if cluster_key is None:
        candidates = triage.cluster_candidates(result.adata)
        cluster_key = candidates[0] if candidates else None
    summary = triage.inspect(result, cluster_key=cluster_key or None, batch_key=batch_key or None)
    if model is not None:
        if summary.has_measured_layers:
            stderr().print("- --model was ignored: the file has spliced and unspliced counts.")
        else:
            summary = _judged_with(model, summary, result.adata, batch_key)
    if as_json:
        print_json(summary.to_dict())
        return
    _print_summary(summary)


def _judged_with(
    name: str, summary: DataSummary, cells: AnnData, batch_key: str | None
) -> DataSummary:
    """Print whether a velocity is worth computing with a trained model."""
    from splicedvae import pipeline, triage

    with stderr().status("comparing the cells with those of training"), quiet_models():
        found = pipeline.compared(name, cells, summary.species, batch_key=batch_key)
    if name == pipeline.BEST and found is not None:
        stderr().print(f"- {escape(found.why)}")
    fit = None if found is None else found.fit
    return replace(summary, verdict=triage.judge_with_model(summary, fit))


def _ambiguous_row(summary: DataSummary) -> list[tuple[str, str]]:
    if summary.ambiguous_share is None:
        return []
    share = f"{summary.ambiguous_share:.1%} of the counts"
    return [("ambiguous", f"{summary.ambiguous_source}: {share}, {summary.ambiguous_place}")]


def _print_summary(summary: DataSummary) -> None:
    from rich.table import Table

    from splicedvae import triage

    console = stdout()
    console.print(f"[bold]{escape(summary.name)}[/bold]")
    facts = Table.grid(padding=(0, 2))
    layers = (
        f"{summary.spliced_source} and {summary.unspliced_source}"
        if summary.has_measured_layers
        else "none: predict them with a trained run"
    )
    depth, found = summary.umis_per_cell, summary.genes_per_cell
    rows = [
        ("cells x genes", f"{summary.n_cells:,} x {summary.n_genes:,}"),
        ("total counts", summary.total_source),
        ("spliced, unspliced", layers),
        *_ambiguous_row(summary),
        ("totals contain", summary.counts or "unknown"),
        ("counts per cell", f"{depth.median:,.0f} (median)"),
        ("genes per cell", f"{found.median:,.0f} (median)"),
        ("genes", summary.gene_style),
    ]
    if summary.unspliced_fraction is not None:
        rows.append(("unspliced fraction", number(summary.unspliced_fraction)))
    if summary.genes_with_shared_counts is not None:
        rows.append(("genes for velocity", f"{summary.genes_with_shared_counts:,}"))
    rows.append(("is a velocity worth computing", summary.verdict.answer))
    for name, value in rows:
        facts.add_row(name, escape(value))
    console.print(facts)
    if summary.clusters:
        table = Table(title=escape(summary.cluster_key), title_justify="left")
        for name in ("cluster", "cells", "counts per cell", "unspliced"):
            table.add_column(name, justify="left" if name == "cluster" else "right")
        for row in summary.clusters:
            table.add_row(
                escape(row.cluster),
                f"{row.n_cells:,}",
                f"{row.median_umis:,.0f}",
                number(row.unspliced_fraction),
            )
        console.print(table)
    if not summary.has_measured_layers:
        for reason in summary.verdict.reasons:
            if reason not in summary.warnings:
                console.print(f"- {escape(reason)}")
    for note in summary.notes:
        console.print(f"- {escape(note)}")
    for warning in summary.warnings:
        console.print(f"[yellow]! {escape(warning)}[/yellow]")
    console.print(f"- {escape(triage.NOT_LOOKED_FOR)}")
