"""Spliced and unspliced counts from totals, in memory and from file to file."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from anndata import AnnData
from scipy.sparse import csr_matrix
from scvi.model.base import BaseModelClass

from splicedvae._core.errors import DataError
from splicedvae._core.keys import Obsm
from splicedvae._core.orthologs import Orthologs
from splicedvae._core.writable import make_writable
from splicedvae.model._streaming import (
    Compression,
    ReconstructedFile,
    Source,
    reconstruct_to,
)
from splicedvae.model._transfer import refuse_minified
from splicedvae.reconstruction import Counts, add_predicted_layers


class ReconstructionMixin(BaseModelClass):
    """Reconstruction of spliced and unspliced counts."""

    def reconstruct(
        self,
        adata: AnnData | None = None,
        *,
        counts: Counts | None = None,
        batch_size: int | None = None,
        adapt: bool | None = None,
        orthologs: Orthologs | None = None,
    ) -> AnnData:
        """Predict spliced and unspliced counts, ready for scVelo.

        Parameters
        ----------
        adata
            Cells x genes with total counts; it is not changed. ``None`` takes the data the
            model was made with.
        counts
            What the totals contain: ``"with-introns"`` or ``"exonic"``; see
            `splicedvae.reconstruction.reconstruct_counts`. ``None`` takes what measured layers of
            the data say, else those of training, else ``"with-introns"``.
        batch_size
            Cells at a time.
        adapt
            Whether to keep only what is known of other cells (`get_adaptation`); ``None`` does so
            if the cells are out of distribution (`get_novelty`), with a warning.
        orthologs
            As for `align`.

        Returns
        -------
        A new AnnData with the genes that data and model share, in the model's order: totals in
        ``X``, sparse layers ``spliced``, ``unspliced`` (``predicted_...`` where the data has
        measured ones, which are kept) and ``splicing_ratio``; the latent state in
        ``obsm["X_splicedvae"]``; and in ``uns["splicedvae"]["predicted"]`` what was done.

        Raises
        ------
        GenesError, DataError
            As for `get_splicing_ratio`.
        """
        adata = self.adata if adata is None else adata
        if adata is None:
            raise DataError(
                "Neither the call nor the model has data, expected an AnnData with total "
                "counts; pass one."
            )
        refuse_minified(adata, "be divided")
        adata, contents = self._looked_at(adata)
        aligned, alignment = self.align(adata, orthologs=orthologs)
        if aligned is adata:
            aligned = adata.copy()
        changed = make_writable(aligned)
        for note in changed:
            warnings.warn(note, UserWarning, stacklevel=2)
        # The aligned data has the model's genes, so nothing below warns again.
        totals = csr_matrix(self._totals(aligned), dtype=np.float32)
        self._check_if_trained(warn=False)
        cells = self._cells(self._validate_anndata(aligned))
        adaptation = self._adaptation_for(cells, adapt, batch_size=batch_size, orthologs=orthologs)
        told = "" if adaptation is None else adaptation.told
        if told and adapt is None:
            warnings.warn(told, UserWarning, stacklevel=2)
        (predicted,) = self._predicted(cells, adaptation, batch_size=batch_size)
        aligned.obsm[Obsm.LATENT] = predicted.latent
        found = alignment.found
        # A fresh AnnData: registration marks and stale copies stay behind.
        result = aligned[:, found].copy()
        result.X = totals[:, found]
        for key in [key for key in result.uns if key.startswith("_scvi")]:
            del result.uns[key]
        result.obs = result.obs.loc[:, ~result.obs.columns.str.startswith("_scvi")]
        add_predicted_layers(
            result,
            predicted.ratio[:, found],
            counts=counts or contents or "with-introns",
            details={
                "genes": str(alignment),
                "intercepts": told,
                "annotation": " ".join(changed),
            },
        )
        return result

    def reconstruct_to(
        self,
        source: Source,
        out: str | Path,
        *,
        counts: Counts | None = None,
        batch_size: int | None = None,
        adapt: bool | None = None,
        compression: Compression | None = None,
        account: Mapping[str, Any] | None = None,
        orthologs: Orthologs | None = None,
    ) -> ReconstructedFile:
        """Do as `reconstruct` does from a file to a file, for cells that do not fit in memory.

        Some thousand cells at a time are read, predicted and appended to the output. Memory grows
        with the number of cells by what obs and the latent state take, not by their counts. The
        numbers are those of `reconstruct`.

        Parameters
        ----------
        source
            Name of an h5ad file or zarr folder; `splicedvae.io.read_backed` says which are read
            block by block. Others, and an AnnData, are in memory as a whole. Counts are checked
            as `splicedvae.io.read` does. Or what `read_backed` gave, which stays open.
        out
            File to write, ``.h5ad`` or ``.zarr``. It is written under a temporary name and put in
            place at the end, so that a failure leaves an older file of this name as it was.
        counts
            As for `reconstruct`.
        batch_size
            Cells in a forward pass; ``None`` takes scvi-tools' setting.
        adapt
            As for `reconstruct`. Whether the cells are out of distribution is found in a pass
            over the totals before, and what to keep of the predictions in one more.
        compression
            How an h5ad file is packed. ``None`` does not pack, as in anndata; ``"lzf"`` saves a
            third of the disk and takes twice the time, ``"gzip"`` half of it and five times the
            time (`python benchmarks/speed prediction`). A zarr store is packed as zarr does, in
            little more time than none.
        account
            More entries for ``uns["splicedvae"]["predicted"]``.
        orthologs
            As for `align`.

        Returns
        -------
        What was written.

        Raises
        ------
        GenesError, DataError
            As for `reconstruct` and `splicedvae.io.read`, or the output's name cannot be used.

        Examples
        --------
        >>> model.reconstruct_to("totals.h5ad", "predicted.h5ad")  # doctest: +SKIP
        >>> model.reconstruct_to("totals.zarr", "predicted.zarr")  # doctest: +SKIP
        """
        return reconstruct_to(
            self,
            source,
            out,
            counts=counts,
            batch_size=batch_size,
            adapt=adapt,
            compression=compression,
            account=account,
            orthologs=orthologs,
        )
