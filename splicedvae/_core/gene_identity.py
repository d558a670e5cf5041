"""Which gene is which: the identifiers and symbols of a table of genes, however they are written.

A name alone does not say it. Two genes may share a symbol and get numbers by the order of a file, a
file may name its genes by identifiers and keep the symbols in a column, and tools add versions,
genomes and quotes. `GeneIdentity` is what a model keeps of its genes;
`splicedvae._core.gene_match` finds them in another table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from splicedvae._core.keys import Var

#: Columns of ``var`` with identifiers and with symbols; earlier ones are preferred.
ID_COLUMNS: Final = (
    Var.GENE_IDS,
    "gene_id",
    "Accession",
    "ensembl_id",
    "ensembl_ids",
    "ensembl",
    "ensembl_gene_id",
    "ensembl_gene_ids",
    "ENSEMBL",
    "feature_id",
    "gencode_id",
)
SYMBOL_COLUMNS: Final = (
    Var.GENE_SYMBOLS,
    "gene_symbol",
    "gene_name",
    "gene_names",
    "symbol",
    "symbols",
    "SYMBOL",
    "feature_name",
    "gene_short_name",
    "hgnc_symbol",
    "mgi_symbol",
    "external_gene_name",
)
#: Columns whose numbers are Entrez identifiers, not places in a file.
ENTREZ_COLUMNS: Final = ("entrez_id", "entrez", "entrezgene", "entrezgene_id", "ENTREZID")

_STABLE: Final = re.compile(
    r"(?:ENS[A-Z]{0,6}G\d{6,}|FBgn\d{7}|WBGene\d{8}|AT[1-5CM]G\d{5}|(?:MGI|HGNC|RGD):\d+"
    r"|ZDB-GENE-\d+-\d+)",
    re.IGNORECASE,
)
_STABLE_WITH_VERSION: Final = re.compile(rf"({_STABLE.pattern})(?:\.\d+)?(_PAR_Y)?", re.IGNORECASE)
_BOTH: Final = re.compile(rf"({_STABLE.pattern})(?:\.\d+)?[_|:;, ](.+)", re.IGNORECASE)
_BOTH_TURNED: Final = re.compile(rf"(.+)[_|:;, ]({_STABLE.pattern})(?:\.\d+)?", re.IGNORECASE)
_GENOME: Final = re.compile(
    r"^(?:grc[a-z]{1,2}\d+(?:\.p\d+)?|hg\d{2}|mm\d{1,2}|rn\d|dm\d|ce\d{2}|danrer\d+|bdgp\d|wbcel\d+"
    r"|rnor_?\d|human|mouse)(?:-\d{4}-[a-z])?(?:[_-]+premrna)?[_-]+(?=\S)",
    re.IGNORECASE,
)
_NUMBER: Final = re.compile(r"\d+(?:\.0+)?")
#: A number that was put after a repeated name, by this package, scanpy or R.
_REPEAT: Final = re.compile(r"(.+)[-._](\d+)")
#: What `splicedvae.io` calls a gene without a name.
UNNAMED: Final = "unnamed-"
_UNNAMED: Final = re.compile(rf"{UNNAMED}\d+")

Texts = NDArray[np.object_]


@dataclass(frozen=True, eq=False)
class GeneIdentity:
    """The identity of some genes: identifiers, symbols and names.

    Attributes
    ----------
    names
        Names in the data; a repeated symbol may be followed by a number.
    identifiers
        Stable identifiers as written, shape (n_genes,); empty text where there is none.
    symbols
        Symbols of exactly one gene, shape (n_genes,); empty text where there is none.
    """

    names: pd.Index
    identifiers: Texts
    symbols: Texts

    @classmethod
    def of(cls, var: pd.DataFrame) -> GeneIdentity:
        """Read the identity from a table of genes: its index and the columns with usual names.

        Parameters
        ----------
        var
            Genes by name.
        """
        index = index_texts(var)
        identifiers, symbols = split_composites(index) or _by_columns(var, index)
        lone = _are(_STABLE_WITH_VERSION, index) & (identifiers == "")
        identifiers[lone] = index[lone]
        symbols[_are(_STABLE_WITH_VERSION, symbols)] = ""
        symbols[repeated_names(var, symbols)] = ""
        return cls(pd.Index(var.index), identifiers, symbols)

    @classmethod
    def of_names(cls, names: Iterable[object]) -> GeneIdentity:
        """Read the identity from names only.

        Parameters
        ----------
        names
            Of genes.
        """
        return cls.of(pd.DataFrame(index=pd.Index(list(names))))

    @property
    def only_numbers(self) -> bool:
        """Whether the genes are identified by numbers only."""
        return not ((self.identifiers != "") | (self.symbols != "")).any() and bool(
            name_numbers(pd.DataFrame(index=self.names)).any()
        )

    def frame(self) -> pd.DataFrame:
        """Return the same as a table of genes: the columns that a ``var`` needs."""
        frame = pd.DataFrame(index=self.names)
        names = index_texts(frame)
        there = self.symbols != ""
        for column, texts, needed in (
            (Var.GENE_IDS, self.identifiers, self.identifiers != names),
            (Var.GENE_SYMBOLS, self.symbols, there & (self.symbols != names)),
        ):
            if (needed & (texts != "")).any():
                frame[column] = texts
        unsure = ~there & (names != "") & ~_are(_STABLE_WITH_VERSION, names) & ~_are(_NUMBER, names)
        if Var.GENE_SYMBOLS not in frame and unsure.any():
            frame[Var.REPEATED] = unsure
        return frame


def name_numbers(var: pd.DataFrame) -> NDArray[np.bool_]:
    """Return which names of a table are numbers only.

    Parameters
    ----------
    var
        Genes by name.
    """
    return _are(_NUMBER, index_texts(var))


def repeated_names(var: pd.DataFrame, symbols: Texts) -> NDArray[np.bool_]:
    """Find symbols that are shared by several genes, as they or their stem occur again.

    Parameters
    ----------
    var
        Table of genes, which may say so itself (`Var.REPEATED`).
    symbols
        Of its genes.
    """
    known = set(symbols)
    counts = pd.Series(symbols).value_counts()
    repeated = {str(name) for name, count in counts.items() if count > 1}
    for name in known:
        found = _REPEAT.fullmatch(name)
        if found is None or found[1] not in known:
            continue
        stem, mark = found[1], name[len(found[1])]
        # Numbers after repeated names run from 1 without a gap.
        if all(f"{stem}{mark}{number}" in known for number in range(1, int(found[2]))):
            repeated |= {stem, name}
    marked = np.isin(symbols, list(repeated - {""})) if repeated else np.zeros(len(symbols), bool)
    if Var.REPEATED in var:
        marked = marked | (var[Var.REPEATED].astype(str) == "True").to_numpy()
    return np.asarray(marked, dtype=bool)


# --- Reading columns ----------------------------------------------------------------------------


def texts_of(values: Iterable[Any]) -> Texts:
    """Turn values into stripped texts, missing ones into empty text."""
    listed = pd.array(list(values), dtype=object)
    missing = pd.isna(listed)
    out = np.array(
        [
            "" if absent else value.decode("utf-8", "replace") if isinstance(value, bytes)
            else str(value)
            for value, absent in zip(listed, missing, strict=True)
        ],
        dtype=object,
    )  # fmt: skip
    return out if len(out) else np.empty(0, dtype=object)


def index_texts(var: pd.DataFrame) -> Texts:
    """Return the index as texts, empty where it only numbers the genes."""
    texts = texts_of(var.index)
    texts[_are(_UNNAMED, texts)] = ""
    return texts


def _are(pattern: re.Pattern[str], texts: Iterable[str]) -> NDArray[np.bool_]:
    return np.array([pattern.fullmatch(text.strip()) is not None for text in texts], dtype=bool)


def without_numbers(texts: Texts) -> Texts:
    """Replace numbers by empty texts if most texts are numbers: they do not identify a gene."""
    numbers = _are(_NUMBER, texts)
    texts = texts.copy()
    if numbers.sum() > (texts != "").sum() / 2:
        texts[numbers] = ""
    return texts


def _by_columns(var: pd.DataFrame, index: Texts) -> tuple[Texts, Texts]:
    """Take identifiers and symbols from the index and from columns with usual names."""
    nothing = np.full(len(index), "", dtype=object)
    index = without_numbers(index)
    ids, symbols = _first(var, ID_COLUMNS), _first(var, SYMBOL_COLUMNS)
    if ids is None and (entrez := next((c for c in ENTREZ_COLUMNS if c in var), None)):
        ids = texts_of(var[entrez])
    if _are(_STABLE_WITH_VERSION, index).sum() > len(index) / 2:
        return index.copy(), nothing if symbols is None else symbols
    if symbols is not None and (symbols != index).sum() > len(index) / 2:
        # The index is a third way to name the genes.
        return index.copy() if ids is None else ids, symbols
    return nothing if ids is None else ids, index.copy()


def _first(var: pd.DataFrame, names: Iterable[str]) -> Texts | None:
    """Return the first of some columns that holds more than numbers."""
    for name in names:
        if name in var:
            texts = without_numbers(texts_of(var[name]))
            if (texts != "").any():
                return texts
    return None


def split_composites(texts: Texts) -> tuple[Texts, Texts] | None:
    """Split names such as ``ENSG00000141510_TP53``; None where few are so written."""
    parts = []
    for text in texts:
        bare = unquoted(text)
        found = _BOTH.fullmatch(bare)
        turned = None if found else _BOTH_TURNED.fullmatch(bare)
        if found and not found[2].upper().startswith("PAR_Y"):
            parts.append((found[1], found[2]))
        elif turned:
            parts.append((turned[2], turned[1]))
        else:
            parts.append(("", ""))
    if 2 * sum(bool(one) for one, _ in parts) <= len(parts):
        return None
    ids, symbols = zip(*parts, strict=True)
    return np.array(ids, dtype=object), np.array(symbols, dtype=object)


def unquoted(text: str) -> str:
    """Leave out spaces and quotes around a name, and a genome before it."""
    text = text.strip().strip('"').strip()
    if len(text) > 2 and text[0] == text[-1] and text[0] in "'`":
        text = text[1:-1].strip()
    return _GENOME.sub("", text)


def bare_identifier(text: str) -> str:
    """Return a stable identifier in capitals and without version, any other text unquoted."""
    bare = unquoted(text)
    found = _STABLE_WITH_VERSION.fullmatch(bare)
    return bare if found is None else f"{found[1]}{found[2] or ''}".upper()
