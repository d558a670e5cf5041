"""A triage in a process of its own: a page waits for it, the server's process does not compute."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from splicedvae._core.errors import RunError
from splicedvae.jobs.control import environment

#: Seconds after which a triage is ended; 10,000 cells take about one minute on two cores.
LONGEST: Final = 600.0


def triage_file(
    data: Path | str,
    *,
    model: str | None = None,
    cluster_key: str | None = None,
    time_key: str | None = None,
    root: str | None = None,
    longest: float = LONGEST,
) -> dict[str, Any]:
    """Run `splicedvae triage` on a file and return what it found.

    Parameters
    ----------
    data
        The file.
    model
        Run, stored model or folder that predicts; None takes the one that fits best.
    cluster_key
        Column of ``obs`` with cell groups; None takes the likeliest.
    time_key
        Column of ``obs`` with a number that grows with time, or None.
    root
        Cell group in which the process begins, or None.
    longest
        Seconds after which the process is ended.

    Returns
    -------
    As `splicedvae.pipeline.TriageResult.to_dict`.

    Raises
    ------
    RunError
        With the sentence of the command if it refuses the file, if it takes too long, or if its
        process ends without a result.
    """
    words = [sys.executable, "-P", "-m", "splicedvae.cli", "triage", str(data), "--json"]
    given = {"model": model, "cluster-key": cluster_key, "time-key": time_key, "root": root}
    for name, value in given.items():
        if value is not None:
            # One word, so that a value that begins with a dash is no option.
            words.append(f"--{name}={value}")
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=longest,
            env=environment(),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise RunError(
            f"The triage took more than {longest:.0f} seconds and was ended: use fewer cells, or "
            "`splicedvae triage` on the command line."
        ) from error
    if done.returncode == 0:
        found: dict[str, Any] = json.loads(done.stdout)
        return found
    said = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    if said:
        raise RunError(said[-1].removeprefix("Error: "))
    raise RunError(
        f"The triage ended without a result (exit code {done.returncode}), expected a verdict: try "
        "fewer cells, or `splicedvae triage` on the command line, which shows why."
    )
