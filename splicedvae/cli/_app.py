"""The command's table of contents; heavy packages are imported by the commands themselves."""

from __future__ import annotations

from typing import Annotated

import typer

from splicedvae import __version__
from splicedvae.cli._about import about
from splicedvae.cli._benchmark import benchmark
from splicedvae.cli._data import inspect, simulate
from splicedvae.cli._exporting import export, figure
from splicedvae.cli._models import app as models
from splicedvae.cli._predicting import predict, velocity
from splicedvae.cli._resuming import resume
from splicedvae.cli._sharing import app as serve
from splicedvae.cli._sharing import demo, report
from splicedvae.cli._training import evaluate, train
from splicedvae.cli._triage import triage

app = typer.Typer(
    name="splicedvae",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", help="With --version: all that an error report needs."),
    ] = False,
) -> None:
    """RNA velocity for single-cell data sets without spliced and unspliced counts.

    [bold]Workflow[/bold]

    1. splicedvae triage cells.h5ad - is velocity worth trying, can it be trusted?

    2. splicedvae train cells.h5ad --out run - SplicedVAE and scVI on data with S/U

    3. splicedvae predict run totals.h5ad --out predicted.h5ad - S/U for data without;
    splicedvae models list shows models that need no training

    4. splicedvae velocity predicted.h5ad --out velocity.h5ad - scVelo on it

    5. splicedvae report run --out report.html - everything in one file

    6. splicedvae export run --out all.h5ad - for scVelo, CellRank and cellxgene

    No data at hand? splicedvae simulate --out cells.h5ad

    Exit codes: 0 success, 1 error with a message, 2 wrong usage, 130 interrupted.
    """
    if version:
        typer.echo("\n".join(about()) if verbose else f"splicedvae {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        context.fail("No command was given, expected one: see splicedvae --help.")


for _command in (
    simulate,
    inspect,
    triage,
    train,
    resume,
    evaluate,
    benchmark,
    predict,
    velocity,
    report,
    figure,
    export,
    demo,
):
    app.command()(_command)
app.command(name="app")(serve)
app.add_typer(models, name="models")


def main() -> None:
    """Run the ``splicedvae`` command."""
    app()
