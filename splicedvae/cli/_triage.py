"""Triage of a file: one command from a file to a verdict with reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from splicedvae.cli._options import BatchKey, DataFile
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

if TYPE_CHECKING:
    from splicedvae.pipeline import TriageResult

_MARKS = {"against": "[red]x[/red]", "caution": "[yellow]![/yellow]", "unknown": "?", "for": "+"}


@exit_on_error
def triage(
    data: DataFile,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Finished run, 'demo' or stored model that predicts the layers of a file "
            "without S/U. If not given, the best fit.",
        ),
    ] = None,
    cluster_key: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Column of obs with cell groups. If not given, the first that looks like one.",
        ),
    ] = None,
    batch_key: BatchKey = None,
    time_key: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Column of obs with a number that grows with time, such as hours: the arrows are "
            "compared with it.",
        ),
    ] = None,
    root: Annotated[
        str | None,
        typer.Option(
            metavar="GROUP",
            help="Cell group in which the process begins: the arrows are compared with "
            "pseudotime of expression from there.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed.", min=0)] = 0,
    as_json: Json = False,
) -> None:
    """Say whether velocity is worth trying on a file, and whether to trust it: about a minute.

    With S/U, a test says whether the counts carry a velocity. Without, a model predicts them. The
    velocity is computed again with half of its genes, neighbors and molecules, and compared with a
    time or a root that you name.

    [bold]Examples[/bold]

    splicedvae triage cells.h5ad

    splicedvae triage totals.h5ad --model run --root Progenitor

    splicedvae triage timecourse.h5ad --model run --time-key hours --json | jq .answer
    """
    from splicedvae import pipeline
    from splicedvae.io import gate

    result = gate.read(data)
    predictor = None
    with stderr().status("reading") as status, quiet_models():
        if not result.has_measured_layers:
            status.update("comparing the cells with the training cells")
            predictor = pipeline.compared(model or pipeline.BEST, result.adata, batch_key=batch_key)
        found = pipeline.triage(
            result,
            predictor=predictor,
            cluster_key=cluster_key,
            batch_key=batch_key,
            time_key=time_key,
            root=root,
            seed=seed,
            progress=status.update,
        )
    if as_json:
        print_json(found.to_dict())
    else:
        _print(found)


def _print(found: TriageResult) -> None:
    from rich.table import Table

    console = stdout()
    summary = found.summary
    console.print(f"[bold]{escape(summary.name)}[/bold]: [bold]{found.verdict.answer}[/bold]")
    facts = Table.grid(padding=(0, 2))
    layers = "measured" if summary.has_measured_layers else "none in the file"
    rows = [
        ("cells x genes", f"{summary.n_cells:,} x {summary.n_genes:,}"),
        ("counts per cell", f"{summary.umis_per_cell.median:,.0f} (median)"),
        ("spliced, unspliced", layers),
    ]
    if found.fit is not None:
        fit = found.fit
        rows += [
            ("model", str(found.model)),
            ("genes of the model", f"{fit.n_found:,} of {fit.n_genes:,} in the file"),
            ("counts in these genes", number(found.share_of_counts, 2)),
            ("novelty of the cells", number(fit.novelty, 2)),
        ]
    for name, value in rows:
        facts.add_row(name, escape(value))
    console.print(facts)
    for reason in found.verdict.reasons:
        console.print(f"{_MARKS[reason.weight]} {escape(reason.sentence)}")
    if found.drivers is not None and len(found.drivers):
        genes = ", ".join(
            f"{gene} {share:.0%}"
            for gene, share in zip(found.drivers["gene"], found.drivers["share"], strict=True)
        )
        console.print(f"- Genes behind the arrows (share): {escape(genes)}")
    for note in found.notes:
        console.print(f"- {escape(note)}")
    console.print(f"[bold]Next:[/bold] {escape(found.next_step)}")
