"""Text that comes from data, made safe for Markdown, tables and CSV files.

Streamlit reads most labels as Markdown: a cluster called ``![x](http://host/p.png)`` would make
every visitor's browser call that host. Spreadsheets read a cell beginning with ``=`` as a formula.
"""

from __future__ import annotations

import re
import time
from typing import Final

import pandas as pd

#: Longest text from data in a sentence.
LONGEST: Final = 300

_PUNCTUATION: Final = re.compile(r"([!-/:-@\[-`{-~])")
#: Turn the direction of writing, or are invisible, so that a name looks like another one.
_INVISIBLE: Final = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
#: What becomes a link without brackets: an invisible joiner is put where the first group ends.
_LINKS: Final = re.compile(r"(https?:|ftp:|mailto:|xmpp:|www|@)(?=[/.\w])", re.IGNORECASE)
_JOINER: Final = "\u2060"
#: What a spreadsheet takes for the beginning of a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def line(text: object, longest: int = LONGEST) -> str:
    """Bring text on one printable line of bounded length.

    Parameters
    ----------
    text
        Anything; its ``str`` is taken.
    longest
        Characters kept; more are replaced by an ellipsis in the end.

    Returns
    -------
    The text, safe for ``st.text`` and plain widgets options, not for Markdown.
    """
    joined = " ".join(_INVISIBLE.sub("", str(text)).split())
    shown = "".join(char if char.isprintable() else "?" for char in joined)
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def plain(text: object, longest: int = LONGEST) -> str:
    """Escape text from data for Markdown: no image, link, formula, icon or color.

    Parameters
    ----------
    text
        Anything; its ``str`` is taken.
    longest
        Characters kept before escaping.

    Returns
    -------
    Markdown that shows the text.
    """
    unlinked = _LINKS.sub(rf"\1{_JOINER}", line(text, longest))
    return _PUNCTUATION.sub(r"\\\1", unlinked)


def paragraph(text: str, longest: int = 2000) -> str:
    """Escape a person's lines for Markdown, one below the other.

    Parameters
    ----------
    text
        Plain text.
    longest
        Characters kept of each line before escaping.

    Returns
    -------
    Markdown that shows the text.
    """
    return "  \n".join(plain(row, longest) for row in text.splitlines())


def defuse(table: pd.DataFrame) -> pd.DataFrame:
    """Keep a spreadsheet from running text of a table as a formula.

    Parameters
    ----------
    table
        Any table; numbers stay numbers.

    Returns
    -------
    A copy in which texts, also of the index and the header, that begin with ``= + - @`` have an
    apostrophe before them.
    """
    safe = table.copy()
    for position, kind in enumerate(safe.dtypes):
        if not pd.api.types.is_numeric_dtype(kind):
            values = [_defused(value) for value in safe.iloc[:, position]]
            safe.isetitem(position, pd.array(values, dtype=object))
    safe.columns = [_defused(name) for name in safe.columns]
    if not pd.api.types.is_numeric_dtype(safe.index.dtype):
        safe.index = pd.Index([_defused(name) for name in safe.index], name=table.index.name)
    return safe


def _defused(value: object) -> object:
    if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA):
        return f"'{value}"
    return value


def duration(seconds: float) -> str:
    """Say a time span in words a person uses, such as ``"3 min"``."""
    if seconds < 5:
        return "a few seconds"
    if seconds < 90:
        return f"{round(seconds / 5) * 5:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def moment(seconds: float) -> str:
    """Say when something was, in the server's time, such as ``"3 Nov 2025, 14:05"``."""
    then = time.localtime(seconds)
    return f"{then.tm_mday} {time.strftime('%b %Y, %H:%M', then)}"


def size(count: float) -> str:
    """Say a number of bytes in words a person uses, such as ``"12.3 MB"``."""
    units = ("bytes", "kB", "MB", "GB", "TB")
    step = 0
    while count >= 1000 and step + 1 < len(units):
        count, step = count / 1000, step + 1
    return f"{count:,.0f} bytes" if step == 0 else f"{count:,.1f} {units[step]}"
