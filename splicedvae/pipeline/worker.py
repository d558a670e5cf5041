"""The process that works on one run: ``python -m splicedvae.pipeline.worker RUN``.

`splicedvae.jobs.start` starts it in its own session. It reports everything through the
run folder, and never imports streamlit.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

from splicedvae._core.errors import RunError, SplicedVAEError
from splicedvae.runs.files import CONFIG


def main(arguments: list[str] | None = None) -> int:
    """Execute a prepared run.

    Parameters
    ----------
    arguments
        The run folder alone; None takes the command line's.

    Returns
    -------
    Exit code: 0 finished, 1 failed with a message in the status, 2 wrong use, 130 stopped.

    Raises
    ------
    RunError
        If the run could not start; the status holds the message.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) != 1:
        print("usage: python -m splicedvae.pipeline.worker RUN", file=sys.stderr)
        return 2
    from splicedvae.jobs.limits import limit_memory
    from splicedvae.jobs.queue import give_up_turn, wait_for_turn
    from splicedvae.runs.run import Run
    from splicedvae.runs.status import Status, write_status
    from splicedvae.runs.worker import write_worker

    folder = Path(arguments[0])
    try:
        run = Run(folder)
        write_worker(folder, os.getpid())
        wait_for_turn(folder)
        limit_memory()
        begun = Status("running", "starting", pid=os.getpid(), started=time.time())
        write_status(folder, replace(begun, updated=time.time()))
        # torch and scvi-tools take seconds to import; the page already shows that it started. None
        # of what they make is garbage, and looking for it takes a quarter of that time.
        gc.disable()
        from splicedvae.pipeline._execute import execute

        gc.freeze()
        gc.enable()
        execute(run.config, folder)
    except KeyboardInterrupt:
        return 130
    except SplicedVAEError as error:
        print(error, file=sys.stderr)
        _fail(folder, str(error))
        return 1
    except Exception as error:
        message = (
            f"The worker could not start ({type(error).__name__}): see the log.txt of the "
            "run, and check that SplicedVAE is fully installed."
        )
        _fail(folder, message)
        raise RunError(message) from error
    finally:
        give_up_turn(folder)
    return 0


def _fail(folder: Path, message: str) -> None:
    """Write why a run could not start; later errors are in the status already."""
    from splicedvae.runs.status import Status, current_status, write_status

    if (folder / CONFIG).exists() and not current_status(folder).is_final:
        write_status(folder, Status("failed", "starting", message=message, updated=time.time()))


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Where HDF5 could not write a file to its end, tidying up ends in a segmentation fault.
    os._exit(code)
