"""A run's progress on the terminal: a bar where there is one, else a line a stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from splicedvae.cli._output import stderr

if TYPE_CHECKING:
    from splicedvae.runs import Status


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    return f"about {minutes} min {rest:02d} s left" if minutes else f"about {rest} s left"


@contextmanager
def run_progress() -> Iterator[Callable[[Status], None]]:
    """Show a run's status on stderr.

    Yields
    ------
    What `splicedvae.pipeline.execute` takes as ``progress``.
    """
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    console = stderr()
    if not console.is_terminal:
        last = ""

        def line(status: Status) -> None:
            nonlocal last
            if status.stage != last and status.state == "running":
                last = status.stage
                console.print(f"{status.fraction:4.0%} {status.stage}")

        yield line
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("[dim]{task.fields[detail]}"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=1.0, detail="")

        def update(status: Status) -> None:
            detail = ", ".join(filter(None, (status.message, _duration(status.seconds_left))))
            bar.update(
                task, completed=status.fraction, description=status.stage, detail=detail[:60]
            )

        yield update
