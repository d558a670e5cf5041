"""Where measured numbers are kept: speed.json, and the tables of speed.md made from it.

speed.md is written by hand around its tables. A table is between ``<!-- PART -->`` and
``<!-- end of PART -->`` and is replaced whenever its part is measured; the others stay.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from collections.abc import Sequence
from typing import Any

from benchmarks.speed.alone import REPOSITORY

RESULTS = REPOSITORY / "benchmarks" / "speed.json"
PAGE = REPOSITORY / "benchmarks" / "speed.md"

Row = dict[str, Any]


def table(rows: Sequence[Row], columns: Sequence[str] | None = None) -> str:
    """Write rows as a table in Markdown.

    Parameters
    ----------
    rows
        Values by column; missing values and None stay empty.
    columns
        Which columns, in which order; those of the first row if None.
    """
    names = list(rows[0]) if columns is None else list(columns)
    lines = [names, ["---"] * len(names)]
    lines += [[_word(row.get(name)) for name in names] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _word(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)


def merged(old: Sequence[Row], new: Sequence[Row], keys: Sequence[str]) -> list[Row]:
    """Replace the rows that were measured again, and keep the others, in the order of the keys.

    Parameters
    ----------
    old, new
        Rows.
    keys
        Columns that together name a row. Numbers are sorted, words keep their first order.
    """
    rows = {tuple(row[key] for key in keys): row for row in (*old, *new)}
    seen: list[dict[Any, int]] = [{} for _ in keys]
    for name in rows:
        for order, value in zip(seen, name, strict=True):
            order.setdefault(value, len(order))

    def place(name: tuple[Any, ...]) -> list[float]:
        return [
            value if isinstance(value, int | float) else order[value]
            for order, value in zip(seen, name, strict=True)
        ]

    return [rows[name] for name in sorted(rows, key=place)]


def replaced(text: str, part: str, content: str) -> str:
    """Put a part's tables into the page.

    Parameters
    ----------
    text
        The page.
    part
        Name of the part.
    content
        Its tables in Markdown.

    Raises
    ------
    ValueError
        If the page has no place for the part.
    """
    first, last = f"<!-- {part} -->", f"<!-- end of {part} -->"
    before, found, rest = text.partition(first)
    _, closed, after = rest.partition(last)
    if not found or not closed:
        raise ValueError(f"The page has no place for {part!r}: it needs {first} and {last}.")
    return f"{before}{first}\n\n{content.strip()}\n\n{last}{after}"


def machine() -> dict[str, Any]:
    """Describe the machine and the versions that speeds depend on."""
    return {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{
            package: importlib.metadata.version(package)
            for package in ("torch", "scvi-tools", "scanpy", "scvelo", "numba")
        },
    }


def kept() -> dict[str, list[Row]]:
    """Return all rows that were measured, by part."""
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    return {part: found["rows"] for part, found in results.items()}


def saved(part: str, rows: Sequence[Row], keys: Sequence[str]) -> list[Row]:
    """Keep the rows of a part with those measured before.

    Returns
    -------
    All rows of the part.
    """
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    rows = merged(results.get(part, {}).get("rows", ()), rows, keys)
    results[part] = {"on": machine(), "rows": rows}
    text = json.dumps(results, indent=1, sort_keys=False)
    RESULTS.write_text(text + "\n", encoding="utf-8")
    return list(rows)


def shown(part: str, content: str) -> None:
    """Put the tables of a part into speed.md."""
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(replaced(text, part, content), encoding="utf-8")
