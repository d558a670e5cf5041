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
        help="Where the raw total counts are: X, raw.X, a layer's name, 'spliced + unspliced' "
        "or 'spliced + unspliced + ambiguous'. Detected if not given.",
        rich_help_panel="Where the counts are",
    ),
]
SplicedLayer = Annotated[
    str | None,
    typer.Option(
        help="Layer with spliced counts. Detected by its usual names if not given.",
        rich_help_panel="Where the counts are",
    ),
]
UnsplicedLayer = Annotated[
    str | None,
    typer.Option(
        help="Layer with unspliced counts. Detected by its usual names if not given.",
        rich_help_panel="Where the counts are",
    ),
]
AmbiguousLayer = Annotated[
    str | None,
    typer.Option(
        help="Layer with ambiguous counts. Detected by its usual names if not given.",
        rich_help_panel="Where the counts are",
    ),
]
AmbiguousPlace = Annotated[
    Ambiguous | None,
    typer.Option(
        "--ambiguous",
        help="Whether ambiguous counts are added to the spliced ones or kept separate; totals "
        "that are sums of layers include them either way. If not given, as the counting "
        "tool recommends: added for kb and alevin-fry, separate for velocyto and STARsolo.",
        rich_help_panel="Where the counts are",
    ),
]
HowCounted = Annotated[
    Counts | None,
    typer.Option(
        help="Whether intronic reads were counted (STARsolo GeneFull, Cell Ranger 7 and later) "
        "or not. Inferred from the file if not given, else with-introns.",
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
        help="Column of obs with cell groups. If not given, the first that looks like one; '' "
        "for none.",
        rich_help_panel="Where the counts are",
    ),
]
Mode = Annotated[
    VelocityMode,
    typer.Option(
        help="How the steady state is estimated: balanced, where a constant ratio gives no "
        "velocity, or one of scVelo's models.",
        rich_help_panel="Velocity",
    ),
]
Neighbors = Annotated[
    int,
    typer.Option(help="Neighbors of a cell, including itself.", rich_help_panel="Velocity"),
]
Components = Annotated[
    int,
    typer.Option(help="Principal components for the neighbor search.", rich_help_panel="Velocity"),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Overwrite an existing output.")]
RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="Folder or id of a finished run, or 'demo'.")
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
        help="Cell groups known to follow each other, such as 'Ductal>Ngn3 low EP'; repeat for "
        "several pairs. The direction of velocities is tested against them.",
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
        If one is not a pair.
    """
    pairs = []
    for text in transitions or ():
        first, arrow, second = (part.strip() for part in text.partition(">"))
        if not (first and arrow and second):
            raise RunError(
                f"The transition {text[:60]!r} is not a pair of cell groups, expected "
                "FROM>TO: write the names as in the file, with > between them."
            )
        pairs.append((first, second))
    return tuple(pairs)
