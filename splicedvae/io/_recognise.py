"""Which matrix of an AnnData holds total counts, which spliced and which unspliced.

Names propose, numbers decide: a layer called "counts" that holds fractions is not a count matrix,
and an ``X`` that holds only some of a cell's molecules, such as the spliced ones, is not a total.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from splicedvae._core.errors import DataError
from splicedvae._core.keys import Ambiguous
from splicedvae._core.layers import named_layers
from splicedvae._core.sparse import add, equal
from splicedvae.io._counts import Candidate, as_counts
from splicedvae.io._layers import (
    ALL,
    SUM,
    SUMS,
    Asked,
    Measured,
    measured_layers,
    predicted_layers,
    total_of,
)
from splicedvae.io._matrices import RAW_X, Matrices
from splicedvae.io._names import total_names
from splicedvae.io._result import Counts

__all__ = ["Asked", "Recognised", "predicted_layers", "recognise"]

#: Up to this share of all counts may differ for totals of another counting tool to be
#: called alike with spliced + unspliced, or with spliced alone.
_ALIKE = 0.25


@dataclass
class Recognised:
    """The matrices of an AnnData by their meaning, in canonical CSR float32."""

    total: sparse.csr_matrix
    total_source: str
    spliced: sparse.csr_matrix | None = None
    unspliced: sparse.csr_matrix | None = None
    #: Ambiguous counts where they are kept apart.
    ambiguous: sparse.csr_matrix | None = None
    spliced_source: str | None = None
    unspliced_source: str | None = None
    ambiguous_source: str | None = None
    #: Where ambiguous counts went, and their share of all molecules.
    ambiguous_place: Ambiguous | None = None
    ambiguous_share: float | None = None
    counts: Counts | None = None
    #: Whether the totals are exactly spliced + unspliced.
    are_sum: bool = False
    #: Genes of the totals where these are not the AnnData's own (totals of ``raw``).
    var: pd.DataFrame | None = None
    #: Layers of the file that are now elsewhere or under another name.
    used_layers: set[str] = field(default_factory=set)


def recognise(adata: AnnData, notes: list[str], *, asked: Asked, copy: bool) -> Recognised:
    """Find total, spliced and unspliced counts.

    Parameters
    ----------
    adata
        Data with sound matrices.
    notes
        Gets a sentence for everything taken, changed or left out.
    asked
        What a person named.
    copy
        Whether the given matrices must stay untouched.

    Returns
    -------
    The matrices by their meaning.

    Raises
    ------
    DataError
        There are no raw counts, a named matrix is missing, or layers do not fit.
    """
    matrices = Matrices(adata, copy)
    layers = measured_layers(matrices, asked, notes)
    values, source = (
        _search(matrices, layers, notes)
        if asked.total is None
        else _as_asked(matrices, layers, asked.total, notes)
    )
    found = Recognised(values, source, used_layers=matrices.used)
    if source == RAW_X:
        found.var = matrices.raw_var
    if layers is not None:
        found.spliced, found.unspliced = layers.final_spliced, layers.unspliced
        found.spliced_source = layers.spliced_source
        found.unspliced_source = f"layers/{layers.names.unspliced}"
        if layers.ambiguous is not None:
            found.ambiguous_source = f"layers/{layers.names.ambiguous}"
            found.ambiguous_place = layers.place
            found.ambiguous_share = layers.ambiguous_share
            found.ambiguous = None if layers.place == "spliced" else layers.ambiguous
        found.counts, equals = _contents(values, source, layers, notes)
        found.are_sum = equals == (ALL if layers.place == "spliced" else SUM)
    if found.total.nnz == 0:
        raise DataError(
            f"its totals ({source}) hold only zeros, expected counts; check the program "
            "that wrote the file."
        )
    return found


def _as_asked(
    matrices: Matrices, layers: Measured | None, total: str, notes: list[str]
) -> tuple[sparse.csr_matrix, str]:
    """Take the totals that a person named."""
    sums = {words.replace(" ", ""): words for words in SUMS}
    words = sums.get(total.replace(" ", "").lower())
    if words is None:
        taken = matrices.named(total)
        values = as_counts(taken, notes, named=True)
        notes.append(f"Total counts were read from {taken.source}, as requested.")
        return values, taken.source
    if layers is None or (words == ALL and layers.names.ambiguous is None):
        raise DataError(
            f"totals were to be {words} but no such layers were found; name them "
            "with spliced_layer and unspliced_layer"
            f"{' and ambiguous_layer' if words == ALL else ''}, or choose another total."
        )
    notes.append(f"Total counts are {words}, as requested.")
    if words == ALL:
        return layers.all, layers.all_words
    return add(layers.final_spliced, layers.unspliced), SUM if layers.place != "spliced" else ALL


def _search(
    matrices: Matrices, layers: Measured | None, notes: list[str]
) -> tuple[sparse.csr_matrix, str]:
    """Take the first of X, raw.X and the usual layers that holds counts, else all layers."""
    refused: list[Candidate] = []
    for found in _proposed(matrices, layers):
        if found.values.kind != "counts":
            refused.append(found)
            continue
        values = as_counts(found, notes)
        part = None if layers is None else _part_of(values, layers)
        # X = S + U was made on purpose where ambiguous counts are neither; else a tool made it.
        if layers is not None and part is not None and (part, layers.place) != (SUM, "apart"):
            notes.append(
                f"{found.source} equals the {part} counts, so {layers.all_words} was used "
                "as total counts."
            )
            return layers.all, layers.all_words
        because = f", because {_words(refused[0])}" if refused else ""
        notes.append(f"Total counts were read from {found.source}{because}.")
        if found.source != RAW_X and matrices.n_more_in_raw:
            notes.append(
                f"raw has {matrices.n_more_in_raw:,} genes more than X; name raw.X as total to "
                "take it, if it holds counts."
            )
        return values, found.source
    if layers is not None:
        because = _words(refused[0]) if refused else "no other matrix is there"
        notes.append(f"Total counts are {layers.all_words}, because {because}.")
        return layers.all, layers.all_words
    decimals = next((found for found in refused if found.has_decimals), None)
    if decimals is not None:
        values = as_counts(decimals, notes)
        notes.append(f"Total counts were read from {decimals.source}, as no matrix is whole.")
        return values, decimals.source
    raise DataError(_none_found(matrices, refused))


def _words(found: Candidate) -> str:
    return f"{found.source} {found.values.words}"


def _none_found(matrices: Matrices, refused: list[Candidate]) -> str:
    """Return a sentence that there are no totals, and what to do."""
    what = ", ".join([*map(_words, refused), *matrices.left_out]) or "there is no X"
    if refused and matrices.adata.raw is None:
        what += " and there is no raw.X"
    told = next((found for found in refused if found.values.kind in ("fractional", "nan")), None)
    advice = "save them there or name their layer as total" if told is None else told.values.advice
    return f"{what}; expected raw integer counts in X, raw.X or a layer such as counts; {advice}."


def _proposed(matrices: Matrices, layers: Measured | None) -> list[Candidate]:
    proposed: list[Candidate] = []
    main = matrices.main()
    if main is not None:
        proposed.append(main)
        if main.values.kind == "counts":
            return proposed
    raw = matrices.raw(like_x=layers is not None)
    if raw is not None:
        proposed.append(raw)
    names = total_names(named_layers(matrices.adata))
    return [*proposed, *(matrices.layer(name) for name in names if name not in matrices.used)]


def _part_of(values: sparse.csr_matrix, layers: Measured) -> str | None:
    """Name the layers that a matrix is the sum of, if others hold more molecules; else ``None``."""
    parts = {
        "spliced": layers.spliced,
        "unspliced": layers.unspliced,
        "ambiguous": layers.ambiguous,
    }
    there = {name: part for name, part in parts.items() if part is not None and part.nnz}
    for size in range(1, len(there)):
        for chosen in combinations(there, size):
            if _is_sum(values, *(there[name] for name in chosen)):
                return " + ".join(chosen)
    return None


def _contents(
    total: sparse.csr_matrix, source: str, layers: Measured, notes: list[str]
) -> tuple[Counts | None, str | None]:
    """Whether totals contain introns: exactly if possible, else by sums of genes.

    The second value is what they equal exactly, as `SUM` and `ALL` say it, if anything.
    """
    if source in SUMS:
        return "with-introns", source
    spliced, unspliced, ambiguous = layers.spliced, layers.unspliced, layers.ambiguous
    if total.shape != spliced.shape:
        return None, None
    sums: list[tuple[tuple[sparse.csr_matrix, ...], Counts, str]] = [
        ((spliced, unspliced), "with-introns", SUM),
        ((spliced,), "exonic", "spliced"),
    ]
    if ambiguous is not None:
        sums += [
            ((spliced, unspliced, ambiguous), "with-introns", ALL),
            ((spliced, ambiguous), "exonic", "spliced + ambiguous"),
        ]
    for parts, counts, words in sums:
        if _is_sum(total, *parts):
            left = ""
            if ambiguous is not None and "ambiguous" not in words:
                left = f", without ambiguous counts ({layers.ambiguous_share:.1%} of all)"
            notes.append(f"The totals equal {words}{left}.")
            return counts, words
    of_genes = _gene_sums(total)
    distances = [
        float(np.abs(of_genes - sum(_gene_sums(part) for part in parts)).sum())
        for parts, _, _ in sums
    ]
    best = int(np.argmin(distances))
    apart = distances[best] / max(1.0, float(of_genes.sum()))
    if apart > _ALIKE:
        notes.append(
            f"The totals differ from both {SUM} and spliced alone by {apart:.0%} or more, "
            "so it is unknown whether they contain introns."
        )
        return None, None
    notes.append(
        f"The totals come from another counting than the layers; over genes they are closest to "
        f"{sums[best][2]} ({apart:.0%} apart)."
    )
    return sums[best][1], None


def _is_sum(total: sparse.csr_matrix, *parts: sparse.csr_matrix) -> bool:
    """Whether a matrix is the sum of others; they are added only where all their counts are."""
    counted = [total_of(matrix) for matrix in (total, *parts)]
    if total.shape != parts[0].shape or counted[0] != sum(counted[1:]):
        return False
    return equal(total, add(*([part for part in parts if part.nnz] or parts[:1])))


def _gene_sums(matrix: sparse.csr_matrix) -> np.ndarray:
    return np.asarray(matrix.sum(axis=0, dtype=np.float64)).ravel()
