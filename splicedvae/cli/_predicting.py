"""Commands that predict S/U for data without them, and compute a velocity from either."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from splicedvae._core.errors import DataError
from splicedvae._core.keys import Layers, Sources, Uns
from splicedvae._core.records import own_record
from splicedvae._core.settings import VelocityFields
from splicedvae.cli._options import (
    VELOCITY,
    AmbiguousLayer,
    AmbiguousPlace,
    BatchKey,
    DataFile,
    HowCounted,
    ModelName,
    OrthologsOf,
    Overwrite,
    SplicedLayer,
    Total,
    UnsplicedLayer,
    takes,
)
from splicedvae.cli._output import (
    Json,
    escape,
    exit_on_error,
    output_file,
    print_json,
    quiet_models,
    stderr,
    write_h5ad,
)

if TYPE_CHECKING:
    from anndata import AnnData

    from splicedvae.io import ReadResult
    from splicedvae.runs import ModelSource


@exit_on_error
def predict(
    name: ModelName,
    data: DataFile,
    out: Annotated[Path, typer.Option(help="File to write, .h5ad or .zarr.", show_default=False)],
    model: Annotated[
        Literal["splicedvae", "scvi"],
        typer.Option(help="Which of the run's models predicts; scvi is the baseline."),
    ] = "splicedvae",
    total: Total = None,
    spliced_layer: SplicedLayer = None,
    unspliced_layer: UnsplicedLayer = None,
    ambiguous_layer: AmbiguousLayer = None,
    ambiguous: AmbiguousPlace = None,
    counts: HowCounted = None,
    batch_key: BatchKey = None,
    orthologs: OrthologsOf = None,
    compression: Annotated[
        Literal["none", "lzf", "gzip"],
        typer.Option(help="Compression of an h5ad file: none is fastest, gzip smallest."),
    ] = "none",
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Predict splicing ratios, spliced and unspliced counts from total counts alone.

    The output has the genes that data and model share, the totals in X, and the layers spliced,
    unspliced and splicing_ratio, ready for scVelo. Measured layers are kept; predictions are then
    in predicted_spliced and predicted_unspliced. uns['splicedvae'] marks what is predicted.

    An h5ad file or zarr folder of totals is read, predicted and written in chunks of some thousand
    cells. The results are the same, and memory does not grow with the counts. Other formats, and
    files with measured or predicted layers, are read as a whole.

    [bold]Examples[/bold]

    splicedvae predict run totals.h5ad --out predicted.h5ad

    splicedvae predict mouse-pancreas-e15 totals.h5ad --out predicted.h5ad

    splicedvae velocity predicted.h5ad --out velocity.h5ad
    """
    output_file(out, ".h5ad", ".zarr", overwrite=overwrite)
    from splicedvae.io import BackedCounts, gate
    from splicedvae.pipeline import orthologs_asked, trained_on
    from splicedvae.pipeline.assessment import with_batch
    from splicedvae.runs import open_models

    found = open_models(name)
    console = stderr()
    with console.status("loading the model"), quiet_models():
        trained = found.model(model)
    with contextlib.ExitStack() as closing:
        with console.status(f"reading {escape(data.name)}"):
            result = gate.open_counts(
                data,
                total=total,
                spliced_layer=spliced_layer,
                unspliced_layer=unspliced_layer,
                ambiguous_layer=ambiguous_layer,
                ambiguous=ambiguous,
            )
            backed = result if isinstance(result, BackedCounts) else None
            if backed is not None:
                closing.enter_context(backed)
        cells = with_batch(trained, result.adata, batch_key)
        pair = orthologs_asked(orthologs, trained_on(found), cells.var)
        with console.status("predicting"), quiet_models():
            done = trained.reconstruct_to(
                cells if backed is None else backed,
                out,
                counts=counts or result.counts or found.counts,
                compression=None if compression == "none" else compression,
                account={
                    "predictor": Sources.LABELS[model],
                    "source": model,
                    **found.account(),
                },
                orthologs=pair,
            )
    account, about = done.account, _told_of(found, cells)
    if as_json:
        print_json(
            {
                "out": str(out),
                "cells": done.n_obs,
                "genes": done.n_vars,
                "account": account,
                "notes": [*result.notes, *about],
            }
        )
        return
    for note in (*result.notes, *about, *_said_in(account)):
        console.print(f"- {escape(note)}")
    layers = ", ".join(str(name) for name in account["layers"])
    console.print(
        f"{done.n_obs:,} cells x {done.n_vars:,} genes with layers {escape(layers)} "
        f"written to {escape(out)}."
    )


def _told_of(found: ModelSource, cells: AnnData) -> list[str]:
    """Say of a stored model what it is, and whether it knows these cells from its training."""
    from splicedvae.pipeline import cells_seen, known_cells_note

    if found.stored is None:
        return []
    n_seen = int(cells_seen(found, cells).sum())
    return [found.stored.told, *([known_cells_note(n_seen)] if n_seen else [])]


@exit_on_error
@takes(
    "asked",
    VelocityFields,
    {VELOCITY: ("mode", "n_neighbors", "n_pcs", "n_top_genes", "min_shared_counts", "seed")},
)
def velocity(
    *,
    data: DataFile,
    out: Annotated[Path, typer.Option(help="File to write, .h5ad.", show_default=False)],
    use: Annotated[
        Literal["measured", "predicted"] | None,
        typer.Option(help="Which layers to use if a file has both; measured if not given."),
    ] = None,
    total: Total = None,
    spliced_layer: SplicedLayer = None,
    unspliced_layer: UnsplicedLayer = None,
    ambiguous_layer: AmbiguousLayer = None,
    ambiguous: AmbiguousPlace = None,
    asked: dict[str, Any],
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Compute RNA velocity with scVelo from measured or predicted layers.

    The output has scVelo's names (Ms, Mu, velocity, velocity_graph, velocity_umap, ...), so
    scv.pl and CellRank work on it. If the ratios vary only by rounding, or counts are too
    few, the command ends with an error instead of writing arrows.

    [bold]Examples[/bold]

    splicedvae velocity cells.h5ad --out velocity.h5ad

    splicedvae velocity predicted.h5ad --out velocity.h5ad --mode stochastic
    """
    output_file(out, ".h5ad", overwrite=overwrite)
    from splicedvae._core.messages import keeping
    from splicedvae.io import gate
    from splicedvae.velocity import VelocityAccount, VelocitySettings, compute_velocity

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
    with keeping(result.notes):
        source, spliced, unspliced = _layers(result, use)
    settings = VelocitySettings(**asked)
    with console.status(f"computing the {escape(Sources.LABELS.get(source, source))} velocity"):
        moving = compute_velocity(
            result.adata,
            spliced_layer=spliced,
            unspliced_layer=unspliced,
            settings=settings,
            source=source,
        )
    write_h5ad(moving, out)
    account = VelocityAccount.from_adata(moving)
    said = [] if source == Sources.MEASURED else _said_then(result.adata)
    if as_json:
        print_json({"out": str(out), "prediction_notes": said, **account.to_dict()})
        return
    for sentence in (*result.notes, *said, *account.fallbacks, *account.notes):
        console.print(f"- {escape(sentence)}")
    console.print(
        f"Velocity from {escape(spliced)} and {escape(unspliced)} on {account.n_velocity_genes:,} "
        f"velocity genes written to {escape(out)}."
    )


def _layers(result: ReadResult, use: str | None) -> tuple[str, str, str]:
    """Choose between measured and predicted layers.

    Returns
    -------
    Source, spliced layer, unspliced layer.

    Raises
    ------
    DataError
        If the file has no such layers.
    """
    predicted = _predicted(result.adata)
    if use != "predicted" and result.has_measured_layers:
        return Sources.MEASURED, Layers.SPLICED, Layers.UNSPLICED
    if use != "measured" and predicted is not None:
        return predicted
    asked = f"{use} " if use else ""
    raise DataError(
        f"The file {result.name!r} has no {asked}spliced and unspliced counts: name the "
        "layers that hold them, or predict them with `splicedvae predict`."
    )


def _said_then(adata: AnnData) -> list[str]:
    """Return the notes of the prediction of the layers: genes found, out-of-distribution cells."""
    return _said_in(_account(adata))


def _said_in(account: Mapping[str, Any]) -> list[str]:
    names = ("genes", "intercepts", "annotation")
    return [str(account[name]) for name in names if account.get(name)]


def _account(adata: AnnData) -> Mapping[str, Any]:
    """Return the record of how the layers of a file were predicted; empty if they were not."""
    return own_record(adata.uns, Uns.PREDICTED)


def _predicted(adata: AnnData) -> tuple[str, str, str] | None:
    account = _account(adata)
    layers = {str(name) for name in account.get("layers", ())} & set(adata.layers)
    for spliced, unspliced in (
        (Layers.PREDICTED_SPLICED, Layers.PREDICTED_UNSPLICED),
        (Layers.SPLICED, Layers.UNSPLICED),
    ):
        if {spliced, unspliced} <= layers:
            return str(account.get("source", Sources.SPLICEDVAE)), spliced, unspliced
    return None
