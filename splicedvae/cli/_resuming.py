"""Commands that look after runs: resume one that was stopped, lost or failed; remove old ones."""

from __future__ import annotations

from typing import Annotated

import typer

from splicedvae.cli._output import Json, escape, exit_on_error, print_json, stderr
from splicedvae.cli._progress import run_progress
from splicedvae.cli._training import print_results, run_as_json

UnfinishedRun = Annotated[
    str, typer.Argument(metavar="RUN", help="Folder or id of an unfinished training.")
]


@exit_on_error
def resume(run: UnfinishedRun, as_json: Json = False) -> None:
    """Resume a training that was stopped, killed or failed before its end.

    Weights, optimizer, random numbers and the epoch are restored from the last checkpoint (every
    half minute, and at a stop), so the result is the same as without the interruption. A finished
    training is not repeated.

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


@exit_on_error
def clean(
    older_than: Annotated[
        float, typer.Option(help="Days since a run came to rest.", min=0.0, show_default=False)
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only name the runs.")] = False,
    as_json: Json = False,
) -> None:
    """Remove runs that came to rest long ago, with all their results.

    The folder is that of the dashboard (SPLICEDVAE_RUNS). A server does the same by itself where
    SPLICEDVAE_KEEP_DAYS is set. Running and waiting runs stay.

    [bold]Examples[/bold]

    splicedvae clean --older-than 90 --dry-run
    """
    from splicedvae import jobs

    found = jobs.clean(older_than * 86_400, dry_run=dry_run)
    if as_json:
        print_json({"removed": [run.path.name for run in found], "dry_run": dry_run})
        return
    for run in found:
        stderr().print(f"- {run.path.name}")
    stderr().print(f"{len(found):,} runs {'would be' if dry_run else 'were'} removed.")
