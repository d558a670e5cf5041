"""What commands share: results on stdout, everything else on stderr, errors in one sentence.

Exit codes: 0 success, 1 error with a message, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, ParamSpec, TypeVar

import typer

from splicedvae._core.errors import DataError, SplicedVAEError
from splicedvae._core.messages import STEERING, clean

if TYPE_CHECKING:
    from rich.console import Console

P = ParamSpec("P")
T = TypeVar("T")

#: The option of each command that a script may want to read.
Json = Annotated[bool, typer.Option("--json", help="Write the result as JSON to stdout.")]


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
    typer.echo(f"Error: {clean(message)}", err=True)
    raise typer.Exit(1)


def exit_on_error(command: Callable[P, T]) -> Callable[P, T]:
    """Turn the errors a command can raise into one sentence and an exit code.

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
                typer.echo(f"- {clean(note)}", err=True)
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
                f"The system refused to read or write {where}{error.strerror or error}: "
                "check the name, the folder, its permissions and the free space."
            )

    return wrapper


@contextlib.contextmanager
def quiet_models() -> Iterator[None]:
    """Keep scvi-tools' messages off stdout, which scripts read, and warnings off stderr.

    The package's own notes on genes and counts are in its records, which the commands print.
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

    text = json.dumps(plain(value), indent=1, ensure_ascii=False, allow_nan=False)
    # JSON itself escapes some of them only.
    typer.echo(STEERING.sub(_escaped, text))


def _escaped(found: re.Match[str]) -> str:
    """Write a character as JSON escapes it, but for the ends of JSON's own lines."""
    return found[0] if found[0] == "\n" else json.dumps(found[0])[1:-1]


def number(value: float | None, digits: int = 3) -> str:
    """Format a number for a table; an em dash if it is missing."""
    if value is None or value != value:
        return "–"
    return f"{value:.{digits}f}"


def output_file(file: Path, *suffixes: str, overwrite: bool) -> Path:
    """Check the name of an output file before any work is done for it.

    Parameters
    ----------
    file
        The name given.
    *suffixes
        Allowed endings.
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
            f"The folder {file.parent.name!r} for the output does not exist: create it first."
        )
    if file.exists() and not overwrite:
        raise DataError(
            f"The output {file.name!r} exists: choose another name or give --overwrite."
        )
    return file


def write_h5ad(adata: Any, file: Path) -> None:
    """Write an AnnData atomically: the name never holds half a file."""
    from splicedvae._core.files import replacing

    with replacing(file) as temporary:
        adata.write_h5ad(temporary, compression="gzip")


def escape(text: object) -> str:
    """Keep names from data from being read as rich's markup, or by the terminal."""
    from rich.markup import escape as escape_markup

    return escape_markup(clean(str(text)))
