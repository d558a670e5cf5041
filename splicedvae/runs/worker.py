"""The process that works on one run: ``python -m splicedvae.runs.worker RUN``.

It is started in a session of its own by `splicedvae.runs.start`, tells everything through the
run folder, and never imports streamlit.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from splicedvae._errors import SplicedVAEError


def main(arguments: list[str] | None = None) -> int:
    """Execute a prepared run.

    Parameters
    ----------
    arguments
        The run folder alone; None takes the command line's.

    Returns
    -------
    Exit code: 0 finished, 1 failed with a message in the status, 2 wrong use, 130 stopped.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) != 1:
        print("usage: python -m splicedvae.runs.worker RUN", file=sys.stderr)
        return 2
    from splicedvae.runs._run import Run
    from splicedvae.runs._status import write_worker

    try:
        run = Run(Path(arguments[0]))
        write_worker(run.path, os.getpid())
        from splicedvae.runs._execute import execute

        execute(run.config, run.path)
    except SplicedVAEError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
