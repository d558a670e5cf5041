"""Infer the species from gene names, with certainty and reasons.

Stable identifiers name their species. Symbols only hint at it: capitals are human's and other
primates' custom, capitalized words mouse's and rat's; the mitochondrial genes and families that
only one species has decide between them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from splicedvae._core.gene_identity import GeneIdentity

Style = Literal["Ensembl identifiers", "other identifiers", "symbols", "numbers", "unknown"]
Confidence = Literal["certain", "likely", "unsure", "unknown"]

#: Beginnings of stable identifiers: (pattern, species, whether the names are Ensembl's).
_IDENTIFIERS: tuple[tuple[str, str, bool], ...] = (
    (r"ENSG\d{11}", "human", True),
    (r"ENSMUSG\d{11}", "mouse", True),
    (r"ENSRNOG\d{11}", "rat", True),
    (r"ENSDARG\d{11}", "zebrafish", True),
    (r"ENSMMUG\d{11}", "rhesus macaque", True),
    (r"ENSMFAG\d{11}", "crab-eating macaque", True),
    (r"ENSCJAG\d{11}", "marmoset", True),
    (r"ENSPTRG\d{11}", "chimpanzee", True),
    (r"ENSGGOG\d{11}", "gorilla", True),
    (r"ENSCSAG\d{11}", "green monkey", True),
    (r"ENSSSCG\d{11}", "pig", True),
    (r"ENSBTAG\d{11}", "cow", True),
    (r"ENSOARG\d{11}", "sheep", True),
    (r"ENSECAG\d{11}", "horse", True),
    (r"ENSOCUG\d{11}", "rabbit", True),
    (r"ENSCAFG\d{11}", "dog", True),
    (r"ENSMAUG\d{11}", "golden hamster", True),
    (r"ENSCGRG\d{11}", "Chinese hamster", True),
    (r"ENSHGLG\d{11}", "naked mole-rat", True),
    (r"ENSMODG\d{11}", "opossum", True),
    (r"ENSGALG\d{11}", "chicken", True),
    (r"ENSTGUG\d{11}", "zebra finch", True),
    (r"ENSXETG\d{11}", "western clawed frog", True),
    (r"ENSGACG\d{11}", "stickleback", True),
    (r"FBgn\d{7}", "fruit fly", False),
    (r"WBGene\d{8}", "C. elegans", False),
    (r"AT[1-5MC]G\d{5}", "Arabidopsis", False),
    (r"Os\d{2}g\d{7}", "rice", False),
    (r"Zm\d{5}", "maize", False),
    (r"Solyc\d{2}g\d{6}", "tomato", False),
    (r"Smp_\d{6}", "Schistosoma mansoni", False),
    (r"Y[A-P][LR]\d{3}[WC](-[A-Z])?$", "budding yeast", False),
)
_COMPILED = tuple((re.compile(p), species, ens) for p, species, ens in _IDENTIFIERS)
#: All at once, which excludes names that are not identifiers several times as fast.
_ANY = re.compile("|".join(f"(?:{pattern})" for pattern, _, _ in _IDENTIFIERS))
_ANY_OTHER = re.compile("|".join(f"(?:{pattern})" for pattern, _, own in _IDENTIFIERS if not own))
_ANY_ENSEMBL = re.compile(r"ENS[A-Z]{0,6}G\d{11}")
_GENOMES = re.compile(r"^(GRCh3[78]|hg19|hg38|mm10|mm39|GRCm3[89])_+", re.IGNORECASE)
#: Share of names that decides, and share from which a second species counts as mixed in.
_MOST, _MIXED = 0.5, 0.05

#: No more of a name is looked at: some patterns take time that grows with its square.
_LONGEST = 64

#: A number at the end of a name. If a large share of names has one stem, they are not symbols.
_NUMBER = re.compile(r"[\W_]*\d+$")
_NUMBERED, _FEW_NAMES = 0.9, 10

_HUMAN = re.compile(r"^(MT-(ND|CO|ATP|CYB)|LINC\d{5}|HLA-[A-G]|A[CLP]\d{6}\.\d|RP\d+-\d+|XIST$)")
_MOUSE = re.compile(r"^(mt-(Nd|Co|Atp|Cyt)|Gm\d{3,}|.*Rik$|H2-[A-Z]|Xist$)")
_RAT = re.compile(r"^(Mt-(nd|co|atp|cyb)|RT1-|RGD\d{5,}|AABR\d{8})", re.IGNORECASE)
_FISH = re.compile(r"^(mt-(nd|co|atp|cyb)\d?|si:|zgc:|im:)")
_FLY = re.compile(r"^(mt:|CG\d{4,}|CR\d{5}|lncRNA:|asRNA:)")
_WORM = re.compile(r"^[a-z]{3,4}-\d+(\.\d+)?$")


@dataclass(frozen=True)
class SpeciesGuess:
    """A species read off the gene names."""

    #: Common name, ``None`` if unknown.
    species: str | None
    #: certain: stable identifiers; likely: genes that only it has; unsure: spelling alone.
    confidence: Confidence
    #: By what, in words.
    how: str

    @property
    def sure(self) -> str | None:
        """The species, if more than the spelling of names supports it."""
        return self.species if self.confidence in ("certain", "likely") else None


def gene_style(names: Iterable[str]) -> Style:
    """How most genes are named.

    Parameters
    ----------
    names
        Gene names.

    Returns
    -------
    One of a few words for the style.
    """
    listed = [_bare(name) for name in names]
    if not listed:
        return "unknown"
    half = len(listed) * _MOST
    if sum(_ANY_ENSEMBL.match(name) is not None for name in listed) > half:
        return "Ensembl identifiers"
    if sum(_ANY_OTHER.match(name) is not None for name in listed) > half:
        return "other identifiers"
    if sum(name.isdigit() for name in listed) > half:
        return "numbers"
    if sum(any(c.isalpha() for c in name) for name in listed) > half:
        return "symbols"
    return "unknown"


def ensembl_share(names: Iterable[str]) -> float:
    """Share of genes that are named by Ensembl identifiers, 0 without genes.

    Parameters
    ----------
    names
        Gene names.
    """
    listed = [_ANY_ENSEMBL.match(_bare(name)) is not None for name in names]
    return sum(listed) / max(len(listed), 1)


def guess_species(names: Iterable[str], ids: Iterable[str] = ()) -> SpeciesGuess:
    """Guess the species from gene names, and from identifiers where a file has both.

    Parameters
    ----------
    names
        Gene names of the data.
    ids
        Further identifiers, such as a ``gene_ids`` column.

    Returns
    -------
    The species, its certainty and the evidence.
    """
    raw = [str(name)[:_LONGEST] for name in names]
    genomes = {m.group(1) for name in raw if (m := _GENOMES.match(name)) is not None}
    if len(genomes) > 1:
        return SpeciesGuess(
            None, "certain", f"genes carry the genomes {' and '.join(sorted(genomes))}: a mixture"
        )
    listed = [_bare(name) for name in raw]
    for group, where in ((listed, "gene names"), ([_bare(i) for i in ids], "gene identifiers")):
        found = _by_identifier(group, where)
        if found is not None:
            return found
    return _by_symbol(listed)


def species_of(genes: GeneIdentity) -> str | None:
    """Return the species that names and identifiers of genes suggest, ``None`` if none.

    Parameters
    ----------
    genes
        Of one data set.
    """
    texts = (*genes.identifiers, *genes.symbols)
    return guess_species(list(genes.names), [text for text in texts if text]).species


def _bare(name: str) -> str:
    return _GENOMES.sub("", str(name)[:_LONGEST])


def _by_identifier(names: list[str], where: str) -> SpeciesGuess | None:
    if not names:
        return None
    counts: dict[str, int] = {}
    for name in names:
        if _ANY.match(name) is None:
            continue
        for pattern, species, _ in _COMPILED:
            if pattern.match(name):
                counts[species] = counts.get(species, 0) + 1
                break
    total = len(names)
    if sum(counts.values()) <= _MOST * total:
        return None
    ranked = sorted(counts, key=lambda species: -counts[species])
    if len(ranked) > 1 and counts[ranked[1]] > _MIXED * total:
        return SpeciesGuess(
            None, "certain", f"{where} are of {ranked[0]} and {ranked[1]}: a mixture"
        )
    share = counts[ranked[0]] / total
    return SpeciesGuess(ranked[0], "certain", f"{share:.0%} of the {where} are {ranked[0]}'s")


def _by_symbol(names: list[str]) -> SpeciesGuess:
    words = [name for name in names if sum(c.isalpha() for c in name) >= 2]
    if not words:
        return SpeciesGuess(None, "unknown", "gene names hold no symbols")
    upper = sum(name.upper() == name for name in words) / len(words)
    title = sum(name[0].isupper() and name[1:].lower() == name[1:] for name in words) / len(words)
    lower = sum(name.lower() == name for name in words) / len(words)
    hits = {
        species: [name for name in names if pattern.match(name)]
        for species, pattern in (
            ("human", _HUMAN),
            ("mouse", _MOUSE),
            ("rat", _RAT),
            ("zebrafish", _FISH),
            ("fruit fly", _FLY),
            ("C. elegans", _WORM),
        )
    }

    if len(names) >= _FEW_NAMES and not any(hits[kind] for kind in hits if kind != "C. elegans"):
        stems = Counter(stem for name in names if (stem := _NUMBER.sub("", name)) != name and stem)
        stem, n_numbered = stems.most_common(1)[0] if stems else ("", 0)
        if n_numbered > _NUMBERED * len(names):
            return SpeciesGuess(
                None, "unknown", f"the genes are numbered ({stem} and a number), not named"
            )

    def likely(species: str, spelling: str) -> SpeciesGuess:
        own = hits[species]
        return SpeciesGuess(
            species,
            "likely",
            f"{spelling}, with genes such as {', '.join(own[:2])} ({len(own):,} of this kind)",
        )

    if upper > _MOST:
        if hits["human"]:
            return likely("human", f"{upper:.0%} of the symbols are in upper case")
        return SpeciesGuess(
            "human", "unsure", f"{upper:.0%} of the symbols are in upper case, as in other primates"
        )
    if title > _MOST:
        spelling = f"{title:.0%} of the symbols are capitalized"
        rat = [name for name in hits["rat"] if not name.startswith("mt-")]
        if rat and len(rat) > len(hits["mouse"]):
            hits["rat"] = rat
            return likely("rat", spelling)
        if hits["mouse"]:
            return likely("mouse", spelling)
        return SpeciesGuess("mouse", "unsure", f"{spelling}, as in mouse or rat")
    if len(hits["C. elegans"]) > 0.3 * len(names):
        return likely("C. elegans", f"{lower:.0%} of the symbols are in lower case")
    if len(hits["fruit fly"]) > 0.02 * len(names) or any(n.startswith("mt:") for n in names):
        return likely("fruit fly", "symbols are written in mixed case")
    if lower > _MOST:
        if hits["zebrafish"]:
            return likely("zebrafish", f"{lower:.0%} of the symbols are in lower case")
        return SpeciesGuess("zebrafish", "unsure", f"{lower:.0%} of the symbols are in lower case")
    return SpeciesGuess(None, "unknown", "the spelling of the gene names matches no known species")
