"""The command that lets a run go on which was stopped, lost or failed."""

from __future__ import annotations

from typing import Annotated

import typer

from splicedvae.cli._output import Json, escape, print_json, stderr, told
from splicedvae.cli._progress import run_progress
from splicedvae.cli._training import print_results, run_as_json

UnfinishedRun = Annotated[
    str, typer.Argument(metavar="RUN", help="Folder or id of a training that did not finish.")
]


@told
def resume(run: UnfinishedRun, as_json: Json = False) -> None:
    """Let a training go on that was stopped, killed or failed before its end.

    Weights, optimiser, random numbers and the count of epochs are taken up where they were kept
    (every half minute, and at a stop), so the run ends where it would have without a break. A
    finished training is not repeated.

    [bold]Examples[/bold]

    splicedvae resume run

    splicedvae report run --out report.html
    """
    from splicedvae.jobs import estimate_rest
    from splicedvae.pipeline import execute
    from splicedvae.runs import open_run

    found = open_run(run)
    expected = estimate_rest(found)
    if expected is not None:
        stderr().print(f"The rest takes {expected}.")
    with run_progress() as progress:
        finished = execute(found.config, found.path, resume=True, progress=progress)
    if as_json:
        print_json(run_as_json(finished))
        return
    for note in finished.notes:
        stderr().print(f"- {escape(note)}")
    print_results(finished)
