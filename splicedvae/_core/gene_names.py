"""How a list of gene names is written, in words, for messages about genes that do not match."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice

#: Prefixes of stable identifiers, and what to call them. Longer ones come first.
_PREFIXES = {
    "ENSMUSG": "mouse Ensembl identifiers",
    "ENSRNOG": "rat Ensembl identifiers",
    "ENSDARG": "zebrafish Ensembl identifiers",
    "ENSG": "human Ensembl identifiers",
    "FBgn": "fly identifiers",
    "WBGene": "worm identifiers",
}


#: The share of numbered names, and how few names say nothing.
_NUMBERED, _FEW_NAMES = 0.9, 10


def numbered_stem(names: Sequence[str]) -> str:
    """Return what nearly all names have in common before a number, as Gene in Gene0001.

    Parameters
    ----------
    names
        Gene names.

    Returns
    -------
    The stem; empty where the names are no numbers, or too few to say.
    """
    if len(names) < _FEW_NAMES:
        return ""
    stems = Counter(stem for name in names if (stem := _before_number(name)) != name and stem)
    stem, count = stems.most_common(1)[0] if stems else ("", 0)
    return stem if count > _NUMBERED * len(names) else ""


def _before_number(name: str) -> str:
    """Leave out the number at the end of a name, and the punctuation before it."""
    bare = name.rstrip("0123456789")
    if bare == name:
        return name
    # No pattern: it would take time that grows with the square of the name's length.
    end = len(bare)
    while end and not bare[end - 1].isalnum():
        end -= 1
    return bare[:end]


def naming_style(names: Iterable[str]) -> str:
    """Say in words how most of the given gene names are written, with an example.

    Parameters
    ----------
    names
        Gene names; the first 2,000 are looked at.

    Returns
    -------
    Words such as ``"capitalized symbols as in mouse or rat (such as Sox17)"``.
    """
    sample = [str(name) for name in islice(names, 2000)]
    if not sample:
        return "no gene names"
    for prefix, words in _PREFIXES.items():
        hits = [name for name in sample if name.startswith(prefix)]
        if len(hits) > len(sample) / 2:
            return f"{words} (such as {hits[0]})"
    stem = numbered_stem(sample)
    if stem and not stem.startswith("ENS"):
        return f"genes numbered after {stem[:20]} (such as {sample[0][:30]})"
    letters = [name for name in sample if sum(c.isalpha() for c in name) >= 3]
    upper = [name for name in letters if name.isupper()]
    capitalised = [name for name in letters if name[0].isupper() and name[1:].islower()]
    if len(upper) > len(letters) / 2:
        return f"upper-case symbols as in human (such as {upper[0]})"
    if len(capitalised) > len(letters) / 2:
        return f"capitalized symbols as in mouse or rat (such as {capitalised[0]})"
    return f"names such as {sample[0]}"
