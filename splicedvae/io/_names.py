"""The role of a layer or matrix file, inferred from its name.

Velocyto, STARsolo, alevin-fry, kallisto | bustools and people each have their own words for the
same three matrices.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Role = Literal["spliced", "unspliced", "ambiguous", "total"]

#: Words of each tool: (spliced, unspliced, ambiguous). Earlier ones are preferred.
_STYLES: tuple[tuple[frozenset[str], frozenset[str], frozenset[str]], ...] = (
    (
        frozenset({"spliced"}),
        frozenset({"unspliced"}),
        frozenset({"ambiguous", "ambig"}),
    ),
    (
        frozenset({"mature"}),
        frozenset({"nascent"}),
        frozenset({"ambiguous", "ambig"}),
    ),
    (
        frozenset({"cdna", "exon", "exons", "exonic"}),
        frozenset({"intron", "introns", "intronic"}),
        frozenset({"ambiguous", "ambig", "spanning"}),
    ),
    (frozenset({"emat"}), frozenset({"nmat"}), frozenset({"smat"})),
    (frozenset({"s"}), frozenset({"u"}), frozenset({"a", "ambiguous"})),
)
#: Whether a style's tool advises to add ambiguous counts to the spliced ones (kb's nac workflow,
#: alevin-fry's USA mode); ``None`` where several tools use the words.
_JOINED: tuple[bool | None, ...] = (None, True, None, False, True)
#: Words that say nothing about which of the matrices it is.
_FILLERS = {
    "counts",
    "count",
    "matrix",
    "mat",
    "mtx",
    "raw",
    "umi",
    "umis",
    "x",
    "velocyto",
    "layer",
}
#: kallisto | bustools names its files cells_x_genes.mature.mtx.
_PREFIX = re.compile(r"^cells?_x_(genes?|tcc)[._]*")
_TOTALS = {
    "",
    "counts",
    "count",
    "raw_counts",
    "raw_count",
    "counts_raw",
    "rawcounts",
    "raw",
    "x_counts",
    "counts_x",
    "matrix",
    "umi",
    "umis",
    "umi_counts",
    "total",
    "totals",
    "total_counts",
    "counts_total",
    "total_umis",
    "genefull",
    "genefull_counts",
    "inex",
}


@dataclass(frozen=True)
class Pair:
    """Names of layers that belong together."""

    spliced: str
    unspliced: str
    ambiguous: str | None
    #: Whether the tool that uses these words adds ambiguous counts to the spliced ones; ``None``
    #: if the words do not say.
    joined: bool | None = field(default=None, compare=False)


def _tokens(name: str) -> tuple[str, ...]:
    plain = re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
    plain = _PREFIX.sub("", plain)
    return tuple(token for token in re.split(r"[^a-z0-9]+", plain) if token)


def find_pairs(names: Iterable[str]) -> list[Pair]:
    """All pairs of spliced and unspliced layers among some names, the likeliest first.

    Parameters
    ----------
    names
        Names of layers or stems of files, such as ``"mature"`` or ``"spliced_counts"``.

    Returns
    -------
    Pairs written in the same way, such as ``raw_spliced`` with ``raw_unspliced``.
    """
    all_names = [str(name) for name in names]
    pairs: list[tuple[int, int, Pair]] = []
    for rank, style in enumerate(_STYLES):
        by_role: list[dict[tuple[str, ...], str]] = [{}, {}, {}]
        for name in all_names:
            tokens = _tokens(name)
            for role, words in enumerate(style):
                hits = [token for token in tokens if token in words]
                rest = tuple(token for token in tokens if token not in words)
                if len(hits) == 1 and set(rest) <= _FILLERS:
                    by_role[role].setdefault(rest, name)
        for rest, spliced in by_role[0].items():
            unspliced = by_role[1].get(rest)
            if unspliced is not None:
                ambiguous = by_role[2].get(rest)
                pair = Pair(spliced, unspliced, ambiguous, _JOINED[rank])
                pairs.append((rank, len(rest), pair))
    return [pair for _, _, pair in sorted(pairs, key=lambda item: item[:2])]


def half_pair(names: Iterable[str]) -> tuple[str, Role] | None:
    """Name and role of a spliced or unspliced layer without counterpart, if there is one."""
    for name in names:
        tokens = _tokens(str(name))
        for spliced, unspliced, _ in _STYLES[:4]:
            hits = [token for token in tokens if token in spliced | unspliced]
            rest = {token for token in tokens if token not in spliced | unspliced}
            if len(hits) == 1 and rest <= _FILLERS:
                return str(name), "spliced" if hits[0] in spliced else "unspliced"
    return None


def total_names(names: Iterable[str]) -> list[str]:
    """Usual names of raw total counts, in the order given."""
    return [str(name) for name in names if "_".join(_tokens(str(name))) in _TOTALS]
