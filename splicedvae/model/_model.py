"""SplicedVAE: scVI with a decoder that predicts the splicing ratio from total counts alone."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from anndata import AnnData
from scvi import REGISTRY_KEYS
from scvi.data._utils import _check_if_view, _get_adata_minify_type
from scvi.data.fields import (
    CategoricalJointObsField,
    CategoricalObsField,
    NumericalJointObsField,
    NumericalObsField,
)
from scvi.model import SCVI

from splicedvae._core.errors import DataError
from splicedvae._core.gene_identity import GeneIdentity
from splicedvae._core.keys import HeadKind, Layers, RatioLikelihood
from splicedvae._core.labels import batch_labels, label_texts
from splicedvae.model import _folder
from splicedvae.model._alignment import align_genes
from splicedvae.model._fields import (
    OptionalLayerField,
    OptionalLayersManager,
    TotalsField,
    identity_in,
)
from splicedvae.model._looking import (
    look_before_setup,
    with_known_batches,
)
from splicedvae.model._plan import RatioTrainingPlan
from splicedvae.model._ratio import RatioMixin
from splicedvae.model._reconstruct import ReconstructionMixin
from splicedvae.model._training import TrainingMixin
from splicedvae.model._transfer import TransferMixin
from splicedvae.module import (
    SPLICED_KEY,
    UNSPLICED_KEY,
    SplicedVAEModule,
)
from splicedvae.reconstruction import Counts

logger = logging.getLogger(__name__)


class SplicedVAE(TrainingMixin, RatioMixin, TransferMixin, ReconstructionMixin, SCVI):
    """Variational autoencoder of total counts that also predicts the splicing ratio.

    Adds to scVI (Lopez et al. 2018) a decoder for rho = S / (S + U) per gene and cell, trained
    jointly on expression and on measured spliced and unspliced counts. The encoder sees
    total counts only, so the trained model answers on data that were never split into
    spliced and unspliced.

    Parameters
    ----------
    adata
        AnnData registered with `setup_anndata`.
    registry
        Registry of an earlier setup, to build the model without data.
    n_hidden
        Nodes per hidden layer of encoder and decoder.
    n_latent
        Dimensions of the latent space.
    n_layers
        Hidden layers of encoder and decoder.
    dropout_rate
        Dropout rate of the encoder.
    dispersion
        Dispersion of expression: ``"gene"``, ``"gene-batch"``, ``"gene-label"`` or
        ``"gene-cell"``.
    gene_likelihood
        Likelihood of expression: ``"nb"``, ``"zinb"``, ``"poisson"`` or ``"normal"``.
    latent_distribution
        ``"normal"`` or ``"ln"`` (logistic normal).
    encode_covariates
        Whether the encoder sees batch and covariates.
    ratio_head
        One of:

        * ``"linear"`` - logit of the ratio linear in the latent state.
        * ``"mlp"`` - one hidden layer between.
    n_hidden_ratio
        Hidden units of the ``"mlp"`` head.
    ratio_likelihood
        One of:

        * ``"binomial"`` - each molecule of a gene in a cell has one chance to be spliced.
        * ``"beta-binomial"`` - that chance varies around the prediction, per gene.
        * ``"weighted-squared-error"`` - squared error of the ratio, weighted by the count.
    ratio_weight
        Weight of the ratio's loss against expression's; 1 is the joint likelihood.
    ratio_shrinkage
        Precision of the Gaussian prior that draws each gene's ratio to a constant, in units of one
        over squared logit; None learns it from the data.
    n_components
        Principal components of the totals that a second expert for the ratio sees; its prediction
        and that from the latent state are averaged. 0 leaves it out.

    Examples
    --------
    >>> import splicedvae
    >>> cells = splicedvae.datasets.simulate()
    >>> train, totals_only = cells[::2].copy(), cells[1::2].copy()
    >>> del totals_only.layers["spliced"], totals_only.layers["unspliced"]
    >>> splicedvae.SplicedVAE.setup_anndata(train)
    >>> model = splicedvae.SplicedVAE(train)
    >>> model.train()
    >>> ratio = model.get_splicing_ratio(totals_only)
    >>> ready_for_scvelo = model.reconstruct(totals_only)

    Notes
    -----
    ``benchmarks/shrinkage.py`` compares the learned shrinkage with fixed ones and with none.

    See Also
    --------
    splicedvae.module.SplicedVAEModule : the torch module.
    scvi.model.SCVI : the model without the ratio.
    """

    _module_cls = SplicedVAEModule
    _training_plan_cls = RatioTrainingPlan

    def __init__(
        self,
        adata: AnnData | None = None,
        registry: dict[str, Any] | None = None,
        n_hidden: int = 128,
        n_latent: int = 10,
        n_layers: int = 1,
        dropout_rate: float = 0.1,
        dispersion: Literal["gene", "gene-batch", "gene-label", "gene-cell"] = "gene",
        gene_likelihood: Literal["zinb", "nb", "poisson", "normal"] = "nb",
        latent_distribution: Literal["normal", "ln"] = "normal",
        encode_covariates: bool = False,
        ratio_head: HeadKind = "linear",
        n_hidden_ratio: int = 128,
        ratio_likelihood: RatioLikelihood = "binomial",
        ratio_weight: float = 1.0,
        ratio_shrinkage: float | None = None,
        n_components: int = 20,
    ) -> None:
        super().__init__(
            adata,
            registry,
            n_hidden=n_hidden,
            n_latent=n_latent,
            n_layers=n_layers,
            dropout_rate=dropout_rate,
            dispersion=dispersion,
            gene_likelihood=gene_likelihood,
            latent_distribution=latent_distribution,
            encode_covariates=encode_covariates,
            ratio_head=ratio_head,
            n_hidden_ratio=n_hidden_ratio,
            ratio_likelihood=ratio_likelihood,
            ratio_weight=ratio_weight,
            ratio_shrinkage=ratio_shrinkage,
            n_components=n_components,
        )
        self._model_summary_string = (
            f"SplicedVAE with n_hidden: {n_hidden}, n_latent: {n_latent}, n_layers: {n_layers}, "
            f"gene_likelihood: {gene_likelihood}, ratio_head: {ratio_head}, ratio_likelihood: "
            f"{ratio_likelihood}, ratio_weight: {ratio_weight}, ratio_shrinkage: "
            f"{ratio_shrinkage}, n_components: {n_components}."
        )
        #: Whether only the ratio head is trained, on a latent space that scVI made alone.
        self.expression_frozen_ = False
        #: Whether the ratio head was trained, so that its intercepts are not to be set again.
        self.head_fitted_ = False
        self.gene_prior_: dict[str, Any] | None = None
        self.init_params_ = self._get_init_params(locals())

    @classmethod
    def setup_anndata(
        cls,
        adata: AnnData,
        layer: str | None = None,
        spliced_layer: str = Layers.SPLICED,
        unspliced_layer: str = Layers.UNSPLICED,
        batch_key: str | None = None,
        labels_key: str | None = None,
        size_factor_key: str | None = None,
        categorical_covariate_keys: list[str] | None = None,
        continuous_covariate_keys: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        """Register an AnnData: total counts, and both layers where it has them.

        Parameters
        ----------
        adata
            AnnData, cells x genes. Registration adds columns and entries named ``_scvi...``.
        layer
            Layer with raw total counts; ``None`` takes ``X``.
        spliced_layer
            Layer with spliced counts, needed for training only.
        unspliced_layer
            Layer with unspliced counts, needed for training only.
        batch_key
            Column of obs with the batch of each cell.
        labels_key
            Column of obs with a label of each cell, used by ``dispersion="gene-label"`` only.
        size_factor_key
            Column of obs with size factors, instead of the library size.
        categorical_covariate_keys
            Further categorical columns of obs to condition on.
        continuous_covariate_keys
            Numerical columns of obs to condition on.
        **kwargs
            scvi-tools' own, such as ``source_registry``.

        Raises
        ------
        DataError
            If the counts are not in memory, or a cell has no batch.

        Warns
        -----
        UserWarning
            In the words of `splicedvae.io.read`, if the totals are not raw counts, which `train`
            refuses, or equal the spliced counts.
        """
        setup_method_args = cls._get_setup_method_args(**locals())
        minified = _get_adata_minify_type(adata)
        contents: Counts | None = None
        if minified is None:
            _check_if_view(adata, copy_if_view=True)
            contents = look_before_setup(
                adata,
                layer=layer,
                spliced_layer=spliced_layer,
                unspliced_layer=unspliced_layer,
                batch_key=batch_key,
            )
        fields = [
            TotalsField(REGISTRY_KEYS.X_KEY, layer, contents),
            OptionalLayerField(SPLICED_KEY, spliced_layer),
            OptionalLayerField(UNSPLICED_KEY, unspliced_layer),
            CategoricalObsField(REGISTRY_KEYS.BATCH_KEY, batch_key),
            CategoricalObsField(REGISTRY_KEYS.LABELS_KEY, labels_key),
            NumericalObsField(REGISTRY_KEYS.SIZE_FACTOR_KEY, size_factor_key, required=False),
            CategoricalJointObsField(REGISTRY_KEYS.CAT_COVS_KEY, categorical_covariate_keys),
            NumericalJointObsField(REGISTRY_KEYS.CONT_COVS_KEY, continuous_covariate_keys),
        ]
        if minified is not None:
            fields += cls._get_fields_for_adata_minification(minified)
        manager = OptionalLayersManager(fields=fields, setup_method_args=setup_method_args)
        manager.register_fields(adata, **kwargs)
        cls.register_manager(manager)

    @classmethod
    def from_scvi_model(
        cls,
        scvi_model: SCVI,
        adata: AnnData | None = None,
        *,
        spliced_layer: str = Layers.SPLICED,
        unspliced_layer: str = Layers.UNSPLICED,
        ratio_head: HeadKind = "linear",
        n_hidden_ratio: int = 128,
        ratio_likelihood: RatioLikelihood = "binomial",
        ratio_weight: float = 1.0,
        ratio_shrinkage: float | None = None,
        n_components: int = 0,
    ) -> SplicedVAE:
        """Put a ratio head on a trained standard scVI model, whose weights stay as they are.

        This is the baseline of every comparison: the latent space is trained on expression only,
        and `train` then fits the head alone.

        Parameters
        ----------
        scvi_model
            A trained `scvi.model.SCVI` with observed library size.
        adata
            AnnData with the layers; ``None`` takes the model's own.
        spliced_layer
            Layer with spliced counts.
        unspliced_layer
            Layer with unspliced counts.
        ratio_head
            As for the class.
        n_hidden_ratio
            As for the class.
        ratio_likelihood
            As for the class.
        ratio_weight
            As for the class.
        ratio_shrinkage
            As for the class.
        n_components
            As for the class. By default the head sees only the latent space, so that the comparison
            is one of latent spaces.

        Returns
        -------
        A model whose expression side is the given model's and frozen.

        Raises
        ------
        DataError
            If the scVI model is not trained, or has options that SplicedVAE does not.
        """
        if not scvi_model.is_trained:
            raise DataError(
                "The scVI model is not trained, expected a trained one; call its `train()` first."
            )
        given = scvi_model.init_params_
        options = {**given["non_kwargs"]}
        for more in given["kwargs"].values():
            options.update(more)
        if not options.pop("use_observed_lib_size", True):
            raise DataError(
                "The scVI model infers library sizes, expected observed ones; train it "
                "with `use_observed_lib_size=True`."
            )
        known = {
            "n_hidden",
            "n_latent",
            "n_layers",
            "dropout_rate",
            "dispersion",
            "gene_likelihood",
            "latent_distribution",
            "encode_covariates",
        }
        unknown = sorted(set(options) - known)
        if unknown:
            raise DataError(
                f"The scVI model was created with {', '.join(unknown)}, which SplicedVAE "
                "does not support; create it without."
            )
        adata = scvi_model.adata if adata is None else adata
        setup = dict(scvi_model.registry["setup_args"])
        cls.setup_anndata(
            adata, spliced_layer=spliced_layer, unspliced_layer=unspliced_layer, **setup
        )
        model = cls(
            adata,
            **options,
            ratio_head=ratio_head,
            n_hidden_ratio=n_hidden_ratio,
            ratio_likelihood=ratio_likelihood,
            ratio_weight=ratio_weight,
            ratio_shrinkage=ratio_shrinkage,
            n_components=n_components,
        )
        missing, unexpected = model.module.load_state_dict(
            scvi_model.module.state_dict(), strict=False
        )
        new = ("ratio_head", "components.", "amplitude")
        wrong = [name for name in missing if not name.startswith(new)] + unexpected
        if wrong:
            raise DataError(
                f"The weights {', '.join(wrong[:3])} of the scVI model do not fit SplicedVAE; "
                "train the scVI model with the same version of scvi-tools."
            )
        model._freeze_expression()
        return model

    def _freeze_expression(self) -> None:
        self.expression_frozen_ = True
        self.module.freeze_expression()

    @property
    def genes(self) -> pd.Index:
        """Names of the model's genes, in its order."""
        return self.gene_identity.names

    @property
    def gene_identity(self) -> GeneIdentity:
        """Names, identifiers and symbols of the model's genes, in its order."""
        return identity_in(self.registry_)

    def _validate_anndata(self, adata: AnnData | None = None, copy_if_view: bool = True) -> AnnData:
        if adata is None and self.adata is None:
            raise DataError(
                "Neither the call nor the model has data, expected an AnnData with total "
                "counts; pass one."
            )
        if adata is None or adata is self.adata:
            return super()._validate_anndata(adata, copy_if_view=copy_if_view)
        adata, _ = self._looked_at(adata)
        adata, alignment = self.align(adata)
        if not alignment.is_identity:
            warnings.warn(str(alignment), UserWarning, stacklevel=4)
        setup = self.registry_["setup_args"]
        batch_key = setup["batch_key"]
        if batch_key is not None:
            state = self.registry_["field_registries"][REGISTRY_KEYS.BATCH_KEY]["state_registry"]
            known = [str(c) for c in state["categorical_mapping"]]
            if batch_key not in adata.obs:
                raise DataError(
                    f"The data has no column '{batch_key}' in obs, which the model was trained "
                    f"with; add it, with one of its batches ({', '.join(known[:5])})."
                )
            of_model = label_texts(pd.Series(list(state["categorical_mapping"]), dtype=object))
            strange = sorted(set(batch_labels(adata.obs[batch_key])) - set(of_model))
            if strange:
                raise DataError(
                    f"The batch '{strange[0]}' in obs['{batch_key}'] is not one the model was "
                    f"trained with ({', '.join(known[:5])}); name one of those."
                )
            adata = with_known_batches(adata, batch_key, list(state["categorical_mapping"]))
        return super()._validate_anndata(adata, copy_if_view=copy_if_view)

    @classmethod
    def load(
        cls, dir_path: str, adata: AnnData | Literal[False] | None = None, **kwargs: Any
    ) -> SplicedVAE:
        """Load a model saved with `save`; the AnnData needs neither layers nor the same genes.

        Only load what you saved yourself: the format holds a pickle. Models that travel are
        written with `to_folder`.

        Parameters
        ----------
        dir_path
            Folder given to `save`.
        adata
            AnnData to attach; ``None`` loads the one saved with the model, ``False`` none.
        **kwargs
            As for scvi-tools' ``load``.

        Returns
        -------
        The model.

        Raises
        ------
        GenesError
            If too few of the model's genes are in ``adata``.
        """
        if adata is not None and adata is not False:
            registry = cls.load_registry(dir_path, prefix=kwargs.get("prefix"))
            genes = identity_in(registry)
            setup = registry["setup_args"]
            layers = [setup["layer"], setup["spliced_layer"], setup["unspliced_layer"]]
            adata, alignment = align_genes(adata, genes, layers=[n for n in layers if n])
            if not alignment.is_identity:
                warnings.warn(str(alignment), UserWarning, stacklevel=2)
        model: SplicedVAE = super().load(dir_path, adata, **kwargs)
        if model.expression_frozen_:
            model._freeze_expression()
        return model

    def to_folder(
        self, folder: str | Path, *, details: dict[str, Any] | None = None, small: bool = False
    ) -> None:
        """Write the model as safetensors and JSON, which nobody can hide a command in.

        Parameters
        ----------
        folder
            Folder to write ``weights.safetensors`` and ``model.json`` to; made if need be.
        details
            Anything JSON can hold that should travel with the model.
        small
            Whether to write a quarter of the bytes: weights that no answer depends on are left out
            and matrices over genes have 16 bits, which changes ratios by less than 0.002.
        """
        self._check_if_trained(warn=False)
        _folder.write(self, Path(folder), details or {}, small=small)

    @classmethod
    def from_folder(cls, folder: str | Path) -> SplicedVAE:
        """Read a model written by `to_folder`, without any data.

        Parameters
        ----------
        folder
            The folder.

        Returns
        -------
        A trained model that answers on any AnnData with its genes.

        Raises
        ------
        RunError
            If a file is missing, damaged, of another format, or weights do not fit.
        """
        return _folder.read(cls, Path(folder))
