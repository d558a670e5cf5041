"""The matrices of an AnnData by name, each looked at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from splicedvae._core.errors import DataError
from splicedvae._core.layers import named_layers
from splicedvae._core.messages import shown, shown_list
from splicedvae.io._counts import Candidate, candidate

RAW_X = "raw.X"
_RAW = {"raw", "raw.x", "raw/x"}


class Matrices:
    """X, raw.X and layers as candidates for counts.

    Parameters
    ----------
    adata
        Data with sound matrices.
    copy
        Whether the given matrices must stay untouched.
    """

    def __init__(self, adata: AnnData, copy: bool) -> None:
        self.adata = adata
        #: Layers that were taken as measured counts.
        self.used: set[str] = set()
        #: Why pairs of layers with usual names were left out.
        self.left_out: list[str] = []
        #: Genes of ``raw`` where its matrix was looked at with all of them.
        self.raw_var: pd.DataFrame | None = None
        self._copy = copy
        self._seen: dict[str, Candidate] = {}

    def _candidate(self, source: str, matrix: Any, genes: pd.DataFrame | None = None) -> Candidate:
        if source not in self._seen:
            names = (self.adata.obs_names, self.adata.var if genes is None else genes)
            self._seen[source] = candidate(matrix, source, names, copy=self._copy)
        return self._seen[source]

    def layer(self, name: str) -> Candidate:
        """Check a layer."""
        return self._candidate(f"layers/{shown(name)}", self.adata.layers[name])

    def main(self) -> Candidate | None:
        """Check ``X``."""
        return None if self.adata.X is None else self._candidate("X", self.adata.X)

    def raw(self, *, like_x: bool) -> Candidate | None:
        """Check ``raw.X``, cut to the genes of ``X`` if layers have only these."""
        raw = self.adata.raw
        if raw is None or raw.X is None:
            return None
        if raw.var_names.equals(self.adata.var_names):
            return self._candidate(RAW_X, raw.X, raw.var)
        if not like_x:
            self.raw_var = raw.var
            return self._candidate(RAW_X, raw.X, raw.var)
        place = raw.var_names.get_indexer(self.adata.var_names) if raw.var_names.is_unique else None
        if place is None or np.any(place < 0):
            return None
        found = self._candidate(RAW_X, raw.X, raw.var)
        if found.matrix.shape[1] != self.adata.n_vars:
            cut = sparse.csr_matrix(found.matrix[:, place])
            names = (self.adata.obs_names, self.adata.var)
            found = candidate(cut, RAW_X, names, copy=False)
            self._seen[RAW_X] = found
        return found

    @property
    def n_more_in_raw(self) -> int:
        """How many genes ``raw`` has that ``X`` has not."""
        raw = self.adata.raw
        return 0 if raw is None else len(raw.var_names.difference(self.adata.var_names))

    def named(self, total: str) -> Candidate:
        """Check the matrix that was requested.

        Raises
        ------
        DataError
            There is no such matrix.
        """
        if total.lower() == "x":
            found = self.main()
            if found is None:
                raise DataError("there is no X in it; name a layer that holds total counts.")
            return found
        name = total.removeprefix("layers/")
        if name in self.adata.layers:
            return self.layer(name)
        if total.lower() in _RAW:
            found = self.raw(like_x=bool(self.used))
            if found is None:
                raise DataError(
                    "there is no raw.X that fits its genes; name X or a layer as total instead."
                )
            return found
        options = ["X", RAW_X] if self.adata.raw is not None else ["X"]
        raise DataError(
            f"there is no '{shown(total)}' to read total counts from, expected one of "
            f"{shown_list([*options, *named_layers(self.adata)])}; name one of them."
        )
