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

from splicedvae._core.errors import DataError
from splicedvae._core.keys import LAYERS_JOINED, Ambiguous, Layers, Obs, Uns
from splicedvae._core.layers import named_layers
from splicedvae._core.messages import shown, shown_list
from splicedvae._core.sparse import add
from splicedvae.io._counts import Candidate, as_counts
from splicedvae.io._decimals import TOLERANCE
from splicedvae.io._matrices import Matrices
from splicedvae.io._names import Pair, find_pairs, half_pair
from splicedvae.io._values import WITH_DECIMALS, Kind

SUM = "spliced + unspliced"
ALL = "spliced + unspliced + ambiguous"
#: Names under which sums of layers can be asked for as totals.
SUMS = (SUM, ALL)
#: Error of a sum of two numbers in float32, and the share of sums that must be whole to tell that
#: both come from one count.
_ROUNDING, _MOST = 1e-4, 0.9
#: Where X is taken for the spliced counts: its source, and the share of the unspliced counts that
#: must be above it (own convention; none is where it holds them).
_X, _BEYOND = "X", 0.01


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
        own = _X if self.names.spliced is _X else f"layers/{self.names.spliced}"
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
    of_all = {str(name) for name in np.atleast_1d(np.asarray(named, dtype=object))}
    return of_all.union(*_marks(adata))


def _marks(adata: AnnData) -> list[set[str]]:
    """Layers that were predicted in some cells, as marked there, one set for each mark."""
    if Obs.PREDICTED not in adata.obs:
        return []
    marks = adata.obs[Obs.PREDICTED].dropna().astype(str).unique()
    return [set(mark.split(LAYERS_JOINED)) for mark in marks]


def partly_predicted(adata: AnnData) -> dict[str, int]:
    """Layers that were predicted in some cells and not in others, with the numbers of the first."""
    if Obs.PREDICTED not in adata.obs:
        return {}
    marks = adata.obs[Obs.PREDICTED].astype(object).map(str, na_action="ignore").value_counts()
    cells: dict[str, int] = {}
    for mark, n in marks.items():
        for name in str(mark).split(LAYERS_JOINED):
            cells[name] = cells.get(name, 0) + int(n)
    return {name: n for name, n in cells.items() if n < adata.n_obs}


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
            "one of spliced_layer and unspliced_layer was named, expected both or neither; "
            "name the other too."
        )
    predicted = predicted_layers(adata)
    names = [name for name in named_layers(adata) if name not in predicted]
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
        if alone is None:
            return None
        if alone[1] == "unspliced" and (found := _with_x_spliced(matrices, alone[0], notes)):
            return found
        notes.append(
            f"The layer {shown(alone[0])} has no counterpart, so the file counts as one "
            "without spliced and unspliced counts."
        )
        return None
    best = min(pairs, key=lambda pair: _rank(matrices, pair))
    for pair in pairs:
        if _rank(matrices, pair) == _UNUSABLE or (pair is pairs[0] and pair is not best):
            why = _why_not(matrices, pair)
            notes.append(f"{why}, so this pair of layers was left out.")
            matrices.left_out.append(why)
    if _rank(matrices, best) == _UNUSABLE:
        return None
    if asked.ambiguous is not None:
        best = Pair(best.spliced, best.unspliced, asked.ambiguous, best.joined)
    return _taken(matrices, best, asked, notes, named=False)


def _with_x_spliced(matrices: Matrices, name: str, notes: list[str]) -> Measured | None:
    """Take X as the spliced counts of a lone unspliced layer, where X cannot hold its counts.

    So alevin-fry's ``load_fry`` gives S + A in X and U in a layer, unless it is asked otherwise.
    """
    main, layer = matrices.main(), matrices.layer(name)
    if main is None or {main.values.kind, layer.values.kind} != {"counts"}:
        return None
    more = sparse.csr_matrix(layer.matrix, dtype=np.float64) - main.matrix
    if more.data[more.data > 0].sum() <= _BEYOND * total_of(layer.matrix):
        return None
    spliced, unspliced = as_counts(main, notes), as_counts(layer, notes)
    matrices.used.add(name)
    notes.append(
        f"Layer {shown(name)} has no counterpart and more counts than X in some places, so X holds "
        "the spliced counts alone, as pyroe's load_fry gives them."
    )
    return Measured(spliced, unspliced, None, Pair(_X, name, None), None)


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
                f"there is no layer '{shown(name)}', expected one of "
                f"{shown_list(named_layers(adata)) or 'no layers at all'}; name one that is there."
            )
        if name in seen:
            raise DataError(
                f"'{shown(name)}' was named as {seen[name]} and as {role} layer, expected "
                "two layers; name the other one."
            )
        seen[name] = role


_WHOLE, _DECIMALS, _UNUSABLE = range(3)


def _rank(matrices: Matrices, pair: Pair) -> int:
    """Whole counts before those with decimals, before what is no pair of counts."""
    found = [matrices.layer(name) for name in (pair.spliced, pair.unspliced)]
    kinds: set[Kind] = {one.values.kind for one in found}
    if kinds <= {"counts", "empty"}:
        return _WHOLE if "counts" in kinds else _UNUSABLE
    if kinds <= {"counts", "empty"} | WITH_DECIMALS and not _divided(*found):
        return _DECIMALS
    return _UNUSABLE


def _why_not(matrices: Matrices, pair: Pair) -> str:
    found = [matrices.layer(name) for name in (pair.spliced, pair.unspliced)]
    if _divided(*found):
        return (
            f"{found[0].source} and {found[1].source} have decimals that add up to whole numbers, "
            "as predicted (not measured) counts have"
        )
    refused = [one for one in found if one.values.kind not in ("counts", "empty")]
    worst = (refused or found)[0]
    return f"{worst.source} {worst.values.words}"


def _divided(spliced: Candidate, unspliced: Candidate) -> bool:
    """Whether whole counts were divided by a ratio, as a prediction does, and not counted."""
    if spliced.values.example == 0 or spliced.matrix.shape != unspliced.matrix.shape:
        return False
    place = np.abs(spliced.matrix.data - np.rint(spliced.matrix.data)) > TOLERANCE
    fractions = spliced.matrix.copy()
    fractions.data = place.astype(np.float64)
    fractions.eliminate_zeros()
    if fractions.nnz == 0:
        return False
    sums = sparse.csr_matrix(spliced.matrix + unspliced.matrix).multiply(fractions).tocsr().data
    return bool(np.mean(np.abs(sums - np.rint(sums)) <= _ROUNDING * np.maximum(1, sums)) > _MOST)


def _taken(
    matrices: Matrices, pair: Pair, asked: Asked, notes: list[str], *, named: bool
) -> Measured:
    spliced = as_counts(matrices.layer(pair.spliced), notes, named=named)
    unspliced = as_counts(matrices.layer(pair.unspliced), notes, named=named)
    if spliced.shape != unspliced.shape:
        raise DataError(
            f"spliced counts are {spliced.shape[0]:,} x {spliced.shape[1]:,} and unspliced "
            f"{unspliced.shape[0]:,} x {unspliced.shape[1]:,}, expected one shape; give "
            "layers of the same cells and genes."
        )
    matrices.used |= {pair.spliced, pair.unspliced}
    notes.append(
        f"Spliced and unspliced counts were read from layers {shown(pair.spliced)} and "
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
    if kind == "counts" or by_name or found.has_decimals:
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
    because = ", as requested" if asked.place else ""
    if measured.place == "spliced":
        return (
            f"{told}added to the spliced "
            f"counts{because or ', as kb and alevin-fry recommend (or ambiguous = apart)'}."
        )
    return (
        f"{told}kept separate, neither spliced nor "
        f"unspliced{because or ', as with velocyto (or ambiguous = spliced)'}."
    )
