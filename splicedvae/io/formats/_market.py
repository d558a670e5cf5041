"""Folders of Matrix Market files, as each counting tool leaves them.

Read here: Cell Ranger and STARsolo (``matrix.mtx`` with barcodes and features), STARsolo
Velocyto (``spliced.mtx``, ``unspliced.mtx``, ``ambiguous.mtx``; until 2020 one ``matrix.mtx`` with
the three counts on each line), kallisto | bustools
(``cells_x_genes.mature.mtx`` and its like, or ``spliced.mtx`` with its own barcodes and genes) and
alevin-fry (``quants_mat.mtx``; in USA mode the genes are listed three times).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from anndata import AnnData
from scipy import sparse

from splicedvae._core.errors import DataError
from splicedvae._core.keys import Layers
from splicedvae._core.messages import file_name, shown, shown_list
from splicedvae.io._limits import Limits
from splicedvae.io._names import find_pairs, total_names
from splicedvae.io.formats._folders import Chosen
from splicedvae.io.formats._market_files import CELL_FILE, MATRIX_FILE, Reader
from splicedvae.io.formats._name_lists import (
    NameList,
    cells_of,
    genes_of,
    header_note,
    refuse_hidden_header,
)

_GENES = re.compile(
    r"^(?P<stem>.*?)(features?|genes(?P<names>\.names)?|quants_mat_cols)\.(tsv|txt|csv)(\.gz)?$",
    re.IGNORECASE,
)
#: alevin-fry's own words for its three matrices.
_USA = ("S", "U", "A")
#: What the three counts on each line of STARsolo's Velocyto/raw/matrix.mtx are.
_OF_LINE = (Layers.SPLICED, Layers.UNSPLICED, Layers.AMBIGUOUS)
_SKIPPED = re.compile(r"^uniqueandmult", re.IGNORECASE)


def read_market_folder(chosen: Chosen, limits: Limits, notes: list[str]) -> AnnData:
    """Read the matrices of one folder.

    Parameters
    ----------
    chosen
        Folder that directly holds the ``.mtx`` files, and the cells to keep.
    limits
        Bound on the unpacked bytes of all its files.
    notes
        Gets a sentence for whatever was chosen or left out.

    Returns
    -------
    AnnData, cells x genes. ``X`` is the total matrix where there is one; the others are layers
    under the names of their files.

    Raises
    ------
    DataError
        Names are missing, sizes do not fit together, or a file is damaged.
    """
    adata = _read_folder(chosen.folder, limits, notes)
    if chosen.cells is None:
        return adata
    return adata[[name in chosen.cells for name in adata.obs_names]].copy()


def _read_folder(folder: Path, limits: Limits, notes: list[str]) -> AnnData:
    reader = Reader(limits)
    files = sorted(item for item in folder.iterdir() if item.is_file())
    matrices = {_stem(f.name): f for f in files if MATRIX_FILE.search(f.name)}
    for stem in [s for s in matrices if _SKIPPED.search(s)]:
        if len(matrices) > 1:
            notes.append(f"{shown(stem)}.mtx holds estimated counts and was left out.")
            del matrices[stem]
    quants = matrices.get("quants_mat")
    if quants is not None:
        return _read_alevin(reader, quants, files)
    roles, total = _roles(matrices)
    parts: dict[str | None, _Part] = {}
    stems = [*([total] if total is not None else []), *roles]
    for stem in stems:
        read = _read_parts(reader, matrices[stem], stem, files, notes, alone=len(matrices) == 1)
        if len(read) == 1:
            parts[roles.get(stem)] = read[0]
        elif stem == total and not roles:
            parts |= dict(zip(_OF_LINE, read, strict=True))
            notes.append(
                f"{shown(stem)}.mtx holds three counts per line, as STARsolo's Velocyto "
                "wrote them until 2020: they were read as spliced, unspliced and ambiguous "
                "ones."
            )
        else:
            raise DataError(
                f"{shown(stem)}.mtx holds three counts per line and there are other "
                "matrices next to it, expected one count or one such file; keep one of "
                "them in the folder."
            )
    unused = sorted(set(matrices) - set(stems))
    if unused:
        notes.append(f"Matrices {shown_list(unused)} were left out: their names give no role.")
    cells = _common(list(parts.values()), notes)
    adata = AnnData(
        obs=pd.DataFrame(index=pd.Index(cells, dtype=object)), var=next(iter(parts.values())).var
    )
    for layer, part in parts.items():
        if layer is None:
            adata.X = part.aligned(cells)
        else:
            adata.layers[layer] = part.aligned(cells)
    return adata


def _stem(name: str) -> str:
    return MATRIX_FILE.sub("", name)


def _roles(matrices: dict[str, Path]) -> tuple[dict[str, str], str | None]:
    """Layer name of each spliced, unspliced or ambiguous file, and the stem of the totals."""
    shared = _shared_prefix(list(matrices))
    short = {stem[len(shared) :].lstrip("._-"): stem for stem in matrices}
    short |= {stem: stem for stem in matrices}
    pairs = find_pairs(short)
    roles: dict[str, str] = {}
    if pairs:
        pair = pairs[0]
        words = [pair.spliced, pair.unspliced, *([pair.ambiguous] if pair.ambiguous else [])]
        roles = {short[word]: word for word in words}
    free = {stem for stem in matrices if stem not in roles}
    totals = [short[name] for name in total_names(short) if short[name] in free]
    totals += [stem for stem in free if re.search(r"(^|[._-])matrix$", stem, re.IGNORECASE)]
    distinct = list(dict.fromkeys(totals))
    if len(distinct) > 1 or (not distinct and not roles and len(free) > 1):
        raise DataError(
            f"the folder holds several matrices ({shown_list(sorted(free))}) of which each "
            "could be the total counts, expected one; put each sample into its own folder."
        )
    if not distinct and not roles:
        distinct = list(free)
    return roles, distinct[0] if distinct else None


def _shared_prefix(names: list[str]) -> str:
    if len(names) < 2:
        return ""
    first, last = min(names), max(names)
    length = next(
        (i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b),
        min(len(first), len(last)),
    )
    cut = max(first[:length].rfind(mark) for mark in "._-")
    return first[: cut + 1]


@dataclass
class _Part:
    """One matrix with its own cells and genes."""

    matrix: sparse.csr_matrix
    cells: list[str]
    var: pd.DataFrame

    def aligned(self, cells: list[str]) -> sparse.csr_matrix:
        if cells == self.cells:
            return self.matrix
        place = {cell: row for row, cell in enumerate(self.cells)}
        return sparse.csr_matrix(self.matrix[[place[cell] for cell in cells]])


def _common(parts: list[_Part], notes: list[str]) -> list[str]:
    """Cells that all matrices have, in the order of the first; the genes must be the same."""
    first = parts[0]
    for part in parts[1:]:
        if not part.var.index.equals(first.var.index):
            raise DataError(
                "its matrices list different genes, expected one list for all; count them "
                "with one reference."
            )
    if all(part.cells == first.cells for part in parts):
        return first.cells
    if any(len(set(part.cells)) != len(part.cells) for part in parts):
        raise DataError(
            "its matrices list different cells and some barcodes twice, so cells cannot be "
            "matched; make the barcodes unique."
        )
    shared = set(first.cells).intersection(*(set(part.cells) for part in parts[1:]))
    if not shared:
        raise DataError(
            "its matrices have no barcode in common, expected the same cells in all; give "
            "matrices of one sample."
        )
    most = max(len(part.cells) for part in parts)
    notes.append(
        f"The matrices list different cells; the {len(shared):,} of up to {most:,} that all have "
        "were kept."
    )
    return [cell for cell in first.cells if cell in shared]


def _read_parts(
    reader: Reader, file: Path, stem: str, files: list[Path], notes: list[str], *, alone: bool
) -> list[_Part]:
    """Read one file: one matrix, or three where each line holds three counts."""
    cell_file = _names_for(stem, files, CELL_FILE, "barcodes", alone=alone)
    gene_file = _names_for(stem, files, _GENES, "genes", alone=alone)
    matrices = reader.matrices(file)
    cells_first = re.match(r"cells?_x_", stem, re.IGNORECASE) is not None
    fit = _fit(
        matrices[0].shape, reader.names(cell_file), reader.names(gene_file), file, cells_first
    )
    for listed in (fit.cells, fit.genes):
        refuse_hidden_header(listed)
        notes += [note for note in header_note(listed) if note not in notes]
    cells = cells_of(fit.cells)
    var = genes_of(fit.genes, _symbols_beside(reader, gene_file, files))
    return [_Part(fit.oriented(one), cells, var) for one in matrices]


def _names_for(
    stem: str, files: list[Path], pattern: re.Pattern[str], what: str, *, alone: bool
) -> Path:
    """Find the file with names that goes with a matrix: of the longest common beginning."""
    hits: list[tuple[int, Path]] = []
    for file in files:
        match = pattern.match(file.name)
        if match is None or (match.groupdict().get("names")):
            continue
        own = match.group("stem").rstrip("._-").lower()
        if stem.lower().startswith(own) or alone:
            hits.append((len(own) if stem.lower().startswith(own) else -1, file))
    if not hits:
        raise DataError(
            f"the folder holds {shown(stem)}.mtx but no {what} file, expected {what}.tsv or "
            ".txt next to it; add it to the folder."
        )
    best = max(score for score, _ in hits)
    chosen = [file for score, file in hits if score == best]
    # features.tsv replaces genes.tsv in newer versions; both together hold the same
    return chosen[0]


def _symbols_beside(reader: Reader, file: Path, files: list[Path]) -> list[str]:
    """Read kallisto | bustools' file of symbols; nothing where there is none."""
    beside = re.sub(r"genes\.(tsv|txt)", r"genes.names.\1", file.name)
    extra = next((f for f in files if f.name == beside and beside != file.name), None)
    return [] if extra is None else [row[0] for row in reader.names(extra).rows]


@dataclass(frozen=True)
class _Fit:
    """Lists of names with one line for each row and column of a matrix."""

    cells: NameList
    genes: NameList
    #: Whether its rows are the cells.
    as_cells: bool

    def oriented(self, matrix: sparse.coo_matrix) -> sparse.csr_matrix:
        return sparse.csr_matrix(matrix if self.as_cells else matrix.T)


def _fit(
    shape: tuple[int, int], cells: NameList, genes: NameList, file: Path, cells_first: bool
) -> _Fit:
    """Find which way a matrix stands, by the numbers of names, of which one may be a header."""
    fits = [
        _Fit(fitted_cells, fitted_genes, as_cells)
        for as_cells in ((True, False) if cells_first else (False, True))
        if (fitted_cells := cells.fitted(shape[0 if as_cells else 1])) is not None
        and (fitted_genes := genes.fitted(shape[1 if as_cells else 0])) is not None
    ]
    if not fits:
        n_cells, n_genes = shape if cells_first else shape[::-1]
        raise DataError(
            f"{file_name(file)} is {shape[0]:,} x {shape[1]:,} but {len(cells):,} barcodes and "
            f"{len(genes):,} genes are next to it, expected equal "
            f"numbers{cells.off_by_a_line(n_cells) or genes.off_by_a_line(n_genes)}; give files "
            "of one run."
        )
    return next((fit for fit in fits if fit.cells.header is fit.genes.header is None), fits[0])


def _read_alevin(reader: Reader, file: Path, files: list[Path]) -> AnnData:
    by_name = {item.name.lower(): item for item in files}
    names = {}
    for part in ("rows", "cols"):
        hit = by_name.get(f"quants_mat_{part}.txt") or by_name.get(f"quants_mat_{part}.txt.gz")
        if hit is None:
            raise DataError(
                f"the folder holds quants_mat.mtx but no quants_mat_{part}.txt; add it to the "
                "folder."
            )
        names[part] = reader.names(hit)
    (counts,) = reader.matrices(file, most=1)
    fit = _fit(counts.shape, names["rows"], names["cols"], file, cells_first=True)
    cells, columns = fit.cells.at(0), fit.genes.at(0)
    matrix = fit.oriented(counts)
    obs = pd.DataFrame(index=pd.Index(cells, dtype=object))
    third = len(columns) // 3
    genes = columns[:third]
    usa = (
        third > 0
        and len(columns) == 3 * third
        and columns[third : 2 * third] == [f"{gene}-U" for gene in genes]
        and columns[2 * third :] == [f"{gene}-A" for gene in genes]
    )
    if not usa:
        return AnnData(X=matrix, obs=obs, var=pd.DataFrame(index=pd.Index(columns, dtype=object)))
    csc = matrix.tocsc()
    return AnnData(
        obs=obs,
        var=pd.DataFrame(index=pd.Index(genes, dtype=object)),
        layers={
            key: sparse.csr_matrix(csc[:, number * third : (number + 1) * third])
            for number, key in enumerate(_USA)
        },
    )
