"""Commands that show results to others: the report, the dashboard, the demo run."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from splicedvae._core.errors import RunError, SplicedVAEError
from splicedvae.cli._options import Overwrite, RunName
from splicedvae.cli._output import escape, output_file, stderr, told
from splicedvae.cli._progress import run_progress


@told
def report(
    run: RunName,
    out: Annotated[Path, typer.Option(help="File to write, .html.", show_default=False)],
    dark: Annotated[bool, typer.Option("--dark", help="Light text on a dark page.")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Write all results of a run into one HTML file that needs no network.

    [bold]Examples[/bold]

    splicedvae report run --out report.html

    splicedvae report demo --out demo.html
    """
    output_file(out, ".html", overwrite=overwrite)
    from splicedvae.report import write_report
    from splicedvae.runs import open_run

    found = open_run(run)
    with stderr().status("writing the report"):
        write_report(found, out, dark=dark)
    stderr().print(f"Report of {escape(found.name)} written to {escape(out)}.")


@told
def app(
    port: Annotated[int, typer.Option(help="Port.", min=1, max=65535)] = 8501,
    address: Annotated[str, typer.Option(help="Address to listen on.")] = "localhost",
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
) -> None:
    """Serve the dashboard.

    [bold]Examples[/bold]

    splicedvae app

    splicedvae app --port 8600 --no-browser
    """
    if importlib.util.find_spec("streamlit") is None:
        raise SplicedVAEError(
            "The dashboard needs streamlit, which is not installed: install it with "
            "pip install 'splicedvae[dashboard]'."
        )
    script = _script()
    command = [sys.executable, "-m", "streamlit", "run", str(script)]
    command += ["--server.port", str(port), "--server.address", address]
    command += ["--server.headless", "false" if browser else "true"]
    ended = subprocess.run(command, cwd=script.parent, check=False).returncode
    if ended:
        raise typer.Exit(130 if ended in (-2, 130) else 1)


def _script() -> Path:
    """Return the dashboard's app.py: a wheel holds it inside the package, a clone beside it.

    Raises
    ------
    SplicedVAEError
        If it is in neither place.
    """
    package = Path(__file__).parents[1]
    for folder in (package / "dashboard" / "served", package.parent):
        script = folder / "app.py"
        if script.is_file() and (folder / "pages").is_dir():
            return script
    raise SplicedVAEError(
        "The dashboard's app.py was not found, it belongs into the installed package or beside it "
        "in a clone: install SplicedVAE again (pip install --force-reinstall "
        "'splicedvae[dashboard]')."
    )


@told
def demo(
    out: Annotated[
        Path, typer.Option(metavar="RUN", help="Run folder to make.", show_default=False)
    ],
) -> None:
    """Make the demo run again: simulate, train, evaluate, and shrink it to a few MB.

    It is the run that the package ships and the dashboard opens on; made again on the same
    versions it is the same.

    [bold]Examples[/bold]

    splicedvae demo --out demo_run
    """
    from splicedvae.pipeline.demo import build_demo

    if out.exists():
        raise RunError(f"The folder {out.name!r} exists already: choose another name.")
    with run_progress() as progress:
        made = build_demo(out, progress=progress)
    size = sum(file.stat().st_size for file in made.path.rglob("*") if file.is_file())
    stderr().print(f"Demo run of {size / 1e6:.1f} MB written to {escape(out)}.")
