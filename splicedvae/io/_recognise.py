"""Which matrix of an AnnData holds total counts, which spliced and which unspliced.

Names propose, numbers decide: a layer called "counts" that holds fractions is no count matrix,
and an ``X`` that equals the spliced layer is no total.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from splicedvae._errors import DataError
from splicedvae._keys import Layers, Uns
from splicedvae.io._counts import Candidate, as_counts, candidate
from splicedvae.io._messages import shown, shown_list
from splicedvae.io._names import Pair, find_pairs, half_pair, total_names
from splicedvae.io._result import Counts
from splicedvae.io._sparse import add, equal

SUM = "spliced + unspliced"
_RAW = {"raw", "raw.x", "raw/x"}
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
    ambiguous: sparse.csr_matrix | None = None
    spliced_source: str | None = None
    unspliced_source: str | None = None
    counts: Counts | None = None
    #: Whether the totals are exactly spliced + unspliced.
    are_sum: bool = False
    #: Genes of the totals where these are not the AnnData's own (totals of ``raw``).
    var: pd.DataFrame | None = None
    #: Layers of the file that are now elsewhere or under another name.
    used_layers: set[str] = field(default_factory=set)


def predicted_layers(adata: AnnData) -> set[str]:
    """Names of the layers that the package itself predicted and wrote."""
    root = adata.uns.get(Uns.ROOT)
    entry = root.get(Uns.PREDICTED) if isinstance(root, Mapping) else None
    named = entry.get("layers", ()) if isinstance(entry, Mapping) else ()
    return {str(name) for name in np.atleast_1d(np.asarray(named, dtype=object))}


def recognise(
    adata: AnnData,
    notes: list[str],
    *,
    total: str | None,
    spliced_layer: str | None,
    unspliced_layer: str | None,
    copy: bool,
) -> Recognised:
    """Find total, spliced and unspliced counts.

    Parameters
    ----------
    adata
        Data with sound matrices.
    notes
        Gets a sentence for everything taken, changed or left out.
    total, spliced_layer, unspliced_layer
        What a person named, or ``None`` to search.
    copy
        Whether the given matrices must stay untouched.

    Returns
    -------
    The matrices by their meaning.

    Raises
    ------
    DataError
        There are no raw counts, what was named is not there, or layers do not fit.
    """
    finder = _Finder(adata, notes, copy)
    layers = finder.measured(spliced_layer, unspliced_layer)
    if total is not None and total.replace(" ", "").lower() != SUM.replace(" ", ""):
        taken = finder.named(total)
        values = as_counts(taken, notes, named=True)
        source = taken.source
        notes.append(f"Total counts were taken from {source}, as asked.")
    elif total is not None:
        if layers is None:
            raise DataError(
                "totals were to be spliced + unspliced but no such layers were found; name them "
                "with spliced_layer and unspliced_layer, or choose another total."
            )
        values, source = add(layers.spliced, layers.unspliced), SUM
        notes.append("Total counts are spliced + unspliced, as asked.")
    else:
        values, source = finder.search(layers)
    found = Recognised(values, source, used_layers=finder.used)
    if source == "raw.X" and finder.raw_var is not None:
        found.var = finder.raw_var
    if layers is not None:
        found.spliced, found.unspliced = layers.spliced, layers.unspliced
        found.ambiguous = layers.ambiguous
        found.spliced_source = f"layers/{layers.names.spliced}"
        found.unspliced_source = f"layers/{layers.names.unspliced}"
        if source == SUM:
            found.counts, found.are_sum = "with-introns", True
        else:
            found.counts, found.are_sum = _contents(values, layers, notes)
    if found.total.nnz == 0:
        raise DataError(
            f"its totals ({source}) hold nothing but zeros, counts were expected; check what wrote "
            "the file."
        )
    return found


@dataclass
class _Measured:
    spliced: sparse.csr_matrix
    unspliced: sparse.csr_matrix
    ambiguous: sparse.csr_matrix | None
    names: Pair


class _Finder:
    """Looks at each matrix once."""

    def __init__(self, adata: AnnData, notes: list[str], copy: bool) -> None:
        self.adata = adata
        self.notes = notes
        self.copy = copy
        self.used: set[str] = set()
        self.raw_var: pd.DataFrame | None = None
        self._seen: dict[str, Candidate] = {}

    def _candidate(self, source: str, matrix: Any) -> Candidate:
        if source not in self._seen:
            self._seen[source] = candidate(matrix, source, copy=self.copy)
        return self._seen[source]

    def _layer(self, name: str) -> Candidate:
        return self._candidate(f"layers/{shown(name)}", self.adata.layers[name])

    # spliced and unspliced ---------------------------------------------------------------

    def measured(self, spliced: str | None, unspliced: str | None) -> _Measured | None:
        """Find the pair of layers, or ``None`` where there is none."""
        if (spliced is None) != (unspliced is None):
            raise DataError(
                "one of spliced_layer and unspliced_layer was named, both or neither were "
                "expected; name the other too."
            )
        predicted = predicted_layers(self.adata)
        names = [name for name in self.adata.layers if name not in predicted]
        if spliced is not None and unspliced is not None:
            for name in (spliced, unspliced):
                if name not in self.adata.layers:
                    raise DataError(
                        f"there is no layer '{shown(name)}', one of "
                        f"{shown_list(self.adata.layers) or 'no layers at all'} was expected; "
                        "name one that is there."
                    )
            if spliced == unspliced:
                raise DataError(
                    f"'{shown(spliced)}' was named as spliced and as unspliced layer, two layers "
                    "were expected; name the other one."
                )
            ambiguous = next((p.ambiguous for p in find_pairs(names) if p.spliced == spliced), None)
            return self._pair(Pair(spliced, unspliced, ambiguous), named=True)
        if predicted & {Layers.SPLICED, Layers.UNSPLICED}:
            self.notes.append(
                "The layers spliced and unspliced are marked as predicted, so they do not count "
                "as measured."
            )
        pairs = find_pairs(names)
        if not pairs:
            alone = half_pair(names)
            if alone is not None:
                self.notes.append(
                    f"The layer {shown(alone)} has no counterpart, so the file counts as one "
                    "without spliced and unspliced counts."
                )
            return None
        usable = [pair for pair in pairs if self._are_counts(pair)]
        if not usable:
            return self._pair(pairs[0], named=False)  # raises with the reason
        if usable[0] is not pairs[0]:
            self.notes.append(
                f"Layers {shown(pairs[0].spliced)} and {shown(pairs[0].unspliced)} hold no raw "
                "counts and were left out."
            )
        return self._pair(usable[0], named=False)

    def _are_counts(self, pair: Pair) -> bool:
        kinds = [self._layer(name).values.kind for name in (pair.spliced, pair.unspliced)]
        return set(kinds) <= {"counts", "empty"} and "counts" in kinds

    def _pair(self, pair: Pair, *, named: bool) -> _Measured:
        spliced = as_counts(self._layer(pair.spliced), self.notes, named=named)
        unspliced = as_counts(self._layer(pair.unspliced), self.notes, named=named)
        if spliced.shape != unspliced.shape:
            raise DataError(
                f"spliced counts are {spliced.shape[0]:,} x {spliced.shape[1]:,} and unspliced "
                f"{unspliced.shape[0]:,} x {unspliced.shape[1]:,}, one shape was expected; give "
                "layers of the same cells and genes."
            )
        self.used |= {pair.spliced, pair.unspliced}
        told = f"from layers {shown(pair.spliced)} and {shown(pair.unspliced)}"
        ambiguous = None
        if pair.ambiguous is not None:
            found = self._layer(pair.ambiguous)
            self.used.add(pair.ambiguous)
            if found.values.kind in ("counts", "empty") or (
                named and found.values.kind == "estimated"
            ):
                ambiguous = as_counts(found, self.notes, named=named)
                told += f", ambiguous ones from {shown(pair.ambiguous)}"
            else:
                self.notes.append(
                    f"{found.source} {found.values.words}, so ambiguous counts were left out."
                )
        self.notes.append(f"Spliced and unspliced counts were taken {told}.")
        return _Measured(spliced, unspliced, ambiguous, pair)

    # totals ------------------------------------------------------------------------------

    def _raw(self, *, like_x: bool) -> Candidate | None:
        """``raw.X``, cut to the genes of ``X`` where layers have only these."""
        raw = self.adata.raw
        if raw is None or raw.X is None:
            return None
        own = raw.var_names.equals(self.adata.var_names)
        found = self._candidate("raw.X", raw.X)
        if own:
            return found
        if not like_x:
            self.raw_var = raw.var
            return found
        place = raw.var_names.get_indexer(self.adata.var_names) if raw.var_names.is_unique else None
        if place is None or np.any(place < 0):
            return None
        if found.matrix.shape[1] != self.adata.n_vars:
            cut = sparse.csr_matrix(found.matrix[:, place])
            found = candidate(cut, "raw.X", copy=False)
            self._seen["raw.X"] = found
        return found

    def named(self, total: str) -> Candidate:
        """Look at the matrix a person asked for."""
        if total.lower() == "x":
            if self.adata.X is None:
                raise DataError("there is no X in it; name a layer that holds total counts.")
            return self._candidate("X", self.adata.X)
        name = total.removeprefix("layers/")
        if name in self.adata.layers:
            return self._layer(name)
        if total.lower() in _RAW:
            found = self._raw(like_x=bool(self.used))
            if found is None:
                raise DataError(
                    "there is no raw.X that fits its genes; name X or a layer as total instead."
                )
            return found
        options = ["X", "raw.X"] if self.adata.raw is not None else ["X"]
        raise DataError(
            f"there is no '{shown(total)}' to take total counts from, one of "
            f"{shown_list([*options, *self.adata.layers])} was expected; name one that is there."
        )

    def search(self, layers: _Measured | None) -> tuple[sparse.csr_matrix, str]:
        """Take the first of X, raw.X and the usual layers that holds counts, else S + U."""
        refused: list[str] = []
        for found in self._proposed(layers):
            kind = found.values.kind
            if kind != "counts":
                refused.append(f"{found.source} {found.values.words}")
                continue
            values = as_counts(found, self.notes)
            if layers is not None and self._is_spliced(values, layers):
                total = add(layers.spliced, layers.unspliced)
                self.notes.append(
                    f"{found.source} equals the spliced counts, so spliced + unspliced was taken "
                    "as total counts."
                )
                return total, SUM
            because = f", because {refused[0]}" if refused else ""
            self.notes.append(f"Total counts were taken from {found.source}{because}.")
            return values, found.source
        if layers is not None:
            because = f" because {refused[0]}" if refused else " because no other matrix is there"
            self.notes.append(f"Total counts are spliced + unspliced,{because}.")
            return add(layers.spliced, layers.unspliced), SUM
        what = ", ".join(refused) if refused else "there is no X"
        if "equals" not in what and self.adata.raw is None and refused:
            what += " and there is no raw.X"
        raise DataError(
            f"{what}; raw integer counts were expected in X, raw.X or a layer such as counts; save "
            "them there or name their layer as total."
        )

    def _is_spliced(self, values: sparse.csr_matrix, layers: _Measured) -> bool:
        if layers.unspliced.nnz == 0:
            return False  # then the spliced counts are the sum as well
        if equal(values, layers.spliced):
            return True
        return layers.ambiguous is not None and _is_sum(values, layers.spliced, layers.ambiguous)

    def _proposed(self, layers: _Measured | None) -> list[Candidate]:
        proposed: list[Candidate] = []
        if self.adata.X is not None:
            proposed.append(self._candidate("X", self.adata.X))
            if proposed[0].values.kind == "counts":
                return proposed
        raw = self._raw(like_x=layers is not None)
        if raw is not None:
            proposed.append(raw)
        proposed += [self._layer(n) for n in total_names(self.adata.layers) if n not in self.used]
        return proposed


def _contents(
    total: sparse.csr_matrix, layers: _Measured, notes: list[str]
) -> tuple[Counts | None, bool]:
    """Whether totals contain introns: exactly where they can tell, else by sums of genes.

    The second value says whether they are exactly spliced + unspliced.
    """
    spliced, unspliced, ambiguous = layers.spliced, layers.unspliced, layers.ambiguous
    if total.shape != spliced.shape:
        return None, False
    sums: list[tuple[tuple[sparse.csr_matrix, ...], Counts, str]] = [
        ((spliced, unspliced), "with-introns", SUM),
        ((spliced,), "exonic", "spliced"),
    ]
    if ambiguous is not None:
        sums += [
            ((spliced, unspliced, ambiguous), "with-introns", f"{SUM} + ambiguous"),
            ((spliced, ambiguous), "exonic", "spliced + ambiguous"),
        ]
    for parts, counts, words in sums:
        if _is_sum(total, *parts):
            notes.append(f"The totals equal {words}.")
            return counts, words == SUM
    of_genes = _gene_sums(total)
    distances = [
        float(np.abs(of_genes - sum(_gene_sums(part) for part in parts)).sum())
        for parts, _, _ in sums
    ]
    best = int(np.argmin(distances))
    apart = distances[best] / max(1.0, float(of_genes.sum()))
    if apart > _ALIKE:
        notes.append(
            f"The totals differ from both {SUM} and spliced alone by {apart:.0%} or more, so it is "
            "not known whether they contain introns."
        )
        return None, False
    notes.append(
        f"The totals come from another counting than the layers; over genes they are closest to "
        f"{sums[best][2]} ({apart:.0%} apart)."
    )
    return sums[best][1], False


def _is_sum(total: sparse.csr_matrix, *parts: sparse.csr_matrix) -> bool:
    """Whether a matrix is the sum of others; they are added only where all their counts are."""
    counted = [float(matrix.data.sum(dtype=np.float64)) for matrix in (total, *parts)]
    if counted[0] != sum(counted[1:]):
        return False
    return equal(total, add(*([part for part in parts if part.nnz] or parts[:1])))


def _gene_sums(matrix: sparse.csr_matrix) -> np.ndarray:
    return np.asarray(matrix.sum(axis=0, dtype=np.float64)).ravel()
