"""Commands that take something out of a run: one figure for paper, or everything as AnnData."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from splicedvae._core.errors import DataError
from splicedvae.cli._options import Overwrite, RunName
from splicedvae.cli._output import escape, output_file, stderr, told

_FORMS = (".pdf", ".svg", ".png")


@told
def figure(
    run: RunName,
    name: Annotated[
        str,
        typer.Argument(
            metavar="FIGURE",
            help="streams, latents, ratios, coverage, gain, within-gene, training, depth or "
            "unspliced.",
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="File to write, .pdf, .svg or .png.", show_default=False)
    ],
    width: Annotated[
        float, typer.Option(help="Width in mm: 85, 114 and 174 are usual columns.")
    ] = 174.0,
    height: Annotated[
        float | None, typer.Option(help="Height in mm; follows from the panels if not given.")
    ] = None,
    color_by: Annotated[
        str | None, typer.Option(help="Column of the cells or gene, for streams and latents.")
    ] = None,
    sources: Annotated[
        list[str] | None,
        typer.Option("--source", help="Velocity or predictor to draw; give it once for each."),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Draw one figure of a run for paper: fonts embedded, size in mm, caution and source under it.

    [bold]Examples[/bold]

    splicedvae figure run streams --out streams.pdf --width 174

    splicedvae figure demo latents --out latents.svg --color-by split
    """
    if out.suffix not in _FORMS:
        raise DataError(
            f"The output {out.name!r} ends with none of {', '.join(_FORMS)}: give it a name that "
            "does."
        )
    output_file(out, out.suffix, overwrite=overwrite)
    settings: dict[str, Any] = {}
    if sources:
        _only_for(name, "--source", ("streams", "ratios"))
        settings["sources"] = list(sources)
    if color_by is not None:
        _only_for(name, "--color-by", ("streams", "latents"))
        settings["color_by"] = color_by
    from splicedvae._core.files import replacing
    from splicedvae.plotting import PrintForm
    from splicedvae.report import FigureCall
    from splicedvae.runs import open_run

    call = FigureCall(name, settings)
    found = open_run(run)
    with stderr().status("drawing"):
        content = call.printed(found, cast("PrintForm", out.suffix[1:]), width=width, height=height)
    with replacing(out) as temporary:
        temporary.write_bytes(content)
    stderr().print(f"Figure of {escape(found.name)} written to {escape(out)}, {width:g} mm wide.")


def _only_for(name: str, option: str, names: tuple[str, ...]) -> None:
    if name not in names:
        raise DataError(
            f"The figure {name[:40]!r} takes no {option}, which is for {' and '.join(names)}: "
            "leave it out."
        )


@told
def export(
    run: RunName,
    out: Annotated[Path, typer.Option(help="File to write, .h5ad.", show_default=False)],
    source: Annotated[
        str | None,
        typer.Option(help="Whose velocity goes along: splicedvae, scvi, measured or true."),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write everything of a run into one h5ad that scVelo, CellRank and cellxgene open.

    Counts, ratios, latent spaces, maps, neighbours, velocity and its graph under the names those
    tools look for; uns/splicedvae/export says what is measured, predicted and missing.

    [bold]Examples[/bold]

    splicedvae export run --out everything.h5ad

    splicedvae export run --out measured.h5ad --source measured
    """
    output_file(out, ".h5ad", overwrite=overwrite)
    from splicedvae._core.keys import Uns
    from splicedvae.report import export_h5ad
    from splicedvae.runs import open_run

    found = open_run(run)
    console = stderr()
    with console.status("writing"):
        made = export_h5ad(found, source, out)
    record = made.uns[Uns.ROOT][Uns.EXPORT]
    console.print(f"- spliced and unspliced are {escape(record['spliced_and_unspliced_are'])}")
    console.print(f"- velocity: {escape(record['velocity_source'])}")
    console.print(f"- it lacks: {escape(', '.join(record['lacks']))}")
    console.print(f"{made.n_obs:,} cells x {made.n_vars:,} genes written to {escape(out)}.")
