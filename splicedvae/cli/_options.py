"""Options that several commands share, with one spelling and one help text each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from splicedvae._core.errors import RunError
from splicedvae._core.keys import Ambiguous, Counts, VelocityMode

Total = Annotated[
    str | None,
    typer.Option(
        help="Where the raw total counts are: X, raw.X, a layer's name, 'spliced + unspliced' or "
        "'spliced + unspliced + ambiguous'. "
        "Found by itself if not given.",
        rich_help_panel="Where the counts are",
    ),
]
SplicedLayer = Annotated[
    str | None,
    typer.Option(
        help="Layer with spliced counts. Found under its usual names if not given.",
        rich_help_panel="Where the counts are",
    ),
]
UnsplicedLayer = Annotated[
    str | None,
    typer.Option(
        help="Layer with unspliced counts. Found under its usual names if not given.",
        rich_help_panel="Where the counts are",
    ),
]
AmbiguousLayer = Annotated[
    str | None,
    typer.Option(
        help="Layer with ambiguous counts. Found under its usual names if not given.",
        rich_help_panel="Where the counts are",
    ),
]
AmbiguousPlace = Annotated[
    Ambiguous | None,
    typer.Option(
        "--ambiguous",
        help="Whether ambiguous counts are added to the spliced ones or kept apart; totals made of "
        "layers hold them either way. As the tool that counted advises if not given: added for "
        "kb and alevin-fry, apart for velocyto and STARsolo.",
        rich_help_panel="Where the counts are",
    ),
]
HowCounted = Annotated[
    Counts | None,
    typer.Option(
        help="Whether reads in introns were counted (STARsolo GeneFull, Cell Ranger 7 and later) "
        "or not. Judged by the file if not given, else with-introns.",
        rich_help_panel="Where the counts are",
    ),
]
BatchKey = Annotated[
    str | None,
    typer.Option(
        help="Column of obs with the batch of each cell.", rich_help_panel="Where the counts are"
    ),
]
ClusterKey = Annotated[
    str | None,
    typer.Option(
        help="Column of obs with cell groups. The first that looks like one if not given; '' for "
        "none.",
        rich_help_panel="Where the counts are",
    ),
]
Mode = Annotated[
    VelocityMode,
    typer.Option(
        help="How the steady state is found: balanced, where a constant ratio gives no velocity, "
        "or one of scVelo's models.",
        rich_help_panel="Velocity",
    ),
]
Neighbors = Annotated[
    int,
    typer.Option(help="Neighbours of a cell, itself included.", rich_help_panel="Velocity"),
]
Components = Annotated[
    int,
    typer.Option(
        help="Principal components that neighbours are found in.", rich_help_panel="Velocity"
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]
RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="Folder or id of a finished run, or 'demo'.")
]
ModelName = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="Folder or id of a finished run, 'demo', or a model of `splicedvae models list`.",
    ),
]
OrthologsOf = Annotated[
    str | None,
    typer.Option(
        "--orthologs",
        metavar="SPECIES",
        help="Find the model's genes through one-to-one orthologs: species of the data, or 'auto' "
        "to read it off its genes. For a model of another species.",
    ),
]
DataFile = Annotated[
    Path,
    typer.Argument(
        metavar="DATA", help="h5ad, loom, 10x h5, zarr, or a folder of Matrix Market files."
    ),
]
Transitions = Annotated[
    list[str] | None,
    typer.Option(
        "--transitions",
        metavar="FROM>TO",
        help="Cell groups known to follow each other, such as 'Ductal>Ngn3 low EP'; give it once "
        "for each pair. By them the direction of velocities is judged.",
        rich_help_panel="Velocity",
    ),
]


def pairs_of(transitions: list[str] | None) -> tuple[tuple[str, str], ...]:
    """Read pairs of cell groups from a command line.

    Parameters
    ----------
    transitions
        Texts such as ``"A>B"``.

    Raises
    ------
    RunError
        If one is no pair.
    """
    pairs = []
    for text in transitions or ():
        first, arrow, second = (part.strip() for part in text.partition(">"))
        if not (first and arrow and second):
            raise RunError(
                f"The transition {text[:60]!r} is no pair of cell groups, FROM>TO was expected: "
                "write the names as they stand in the file, with > between them."
            )
        pairs.append((first, second))
    return tuple(pairs)
