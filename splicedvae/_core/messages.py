"""How names from a file may appear in messages, and how a message gets the file's name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePath
from typing import Final

from splicedvae._core.errors import DataError

_LONGEST = 80
#: Characters that steer a terminal, turn the direction of writing, or are nothing at all; the
#: joiners that some scripts are written with (U+200C, U+200D) are none of them.
STEERING: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def clean(text: str) -> str:
    """Replace what steers a terminal or turns the direction of writing.

    Parameters
    ----------
    text
        A name from a file, or a sentence with one.

    Returns
    -------
    The text with a blank for each tab and end of a line, and a question mark for all else.
    """
    return STEERING.sub(lambda found: " " if found[0] in "\t\n\r" else "?", text)


def shown(text: object, *, longest: int = _LONGEST) -> str:
    """Make text from a file fit on one line: printable, bounded in length.

    Parameters
    ----------
    text
        Anything; its ``str`` is taken.
    longest
        Characters kept; what is beyond is replaced by an ellipsis.

    Returns
    -------
    The text without control or direction-changing characters.
    """
    clean = "".join(c if c.isprintable() else "?" for c in str(text)[: longest + 1])
    return clean if len(clean) <= longest else clean[: longest - 1] + "…"


def shown_list(texts: Iterable[object], *, most: int = 6) -> str:
    """Up to ``most`` names joined by commas, with a count of the rest."""
    names = [shown(text, longest=40) for text in texts]
    rest = len(names) - most
    joined = ", ".join(names[:most])
    return f"{joined} and {rest} more" if rest > 0 else joined


def file_name(path: PurePath | str) -> str:
    """Return the last part of a path for a message; never a folder of the machine."""
    text = str(path).replace("\\", "/").rstrip("/")
    return shown(text.rsplit("/", 1)[-1] or "file", longest=120)


@contextmanager
def about(name: str) -> Iterator[None]:
    """Put the file's name before the message of a `DataError` raised inside."""
    try:
        yield
    except DataError as error:
        message = str(error)
        if message.startswith(f"{name}: "):
            raise
        named = type(error)(f"{name}: {message}")
        named.notes = error.notes
        raise named from error


@contextmanager
def keeping(notes: Sequence[str]) -> Iterator[None]:
    """Give a `DataError` raised inside the notes so far, unless it has its own."""
    try:
        yield
    except DataError as error:
        error.notes = error.notes or tuple(notes)
        raise
