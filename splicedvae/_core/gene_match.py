"""Find a model's genes in another table: by identifier, else by a symbol that is of one gene."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from splicedvae._core.gene_identity import (
    ENTREZ_COLUMNS,
    ID_COLUMNS,
    SYMBOL_COLUMNS,
    GeneIdentity,
    Texts,
    bare_identifier,
    index_texts,
    repeated_names,
    split_composites,
    texts_of,
    unquoted,
    without_numbers,
)
from splicedvae._core.keys import Var

_PUNCTUATION: Final = re.compile(r"[\s._/:-]+")
Kind = Literal["identifier", "symbol"]


@dataclass(frozen=True)
class Rule:
    """How some genes were found."""

    kind: Kind
    #: Column of ``var``; ``None`` is its index.
    column: str | None
    #: Whether the texts were equal without any normalization.
    exact: bool


@dataclass(frozen=True, eq=False)
class GeneMatch:
    """Positions of a model's genes in another table.

    Attributes
    ----------
    position
        Row of each of the model's genes in the other table, -1 where it is not there; shape
        (n_genes,).
    found_by
        Rules with the number of genes that each found, in the order they were tried.
    n_ambiguous
        Genes that were not found because several genes share their name.
    """

    position: NDArray[np.intp]
    found_by: tuple[tuple[Rule, int], ...]
    n_ambiguous: int

    @property
    def n_found(self) -> int:
        """How many genes were found."""
        return int((self.position >= 0).sum())


def match_genes(wanted: GeneIdentity, var: pd.DataFrame, *, enough: float = 0.5) -> GeneMatch:
    """Find genes in a table: by identifier, else by a symbol of exactly one gene.

    The index of the table and columns with usual names are looked at, and every other column of
    text where these have fewer than `enough` of the genes. Of several columns the one with most
    of the genes is taken. Numbers say nothing about a gene and match nothing.

    Parameters
    ----------
    wanted
        The genes to find.
    var
        The table.
    enough
        Share of the genes that makes looking through other columns needless.
    """
    finder = _Finder(wanted, len(var), enough)
    usual = [*ID_COLUMNS, *SYMBOL_COLUMNS, *ENTREZ_COLUMNS]
    for names in (
        [None, *(name for name in usual if name in var)],
        [name for name in var if name not in usual and name != Var.REPEATED],
    ):
        if not finder.has_enough:
            columns = [_column(var, name) for name in names if name is None or _is_text(var, name)]
            finder.find("identifier", columns)
            finder.find("symbol", columns)
    return finder.match()


@dataclass(frozen=True, eq=False)
class _Column:
    """A column of the table with the texts that may say which gene each row is."""

    name: str | None
    identifiers: Texts
    symbols: Texts
    #: Symbols of more than one gene, which identify none.
    repeated: frozenset[str]


def _is_text(var: pd.DataFrame, name: Any) -> bool:
    values = var[name]
    if not isinstance(values, pd.Series):
        return False  # a duplicated name
    if name in ENTREZ_COLUMNS:
        return True
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.cat.categories.to_series()
    return values.dtype == object or isinstance(values.dtype, pd.StringDtype)


def _column(var: pd.DataFrame, name: Any) -> _Column:
    texts = index_texts(var) if name is None else texts_of(var[name])
    composite = split_composites(texts)
    identifiers, symbols = (texts, texts.copy()) if composite is None else composite
    if name not in ENTREZ_COLUMNS:
        identifiers, symbols = without_numbers(identifiers), without_numbers(symbols)
    repeated = repeated_names(var, symbols)
    doubtful = frozenset(symbols[repeated]) - {""}
    symbols[repeated] = ""
    return _Column(name, identifiers, symbols, doubtful)


def _loose_symbol(text: str) -> str:
    """Unify all punctuation: R and Seurat replace what they do not allow in names."""
    return _PUNCTUATION.sub("-", unquoted(text))


def _as_written(text: str) -> str:
    return text


_WAYS: Final[dict[Kind, tuple[Callable[[str], str], ...]]] = {
    "identifier": (_as_written, bare_identifier),
    "symbol": (_as_written, unquoted, _loose_symbol),
}


class _Finder:
    """Looks up the wanted genes, rule by rule; a gene found keeps its place."""

    def __init__(self, wanted: GeneIdentity, n_rows: int, enough: float) -> None:
        self._wanted: dict[Kind, Texts] = {
            "identifier": wanted.identifiers,
            "symbol": wanted.symbols,
        }
        self._enough = max(1.0, enough * len(wanted.names))
        self._position = np.full(len(wanted.names), -1, dtype=np.intp)
        self._used = np.zeros(n_rows, dtype=bool)
        self._found_by: dict[Rule, int] = {}
        names = wanted.frame()
        self._ambiguous = (
            names[Var.REPEATED].to_numpy(dtype=bool, copy=True)
            if Var.REPEATED in names
            else np.zeros(len(names), dtype=bool)
        )
        #: Identifiers of the table, once most genes were found by them.
        self._their_ids: Texts | None = None

    @property
    def has_enough(self) -> bool:
        """Whether so many genes were found that no other columns are searched."""
        return bool((self._position >= 0).sum() >= self._enough)

    def find(self, kind: Kind, columns: Iterable[_Column]) -> None:
        """Look in the column that has most of the genes still to be found."""
        ours = self._wanted[kind]
        n_open = int(((self._position < 0) & (ours != "")).sum())
        best: list[NDArray[np.intp]] = []
        most, chosen = 0, None
        for column in columns:
            if most == n_open:
                break
            found = self._in_column(kind, column)
            n = sum(int((places >= 0).sum()) for places in found)
            if n > most:
                best, most, chosen = found, n, column
        if chosen is None:
            return
        for way, places in enumerate(best):
            there = places >= 0
            if there.any():
                self._position[there] = places[there]
                self._used[places[there]] = True
                rule = Rule(kind, chosen.name, exact=way == 0)
                self._found_by[rule] = self._found_by.get(rule, 0) + int(there.sum())
        if kind == "identifier" and self.has_enough:
            self._their_ids = chosen.identifiers
        if kind == "symbol":
            self._ambiguous |= np.isin(ours, list(chosen.repeated))

    def _in_column(self, kind: Kind, column: _Column) -> list[NDArray[np.intp]]:
        """Return the places of the genes that each way of writing finds."""
        ours = self._wanted[kind]
        theirs = column.identifiers if kind == "identifier" else column.symbols
        wanted = (self._position < 0) & (ours != "")
        free = ~self._used & (theirs != "")
        found = []
        for way in _WAYS[kind]:
            places = np.full(len(ours), -1, dtype=np.intp)
            if wanted.any() and free.any():
                there = _once(way, theirs)
                for text, row in _once(way, ours).items():
                    place = there.get(text, -1)
                    if wanted[row] and place >= 0 and free[place] and self._may_be(row, place):
                        places[row] = place
                wanted &= places < 0
                free[places[places >= 0]] = False
            found.append(places)
        return found

    def _may_be(self, row: int, place: int) -> bool:
        """Whether identifiers, if known, are compatible with one gene."""
        if self._their_ids is None:
            return True
        return "" in (self._wanted["identifier"][row], self._their_ids[place])

    def match(self) -> GeneMatch:
        """Return what was found."""
        n_ambiguous = int((self._ambiguous & (self._position < 0)).sum())
        return GeneMatch(self._position, tuple(self._found_by.items()), n_ambiguous)


def _once(way: Callable[[str], str], texts: Texts) -> dict[str, int]:
    """Return the rows of the texts that are unique after normalization."""
    rows: dict[str, int] = {}
    twice = {""}
    for row, text in enumerate(texts):
        written = way(text) if text else ""
        if written in rows:
            twice.add(written)
        rows[written] = row
    for text in twice:
        rows.pop(text, None)
    return rows
