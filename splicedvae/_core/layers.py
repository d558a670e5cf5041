"""The named layers of an AnnData: since anndata 0.13 its layers hold X as well, under None."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anndata import AnnData


def named_layers(adata: AnnData) -> list[str]:
    """Names of the layers without X, in their order."""
    return [name for name in adata.layers if name is not None]


def drop_layers(adata: AnnData) -> None:
    """Remove every layer except X."""
    for name in named_layers(adata):
        del adata.layers[name]
