"""Which layers hold spliced, unspliced and ambiguous counts, and where the ambiguous ones go.

Tools differ in what they call ambiguous. velocyto and STARsolo count a molecule within exons as
spliced, so few are ambiguous and scVelo leaves them out. kb (nac) and alevin-fry (USA) call only
those spliced that cross a junction, so most exonic molecules are ambiguous, and both advise to add
them to the spliced ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from anndata import AnnData
from scipy import sparse

from splicedvae._errors import DataError
from splicedvae._keys import Ambiguous, Layers, Uns
from splicedvae.io._counts import Candidate, as_counts
from splicedvae.io._matrices import Matrices
from splicedvae.io._messages import shown, shown_list
from splicedvae.io._names import Pair, find_pairs, half_pair
from splicedvae.io._sparse import add

SUM = "spliced + unspliced"
ALL = "spliced + unspliced + ambiguous"
#: Names under which sums of layers can be asked for as totals.
SUMS = (SUM, ALL)


@dataclass(frozen=True)
class Asked:
    """What a person named; ``None`` is searched for."""

    total: str | None = None
    spliced: str | None = None
    unspliced: str | None = None
    ambiguous: str | None = None
    #: Where ambiguous counts go.
    place: Ambiguous | None = None


@dataclass
class Measured:
    """Counts of the file's layers as they are in it."""

    spliced: sparse.csr_matrix
    unspliced: sparse.csr_matrix
    #: ``None`` where there is no such layer or it holds nothing.
    ambiguous: sparse.csr_matrix | None
    names: Pair
    #: Where the ambiguous counts go; ``None`` where there are none.
    place: Ambiguous | None

    @cached_property
    def all(self) -> sparse.csr_matrix:
        """All molecules of the layers."""
        parts = [self.spliced, self.unspliced]
        return add(*parts) if self.ambiguous is None else add(*parts, self.ambiguous)

    @property
    def all_words(self) -> str:
        """What `all` is the sum of."""
        return SUM if self.ambiguous is None else ALL

    @cached_property
    def final_spliced(self) -> sparse.csr_matrix:
        """Spliced counts, with the ambiguous ones where they go there."""
        if self.ambiguous is None or self.place != "spliced":
            return self.spliced
        return add(self.spliced, self.ambiguous)

    @property
    def spliced_source(self) -> str:
        """Layer or layers of the spliced counts."""
        own = f"layers/{self.names.spliced}"
        if self.place != "spliced" or self.ambiguous is None:
            return own
        return f"{own} + layers/{self.names.ambiguous}"

    @cached_property
    def ambiguous_share(self) -> float | None:
        """Share of all molecules that are ambiguous; ``None`` where nothing was."""
        return None if self.ambiguous is None else total_of(self.ambiguous) / total_of(self.all)


def total_of(matrix: sparse.csr_matrix) -> float:
    """Sum of a matrix, exact for counts."""
    return float(matrix.data.sum(dtype=np.float64))


def predicted_layers(adata: AnnData) -> set[str]:
    """Names of the layers that the package itself predicted and wrote."""
    root = adata.uns.get(Uns.ROOT)
    entry = root.get(Uns.PREDICTED) if isinstance(root, Mapping) else None
    named = entry.get("layers", ()) if isinstance(entry, Mapping) else ()
    return {str(name) for name in np.atleast_1d(np.asarray(named, dtype=object))}


def measured_layers(matrices: Matrices, asked: Asked, notes: list[str]) -> Measured | None:
    """Find the layers of measured counts.

    Parameters
    ----------
    matrices
        Of the data.
    asked
        What a person named.
    notes
        Gets a sentence for everything taken, changed or left out.

    Returns
    -------
    The counts, or ``None`` where there are no such layers.

    Raises
    ------
    DataError
        Layers that were named are not there or are the same, or layers hold no counts.
    """
    adata = matrices.adata
    if (asked.spliced is None) != (asked.unspliced is None):
        raise DataError(
            "one of spliced_layer and unspliced_layer was named, both or neither were "
            "expected; name the other too."
        )
    predicted = predicted_layers(adata)
    names = [name for name in adata.layers if name not in predicted]
    _check_named(asked, adata)
    if asked.spliced is not None and asked.unspliced is not None:
        partner = next((p for p in find_pairs(names) if p.spliced == asked.spliced), None)
        ambiguous = asked.ambiguous or (partner.ambiguous if partner else None)
        if ambiguous == asked.unspliced:
            ambiguous = None
        joined = partner.joined if partner else None
        pair = Pair(asked.spliced, asked.unspliced, ambiguous, joined)
        return _taken(matrices, pair, asked, notes, named=True)
    if predicted & {Layers.SPLICED, Layers.UNSPLICED}:
        notes.append(
            "The layers spliced and unspliced are marked as predicted, so they do not count "
            "as measured."
        )
    pairs = find_pairs(names)
    if not pairs:
        if asked.ambiguous is not None:
            raise DataError(
                "an ambiguous layer was named but there are no spliced and unspliced layers under "
                "their usual names; name them with spliced_layer and unspliced_layer."
            )
        alone = half_pair(names)
        if alone is not None:
            notes.append(
                f"The layer {shown(alone)} has no counterpart, so the file counts as one "
                "without spliced and unspliced counts."
            )
        return None
    usable = [pair for pair in pairs if _are_counts(matrices, pair)]
    if not usable:
        return _taken(matrices, pairs[0], asked, notes, named=False)  # raises with the reason
    if usable[0] is not pairs[0]:
        notes.append(
            f"Layers {shown(pairs[0].spliced)} and {shown(pairs[0].unspliced)} hold no raw "
            "counts and were left out."
        )
    pair = usable[0]
    if asked.ambiguous is not None:
        pair = Pair(pair.spliced, pair.unspliced, asked.ambiguous, pair.joined)
    return _taken(matrices, pair, asked, notes, named=False)


def _check_named(asked: Asked, adata: AnnData) -> None:
    roles = {
        "spliced": asked.spliced,
        "unspliced": asked.unspliced,
        "ambiguous": asked.ambiguous,
    }
    seen: dict[str, str] = {}
    for role, name in roles.items():
        if name is None:
            continue
        if name not in adata.layers:
            raise DataError(
                f"there is no layer '{shown(name)}', one of "
                f"{shown_list(adata.layers) or 'no layers at all'} was expected; "
                "name one that is there."
            )
        if name in seen:
            raise DataError(
                f"'{shown(name)}' was named as {seen[name]} and as {role} layer, two layers "
                "were expected; name the other one."
            )
        seen[name] = role


def _are_counts(matrices: Matrices, pair: Pair) -> bool:
    kinds = [matrices.layer(name).values.kind for name in (pair.spliced, pair.unspliced)]
    return set(kinds) <= {"counts", "empty"} and "counts" in kinds


def _taken(
    matrices: Matrices, pair: Pair, asked: Asked, notes: list[str], *, named: bool
) -> Measured:
    spliced = as_counts(matrices.layer(pair.spliced), notes, named=named)
    unspliced = as_counts(matrices.layer(pair.unspliced), notes, named=named)
    if spliced.shape != unspliced.shape:
        raise DataError(
            f"spliced counts are {spliced.shape[0]:,} x {spliced.shape[1]:,} and unspliced "
            f"{unspliced.shape[0]:,} x {unspliced.shape[1]:,}, one shape was expected; give "
            "layers of the same cells and genes."
        )
    matrices.used |= {pair.spliced, pair.unspliced}
    notes.append(
        f"Spliced and unspliced counts were taken from layers {shown(pair.spliced)} and "
        f"{shown(pair.unspliced)}."
    )
    ambiguous = None
    if pair.ambiguous is not None:
        matrices.used.add(pair.ambiguous)
        by_name = asked.ambiguous is not None
        ambiguous = _ambiguous(matrices.layer(pair.ambiguous), notes, named or by_name, by_name)
    measured = Measured(spliced, unspliced, ambiguous, pair, None)
    if ambiguous is not None:
        measured.place = asked.place or _usual_place(measured)
        notes.append(_place_words(measured, asked))
    return measured


def _ambiguous(
    found: Candidate, notes: list[str], named: bool, by_name: bool
) -> sparse.csr_matrix | None:
    """Ambiguous counts; ``None`` where the layer is empty, or holds none and was not named."""
    kind = found.values.kind
    if kind == "empty":
        return None
    if kind == "counts" or by_name or (named and kind == "estimated"):
        counts: sparse.csr_matrix = as_counts(found, notes, named=named)
        return counts
    notes.append(f"{found.source} {found.values.words}, so ambiguous counts were left out.")
    return None


def _usual_place(measured: Measured) -> Ambiguous:
    """As the tool advises that these names are of, else by what there is more of.

    Where ambiguous counts outnumber the spliced ones, the tool calls only those spliced that cross
    a junction: own convention, between the few of velocyto and the many of kb.
    """
    if measured.names.joined is not None:
        return "spliced" if measured.names.joined else "apart"
    if measured.ambiguous is None:
        return "apart"
    return "spliced" if total_of(measured.ambiguous) > total_of(measured.spliced) else "apart"


def _place_words(measured: Measured, asked: Asked) -> str:
    name = shown(str(measured.names.ambiguous))
    told = (
        f"Ambiguous counts of layer {name} are {measured.ambiguous_share:.1%} of {ALL}; they were "
    )
    because = ", as asked" if asked.place else ""
    if measured.place == "spliced":
        return (
            f"{told}added to the spliced counts"
            f"{because or ', as kb and alevin-fry advise (ambiguous = apart keeps them apart)'}."
        )
    return (
        f"{told}kept apart, neither spliced nor unspliced"
        f"{because or ', as with velocyto (ambiguous = spliced adds them to the spliced counts)'}."
    )
