"""Commands about the store of models: what is there, what a model is, bring one, remove one."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
    from splicedvae.runs import ModelSource
    from splicedvae.store import StoredModel

app = typer.Typer(
    name="models",
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Trained models: those that come with the package, your own, and others.",
)

ModelNamed = Annotated[str, typer.Argument(metavar="MODEL", help="Name, name@digest or folder.")]


@app.command(name="list")
@exit_on_error
def list_(as_json: Json = False) -> None:
    """List the models that can predict: of the store, and of your finished trainings.

    [bold]Examples[/bold]

    splicedvae models list

    splicedvae models list --json
    """
    from splicedvae.runs import model_sources

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rows = [_row(source) for source in model_sources()]
    for item in caught:
        stderr().print(f"[yellow]! {escape(item.message)}[/yellow]")
    if as_json:
        print_json(rows)
        return
    from rich.table import Table

    table = Table()
    for name in ("name", "kind", "species", "cells", "genes", "counts", "what"):
        table.add_column(name, justify="right" if name in ("cells", "genes") else "left")
    for row in rows:
        table.add_row(
            escape(row["name"]),
            row["kind"],
            escape(row["species"] or "not sure"),
            f"{row['cells']:,}",
            f"{row['genes']:,}",
            row["counts"],
            escape(row["title"]),
        )
    stdout().print(table)


def _row(source: ModelSource) -> dict[str, Any]:
    from splicedvae.pipeline import trained_on

    stored, known = source.stored, trained_on(source)
    return {
        "name": source.reference if stored is None else source.name,
        "kind": "run" if stored is None else stored.place,
        "title": source.name if stored is None else stored.card.title,
        "species": known.species.sure,
        "tissues": [] if stored is None else list(stored.card.tissues),
        "cells": known.n_cells,
        "genes": len(known.genes),
        "counts": source.counts,
        "digest": None if stored is None else stored.digest,
    }


@app.command()
@exit_on_error
def show(name: ModelNamed, as_json: Json = False) -> None:
    """Show the card of a model: what it is, how good it is, and what it is not for.

    [bold]Examples[/bold]

    splicedvae models show mouse-pancreas-e15
    """
    from splicedvae.store import open_stored

    stored = open_stored(name)
    if as_json:
        print_json({**stored.card.to_dict(), "digest": stored.digest, "place": stored.place})
        return
    _print_card(stored)


def _print_card(stored: StoredModel) -> None:
    from rich.table import Table

    from splicedvae._core.keys import Sources
    from splicedvae._core.metrics import metric_of

    card, console = stored.card, stdout()
    console.print(f"[bold]{escape(card.name)}[/bold]: {escape(card.title)}")
    facts = Table.grid(padding=(0, 2))
    rows = [
        ("species", card.species or "not sure"),
        ("tissues", ", ".join(card.tissues) or "not known"),
        ("assay", card.assay or "not known"),
        ("totals contain", card.counts),
        ("cells x genes", f"{card.n_cells:,} x {card.n_genes:,}, weights from {card.weights_from}"),
        ("data", " ".join((card.source.title, card.source.accession)).strip()),
        ("licence of the data", card.source.licence or "not known"),
        ("cite", card.source.citation or "not known"),
        ("digest of the data", card.source.sha256 or "not known"),
        ("made by", card.command),
        ("code", card.code),
        ("digest of the model", stored.digest),
        ("files", f"{stored.size / 1e6:.1f} MB, {stored.place}"),
    ]
    for what, value in rows:
        facts.add_row(what, escape(value))
    console.print(facts)
    judged = card.evaluation
    if judged.metrics:
        table = Table(
            title=f"{judged.n_held_out:,} held-out cells, {judged.n_train:,} for training",
            title_justify="left",
        )
        for column in ("number", "molecules", "predictor", "value", "noise ceiling"):
            table.add_column(column)
        for row in judged.metrics:
            table.add_row(
                escape(metric_of(row.metric).label),
                str(row.coverage),
                escape(Sources.LABELS.get(row.predictor, row.predictor)),
                number(row.value),
                number(row.ceiling),
            )
        console.print(table)
    if judged.verdict:
        console.print(f"Velocity of held-out cells: [bold]{escape(judged.verdict)}[/bold]")
        for reason in judged.reasons:
            console.print(f"- {escape(reason)}")
    for sentence in card.not_for:
        console.print(f"[yellow]! Not for: {escape(sentence)}[/yellow]")


@app.command()
@exit_on_error
def add(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="Folder or zip of a stored model, its address (https://...), hf://owner/name, or "
            "folder or id of a finished training.",
        ),
    ],
    name: Annotated[str | None, typer.Option(help="Name to give it.")] = None,
    digest: Annotated[
        str | None, typer.Option(help="Digest that the model must have; its first 16 digits do.")
    ] = None,
    title: Annotated[str, typer.Option(help="What it is; for a training.")] = "",
    tissue: Annotated[str, typer.Option(help="Tissue; for a training.")] = "",
    species: Annotated[str, typer.Option(help="Species; for a training.")] = "",
    assay: Annotated[str, typer.Option(help="Technique; for a training.")] = "",
    accession: Annotated[str, typer.Option(help="Where the data are; for a training.")] = "",
    licence: Annotated[str, typer.Option(help="Licence of the data; for a training.")] = "",
    as_json: Json = False,
) -> None:
    """Bring a model into the store: files are checked by their digests before anything is read.

    A finished training becomes a stored model without its counts; its card takes the numbers of
    the run, and from the options what no run knows.

    [bold]Examples[/bold]

    splicedvae models add my_model.zip

    splicedvae models add https://example.org/model.zip --digest 0123456789abcdef

    splicedvae models add run --name my-tissue --tissue "mouse gut"
    """
    from splicedvae.pipeline import CardWords, store_run
    from splicedvae.store import CardSource, add_model

    run = _run_of(source)
    if run is None:
        with stderr().status(f"adding {escape(source)}"):
            added = add_model(source, name=name, digest=digest)
    else:
        words = CardWords(
            title=title,
            tissues=(tissue,) if tissue else (),
            assay=assay,
            species=species,
            source=CardSource(accession=accession, licence=licence),
        )
        with tempfile.TemporaryDirectory() as scratch, quiet_models():
            made = store_run(
                run, Path(scratch) / "model", name=name or _slug(run.name), words=words
            )
            added = add_model(made.path)
    if as_json:
        print_json({"name": added.name, "digest": added.digest})
        return
    stderr().print(f"The model {escape(added.name)} is in the store, digest {added.digest[:16]}.")


def _run_of(source: str) -> Any:
    """Return the run of a folder or id, None where the source is none."""
    from splicedvae._core.errors import RunError
    from splicedvae.runs import open_run
    from splicedvae.runs.files import CONFIG

    if (Path(source) / CONFIG).is_file():
        return open_run(source)
    if Path(source).exists():
        return None
    try:
        return open_run(source)
    except RunError:
        return None


def _slug(name: str) -> str:
    """Make a model's name of a run's."""
    letters = "".join(one if one.isascii() and one.isalnum() else "-" for one in name.lower())
    return "-".join(part for part in letters.split("-") if part)[:60] or "model"


@app.command()
@exit_on_error
def remove(
    name: Annotated[str, typer.Argument(metavar="MODEL", help="Name of a model that was added.")],
) -> None:
    """Remove a model that was added, for good.

    [bold]Examples[/bold]

    splicedvae models remove my-tissue
    """
    from splicedvae.store import remove_model

    remove_model(name)
    stderr().print(f"The model {escape(name)} was removed.")
