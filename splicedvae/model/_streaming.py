"""Prediction for cells that need not fit in memory, from a file to a file.

The totals are read some thousand cells at a time, predicted, and appended to sparse matrices on
disk. Cells that may be new to the model take a pass of their own before (`NoveltySums`), and one
more where they are (`AdaptationSums`). `SplicedVAE.reconstruct` uses the same sums and the same
forward pass, so both give the same numbers.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import h5py
import numpy as np
from anndata import AnnData
from anndata.io import sparse_dataset, write_elem
from scipy.sparse import csr_matrix

from splicedvae import io
from splicedvae._core.errors import DataError
from splicedvae._core.files import replacing
from splicedvae._core.keys import Counts, Layers, Obsm, Uns
from splicedvae._core.layers import named_layers
from splicedvae._core.orthologs import Orthologs
from splicedvae._core.writable import make_writable, zarr_format
from splicedvae.model._alignment import GeneAlignment, align_genes, share_of
from splicedvae.model._cells import Cells, canonical
from splicedvae.model._fields import contents_in
from splicedvae.reconstruction import mark_predicted, reconstruct_counts

if TYPE_CHECKING:
    from splicedvae.model._model import SplicedVAE

#: How values are packed in the file.
Compression = Literal["gzip", "lzf"]
Source: TypeAlias = str | Path | AnnData | io.BackedCounts
Blocks = Callable[[], Iterator[csr_matrix]]

#: Cells of data in memory that are predicted before they are written.
_ROWS = 8192
#: Values in a chunk on disk.
_CHUNK = 1 << 18
#: What HDF5 keeps of a matrix in memory, so that a chunk is written once.
_CACHE_BYTES = 4 << 20


@dataclass(frozen=True)
class ReconstructedFile:
    """A file of predicted counts, as `SplicedVAE.reconstruct_to` wrote it."""

    #: The h5ad file or zarr folder.
    path: Path
    n_obs: int
    n_vars: int
    #: ``uns["splicedvae"]["predicted"]`` of the file.
    account: Mapping[str, Any]
    #: What was done to read the source, one sentence each; empty for data in memory.
    notes: tuple[str, ...] = ()


def reconstruct_to(
    model: SplicedVAE,
    source: Source,
    out: str | Path,
    *,
    counts: Counts | None,
    batch_size: int | None,
    adapt: bool | None,
    compression: Compression | None,
    account: Mapping[str, Any] | None,
    orthologs: Orthologs | None = None,
) -> ReconstructedFile:
    """Do the work of `SplicedVAE.reconstruct_to`, which says what is given and returned."""
    out = _checked(Path(out))
    model._check_if_trained(warn=False)
    with _opened(model, source) as (shell, blocks, opened, contents):
        result, cells, found, alignment, sums = _aligned(model, shell, blocks, orthologs)
        changed = make_writable(result, zarr=out.suffix == ".zarr")
        for note in changed:
            warnings.warn(note, UserWarning, stacklevel=3)
        adaptation = model._adaptation_for(cells, adapt, batch_size=batch_size, orthologs=orthologs)
        told = "" if adaptation is None else adaptation.told
        if told and adapt is None:
            warnings.warn(told, UserWarning, stacklevel=3)
        if not alignment.is_identity:
            # The cells were looked at as a whole to find how new they are.
            alignment = replace(alignment, counts_share=share_of(*sums))
        how: Counts = counts or contents or "with-introns"
        names = mark_predicted(
            result,
            counts=how,
            details={
                "genes": str(alignment),
                "intercepts": told,
                "annotation": " ".join(changed),
            },
        )
        marked = result.uns[Uns.ROOT][Uns.PREDICTED]
        marked.update(account or {})
        with replacing(out) as temporary, _store(temporary) as root:
            write_elem(root, "/", result)
            writer = _Appender(root, compression)
            latents = []
            for block in model._predicted(cells, adaptation, batch_size=batch_size):
                totals, ratio = block.totals, block.ratio
                if not found.all():
                    totals, ratio = totals[:, found], ratio[:, found]
                spliced, unspliced = reconstruct_counts(totals, ratio, counts=how)
                writer.append("X", totals)
                writer.append(f"layers/{names[0]}", spliced)
                writer.append(f"layers/{names[1]}", unspliced)
                writer.append(f"layers/{Layers.RATIO}", ratio)
                latents.append(block.latent)
            write_elem(root["obsm"], Obsm.LATENT, np.concatenate(latents))
    return ReconstructedFile(
        out, result.n_obs, result.n_vars, marked, opened.notes if opened else ()
    )


def _checked(out: Path) -> Path:
    """Check the output's name before any work is done for it."""
    if out.suffix not in (".h5ad", ".zarr"):
        raise DataError(
            f"The output {out.name!r} does not end with .h5ad or .zarr: give it a name that does."
        )
    if not out.absolute().parent.is_dir():
        raise DataError(
            f"The folder {out.parent.name!r} for the output does not exist: create it first."
        )
    if out.is_dir() and not (
        out.suffix == ".zarr" and any((out / name).is_file() for name in ("zarr.json", ".zgroup"))
    ):
        raise DataError(
            f"The output {out.name!r} is a folder but not a zarr store, expected a file or "
            "store to replace: choose another name."
        )
    if out.suffix == ".zarr" and out.is_file():
        raise DataError(f"The output {out.name!r} is a file: choose another name for the store.")
    return out


@contextmanager
def _opened(
    model: SplicedVAE, source: Source
) -> Iterator[tuple[AnnData, Blocks, io.BackedCounts | io.ReadResult | None, Counts | None]]:
    """Open a source: data without X, totals in blocks, what reading said, what totals contain."""
    trained = contents_in(model.registry_)
    opened: io.BackedCounts | io.ReadResult | None = None
    if isinstance(source, str | Path):
        total = model.registry_["setup_args"]["layer"]
        opened = io.read_backed(source, total=total)
        if opened is None:
            opened = io.read(source, total=total)
    elif isinstance(source, io.BackedCounts):
        opened = source
    if isinstance(opened, io.BackedCounts):
        try:
            yield opened.adata, opened.blocks, opened, opened.counts or trained
        finally:
            if opened is not source:
                opened.close()
        return
    if opened is not None:
        adata, totals, contents = opened.adata, opened.adata.X, opened.counts or trained
    else:
        assert isinstance(source, AnnData)
        model._check_to_predict(source)
        adata, contents = model._looked_at(source)
        totals = model._totals(adata)
    whole = canonical(totals)

    def blocks() -> Iterator[csr_matrix]:
        for start in range(0, whole.shape[0], _ROWS):
            yield whole[start : start + _ROWS]

    yield _without_x(adata), blocks, opened, contents


def _without_x(adata: AnnData) -> AnnData:
    """Return all of an AnnData but X; what is large is not copied."""
    raw = adata.raw
    return AnnData(
        obs=adata.obs,
        var=adata.var,
        uns=dict(adata.uns),
        obsm=dict(adata.obsm),
        varm=dict(adata.varm),
        layers={name: adata.layers[name] for name in named_layers(adata)},
        obsp=dict(adata.obsp),
        varp=dict(adata.varp),
        raw=None if raw is None else {"X": raw.X, "var": raw.var, "varm": dict(raw.varm)},
    )


def _aligned(
    model: SplicedVAE, shell: AnnData, blocks: Blocks, orthologs: Orthologs | None
) -> tuple[AnnData, Cells, np.ndarray, GeneAlignment, list[float]]:
    """Bring cells to the model's genes and register them.

    Returns
    -------
    The result without counts; the cells; which of the model's genes the data has; what was done;
    and the counts of the cells read so far: in the model's genes, and in all.
    """
    setup = model.registry_["setup_args"]
    layer, genes = setup["layer"], model.gene_identity
    names = [layer, setup["spliced_layer"], setup["unspliced_layer"]]
    aligned, alignment = align_genes(
        shell, genes, layers=[name for name in names if name], orthologs=orthologs
    )
    found = alignment.found
    selection = None if alignment.is_identity else alignment.selection(shell.n_vars)
    # Registration uses only obs; there are no counts.
    nothing = csr_matrix((shell.n_obs, len(found)), dtype=np.float32)
    registered = AnnData(
        X=nothing,
        obs=shell.obs.copy(),
        var=genes.frame(),
        layers={} if layer is None else {layer: nothing},
    )
    manager = model.get_anndata_manager(model._validate_anndata(registered), required=True)

    sums = [0.0, 0.0]

    def on_genes() -> Iterator[csr_matrix]:
        for block in blocks():
            chosen = block if selection is None else canonical(block @ selection)
            sums[0] += float(chosen.sum())
            sums[1] += float(block.sum())
            yield chosen

    result = aligned[:, found].copy()
    for key in [key for key in result.uns if key.startswith("_scvi")]:
        del result.uns[key]
    result.obs = result.obs.loc[:, ~result.obs.columns.str.startswith("_scvi")]
    return result, Cells.registered(manager, on_genes), found, alignment, sums


@contextmanager
def _store(path: Path) -> Iterator[Any]:
    """Open an empty h5ad file or zarr store for writing."""
    if path.suffix == ".h5ad":
        with h5py.File(path, "w", rdcc_nbytes=_CACHE_BYTES) as file:
            yield file
        return
    import zarr

    group = zarr.open_group(str(path), mode="w", zarr_format=zarr_format())
    yield group
    zarr.consolidate_metadata(group.store)


class _Appender:
    """Appends blocks of cells to sparse matrices on disk.

    Parameters
    ----------
    root
        Of the file or store.
    compression
        How values are packed; a zarr store packs as zarr does.
    """

    def __init__(self, root: Any, compression: Compression | None) -> None:
        self._root = root
        self._options = {"compression": compression} if isinstance(root, h5py.File) else {}
        self._open: dict[str, Any] = {}

    def append(self, place: str, block: csr_matrix) -> None:
        """Append cells to the matrix of a name, which the first block makes."""
        if place in self._open:
            self._open[place].append(block)
            return
        first = block.copy()
        # Later blocks may bring more entries than 32 bits can count.
        first.indptr = first.indptr.astype(np.int64)
        width = min(_CHUNK, max(first.nnz, len(first.indptr)))
        if place in self._root:
            del self._root[place]
        folder, _, name = place.rpartition("/")
        group = self._root[folder] if folder else self._root
        write_elem(group, name, first, dataset_kwargs={**self._options, "chunks": (width,)})
        self._open[place] = sparse_dataset(self._root[place])
