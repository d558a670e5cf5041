"""Layers that training needs and prediction does without.

scvi-tools' `LayerField` is never optional: a model that registered spliced and unspliced
layers raises on an AnnData without them, which is this package's main use. Here a missing layer
is registered as absent, so that no loader asks for it; the AnnData is not touched.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager
from scvi.data import _constants as scvi_constants
from scvi.data.fields import BaseAnnDataField, LayerField

from splicedvae._core.gene_identity import GeneIdentity
from splicedvae._core.keys import Counts

_IDENTIFIERS, _SYMBOLS, _CONTENTS = "identifiers", "symbols", "contents"


class TotalsField(LayerField):
    """The total counts, with what says which gene each column is.

    Parameters
    ----------
    registry_key
        Key of the totals in the data loader.
    layer
        Name of the layer, or ``None`` for ``X``.
    contents
        What the totals contain; ``None`` where nothing tells.
    """

    def __init__(
        self, registry_key: str, layer: str | None, contents: Counts | None = None
    ) -> None:
        super().__init__(registry_key, layer, is_count_data=True)
        self._contents = contents

    def register_field(self, adata: AnnData) -> dict[str, Any]:
        """Register the totals and the identity of their genes.

        Parameters
        ----------
        adata
            The AnnData to be registered.
        """
        identity = GeneIdentity.of(adata.var)
        return {
            **super().register_field(adata),
            _IDENTIFIERS: identity.identifiers,
            _SYMBOLS: identity.symbols,
            _CONTENTS: self._contents,
        }

    def transfer_field(
        self, state_registry: dict[str, Any], adata_target: AnnData, **kwargs: Any
    ) -> dict[str, Any]:
        """Register other cells of the same genes, whose identity is kept.

        Parameters
        ----------
        state_registry
            What was recorded of the first AnnData.
        adata_target
            The AnnData to be registered.
        **kwargs
            As for scvi-tools.
        """
        state = super().transfer_field(state_registry, adata_target, **kwargs)
        known = (_IDENTIFIERS, _SYMBOLS, _CONTENTS)
        return {**state, **{key: state_registry[key] for key in known if key in state_registry}}


def identity_in(registry: dict[str, Any]) -> GeneIdentity:
    """Return which genes a registry is of; one of an earlier version knows their names alone.

    Parameters
    ----------
    registry
        Of scvi-tools, as a model holds it.
    """
    state = registry["field_registries"][REGISTRY_KEYS.X_KEY]["state_registry"]
    names = pd.Index(state[LayerField.COLUMN_NAMES_KEY])
    if _IDENTIFIERS not in state:
        return GeneIdentity.of_names(names)
    identifiers, symbols = (
        np.asarray(state[key], dtype=object) for key in (_IDENTIFIERS, _SYMBOLS)
    )
    return GeneIdentity(names, identifiers, symbols)


def contents_in(registry: dict[str, Any]) -> Counts | None:
    """Return what the totals contained that a model was set up on; ``None`` where nothing tells.

    Parameters
    ----------
    registry
        Of scvi-tools, as a model holds it.
    """
    state = registry["field_registries"][REGISTRY_KEYS.X_KEY]["state_registry"]
    contents: Counts | None = state.get(_CONTENTS)
    return contents


class OptionalLayerField(LayerField):
    """A layer of counts that an AnnData may lack.

    Parameters
    ----------
    registry_key
        Key of the layer in the data loader.
    layer
        Name of the layer in ``adata.layers``.
    """

    def __init__(self, registry_key: str, layer: str) -> None:
        super().__init__(registry_key, layer, is_count_data=True)

    def is_present(self, adata: AnnData) -> bool:
        """Whether the AnnData has the layer.

        Parameters
        ----------
        adata
            The AnnData to be registered.
        """
        return self.attr_key in adata.layers

    def transfer_field(
        self, state_registry: dict[str, Any], adata_target: AnnData, **kwargs: Any
    ) -> dict[str, Any]:
        """Register the layer of another AnnData, whether or not the first one had it.

        Parameters
        ----------
        state_registry
            What was recorded of the first AnnData; empty if it lacked the layer.
        adata_target
            The AnnData to be registered.
        **kwargs
            Not used; part of scvi-tools' signature.
        """
        return self.register_field(adata_target)

    def get_summary_stats(self, state_registry: dict[str, Any]) -> dict[str, Any]:
        """Nothing to summarise: the shape is that of the total counts.

        Parameters
        ----------
        state_registry
            What was recorded at registration.
        """
        return {}


class OptionalLayersManager(AnnDataManager):
    """An AnnData manager that records an absent optional layer as absent."""

    def _add_field(
        self,
        field: BaseAnnDataField,
        adata: AnnData,
        source_registry: dict[str, Any] | None = None,
        **transfer_kwargs: Any,
    ) -> None:
        if isinstance(field, OptionalLayerField) and not field.is_present(adata):
            self._registry[scvi_constants._FIELD_REGISTRIES_KEY][field.registry_key] = {
                scvi_constants._DATA_REGISTRY_KEY: {},
                scvi_constants._STATE_REGISTRY_KEY: {},
                scvi_constants._SUMMARY_STATS_KEY: {},
            }
            return
        super()._add_field(
            field=field, adata=adata, source_registry=source_registry, **transfer_kwargs
        )
