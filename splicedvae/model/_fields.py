"""Layers that training needs and prediction does without.

scvi-tools' `LayerField` is never optional: a model that registered spliced and unspliced
layers raises on an AnnData without them, which is this package's main use. Here a missing layer
is registered as absent, so that no loader asks for it; the AnnData is not touched.
"""

from __future__ import annotations

from typing import Any

from anndata import AnnData
from scvi.data import AnnDataManager
from scvi.data import _constants as scvi_constants
from scvi.data.fields import BaseAnnDataField, LayerField


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
