"""What commands share: results on stdout, everything else on stderr, errors in one sentence.

Exit codes: 0 done, 1 an error the message of which says what to do, 2 wrong use, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, ParamSpec, TypeVar

import typer

from splicedvae._core.errors import DataError, SplicedVAEError

if TYPE_CHECKING:
    from rich.console import Console

P = ParamSpec("P")
T = TypeVar("T")

#: The option of each command that a script may want to read.
Json = Annotated[
    bool, typer.Option("--json", help="Write the result as JSON to stdout, and nothing else there.")
]


def stderr() -> Console:
    """Return the console for progress and messages."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def stdout() -> Console:
    """Return the console for results."""
    from rich.console import Console

    return Console(highlight=False)


def fail(message: str) -> NoReturn:
    """Write one sentence to stderr and end with exit code 1."""
    typer.echo(f"Error: {message}", err=True)
    raise typer.Exit(1)


def told(command: Callable[P, T]) -> Callable[P, T]:
    """Turn what can go wrong in a command into one sentence and an exit code.

    Parameters
    ----------
    command
        The function behind the command.
    """

    @functools.wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except SplicedVAEError as error:
            for note in error.notes:
                typer.echo(f"- {note}", err=True)
            fail(str(error))
        except KeyboardInterrupt:
            typer.echo("Stopped.", err=True)
            raise typer.Exit(130) from None
        except BrokenPipeError:
            # The reader of our output, such as `head`, has seen enough.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except OSError as error:
            if error.filename is None and error.errno is None:
                raise
            where = f"{Path(str(error.filename)).name!r}: " if error.filename else ""
            fail(
                f"The system refused to read or write {where}{error.strerror or error}; check the "
                "name, the folder, its permissions and the space left."
            )

    return wrapper


@contextlib.contextmanager
def quiet_models() -> Iterator[None]:
    """Keep scvi-tools' remarks off stdout, where a script reads, and warnings off stderr.

    What the package itself has to say about genes and counts is in its accounts, which the
    commands print.
    """
    import scvi

    logger = logging.getLogger(scvi.__name__)
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def print_json(value: Any) -> None:
    """Write a value as JSON to stdout; numbers that are not finite are null."""
    from splicedvae.runs.files import plain

    typer.echo(json.dumps(plain(value), indent=1, ensure_ascii=False, allow_nan=False))


def number(value: float | None, digits: int = 3) -> str:
    """Write a number for a table; an em dash where there is none."""
    if value is None or value != value:
        return "–"
    return f"{value:.{digits}f}"


def output_file(file: Path, *suffixes: str, overwrite: bool) -> Path:
    """Check the name of a file to be written before any work is done for it.

    Parameters
    ----------
    file
        The name given.
    *suffixes
        What it may end with.
    overwrite
        Whether a file of this name may be replaced.

    Returns
    -------
    The name.

    Raises
    ------
    DataError
        If it has another suffix, exists, or its folder does not.
    """
    if file.suffix not in suffixes:
        suffix = " or ".join(suffixes)
        raise DataError(
            f"The output {file.name!r} does not end with {suffix}: give it a name that does."
        )
    if not file.absolute().parent.is_dir():
        raise DataError(
            f"The folder {file.parent.name!r} for the output does not exist: make it first."
        )
    if file.exists() and not overwrite:
        raise DataError(
            f"The output {file.name!r} exists already: choose another name or give --overwrite."
        )
    return file


def write_h5ad(adata: Any, file: Path) -> None:
    """Write an AnnData in one go: the name never holds half a file."""
    from splicedvae._core.files import replacing

    with replacing(file) as temporary:
        adata.write_h5ad(temporary, compression="gzip")


def escape(text: object) -> str:
    """Keep names from data from being read as rich's markup."""
    from rich.markup import escape as escape_markup

    return escape_markup(str(text))
