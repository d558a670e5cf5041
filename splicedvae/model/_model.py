"""SplicedVAE: scVI with a decoder that predicts the splicing ratio from total counts alone."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, issparse, vstack
from scipy.special import logit
from scvi import REGISTRY_KEYS, settings
from scvi.data._utils import _check_if_view, _get_adata_minify_type
from scvi.data.fields import (
    CategoricalJointObsField,
    CategoricalObsField,
    NumericalJointObsField,
    NumericalObsField,
)
from scvi.model import SCVI
from scvi.module._constants import MODULE_KEYS
from torch.distributions import Normal

from splicedvae._core.counts import at_counts
from splicedvae._core.epochs import default_epochs
from splicedvae._core.errors import DataError
from splicedvae._core.gene_identity import GeneIdentity
from splicedvae._core.keys import HeadKind, Layers, Obsm, RatioLikelihood
from splicedvae._core.labels import batch_labels, label_texts
from splicedvae._core.novelty import NOVEL
from splicedvae._core.writable import make_writable
from splicedvae.model import _folder
from splicedvae.model._adaptation import Adaptation
from splicedvae.model._alignment import GeneAlignment, align_genes
from splicedvae.model._cells import Cells, PredictedBlock, canonical
from splicedvae.model._fields import (
    OptionalLayerField,
    OptionalLayersManager,
    TotalsField,
    contents_in,
    identity_in,
)
from splicedvae.model._looking import (
    look_before_setup,
    looked_at,
    with_known_batches,
)
from splicedvae.model._minibatches import (
    BlockSplitter,
    Fixed,
    SparseCells,
    covariates_of,
    whole_batches,
)
from splicedvae.model._plan import BlockTrainingPlan, RatioTrainingPlan
from splicedvae.model._schedule import LearningRateDecay, plan_options
from splicedvae.model._streaming import (
    Compression,
    ReconstructedFile,
    Source,
    reconstruct_to,
)
from splicedvae.model._sums import AdaptationSums, NoveltySums, log_normalised
from splicedvae.module import (
    DispersionFit,
    Entries,
    RatioHead,
    SplicedVAEModule,
    has_step,
)
from splicedvae.module._module import SPLICED_KEY, UNSPLICED_KEY
from splicedvae.reconstruction import Counts, add_predicted_layers

#: Counted entries that the scatter of counts and the experts' amplitude are found from.
MAX_FITTED_ENTRIES = 1_000_000
#: Vectors beside the components that are looked for, and blocks of the iteration that finds them.
OVERSAMPLED = 10
KRYLOV_BLOCKS = 6
#: Options of the trainer that ask something of each step, so that steps are taken one by one.
_NEEDS_PLAIN_STEPS = frozenset(
    {"accumulate_grad_batches", "gradient_clip_val", "gradient_clip_algorithm", "strategy"}
)

#: Share of the cells that scvi-tools trains on where none is named.
DEFAULT_TRAIN_SIZE = 0.9
#: Draws behind the mean of a logistic normal latent state, as in scvi-tools.
N_LATENT_DRAWS = 5_000

logger = logging.getLogger(__name__)


class RatioInterval(NamedTuple):
    """Posterior mean of the splicing ratio with a credible interval.

    The interval covers the uncertainty about the cell's latent state, not the scatter of the
    counts themselves.

    Parameters
    ----------
    mean
        Posterior mean, shape (n_cells, n_genes).
    lower
        Lower end of the interval, same shape.
    upper
        Upper end, same shape.
    """

    mean: pd.DataFrame
    lower: pd.DataFrame
    upper: pd.DataFrame


class SplicedVAE(SCVI):
    """Variational autoencoder of total counts that also predicts the splicing ratio.

    Adds to scVI :cite:p:`Lopez18` a decoder for rho = S / (S + U) per gene and cell, trained
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
    >>> totals_only.layers.clear()
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
            In the words of `splicedvae.io.read`, if the totals are no raw counts, which `train`
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

        This is the baseline of every comparison: the latent space knows expression only, and
        `train` then fits the head alone.

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
            As for the class. By default the latent space alone is heard, so that the comparison
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
                "The scVI model is not trained, a trained one was expected; call its `train()` "
                "first."
            )
        given = scvi_model.init_params_
        options = {**given["non_kwargs"]}
        for more in given["kwargs"].values():
            options.update(more)
        if not options.pop("use_observed_lib_size", True):
            raise DataError(
                "The scVI model infers library sizes, SplicedVAE uses observed ones; train it "
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
                f"The scVI model was made with {', '.join(unknown)}, which SplicedVAE does not "
                "have; make it without."
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

    def align(self, adata: AnnData) -> tuple[AnnData, GeneAlignment]:
        """Bring the genes of an AnnData to the model's, by identifier or name.

        Parameters
        ----------
        adata
            AnnData, cells x any genes, with total counts where the model was set up to look.

        Returns
        -------
        The AnnData itself where nothing was to be done, otherwise a new one; and what was done.

        Raises
        ------
        GenesError
            If fewer than half of the model's genes are found, or a name stands twice and no
            identifier tells the genes apart.
        DataError
            If the layer with total counts is missing.
        """
        self._check_layer(adata)
        setup = self.registry_["setup_args"]
        layer = setup["layer"]
        layers = [setup["spliced_layer"], setup["unspliced_layer"]]
        names = [*([layer] if layer else []), *layers]
        return align_genes(adata, self.gene_identity, layers=names)

    def _check_layer(self, adata: AnnData) -> None:
        layer = self.registry_["setup_args"]["layer"]
        if layer is not None and layer not in adata.layers:
            raise DataError(
                f"The data has no layer '{layer}', in which the model was set up to find total "
                f"counts; put them there."
            )

    def _check_to_predict(self, adata: AnnData) -> None:
        """Refuse data in memory that holds no raw total counts where the model looks."""
        if adata.isbacked:
            raise DataError(
                "The AnnData is backed, one in memory or the name of its file was expected; give "
                "the name of the file."
            )
        _refuse_minified(adata, "be divided")

    def _looked_at(self, adata: AnnData) -> tuple[AnnData, Counts | None]:
        """Look at data that is not the model's own as a file is looked at that is read."""
        contents = contents_in(self.registry_)
        if adata is self.adata or _get_adata_minify_type(adata) is not None:
            return adata, contents
        self._check_layer(adata)
        setup = self.registry_["setup_args"]
        names = ("layer", "spliced_layer", "unspliced_layer")
        adata, told = looked_at(adata, **{name: setup[name] for name in names}, contents=contents)
        return adata, told or contents

    def _validate_anndata(self, adata: AnnData | None = None, copy_if_view: bool = True) -> AnnData:
        if adata is None and self.adata is None:
            raise DataError(
                "Neither the call nor the model has data, an AnnData with total counts was "
                "expected; pass one."
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

    def train(
        self,
        max_epochs: int | None = None,
        accelerator: str = "auto",
        devices: int | list[int] | str = "auto",
        train_size: float | None = None,
        validation_size: float | None = None,
        shuffle_set_split: bool = True,
        load_sparse_tensor: bool = False,
        batch_size: int = 128,
        early_stopping: bool = False,
        datasplitter_kwargs: dict[str, Any] | None = None,
        plan_kwargs: dict[str, Any] | None = None,
        **trainer_kwargs: Any,
    ) -> None:
        """Train on the registered AnnData, which must have both layers.

        Parameters
        ----------
        max_epochs
            Passes over the data; ``None`` takes 100 up to 20,000 cells and fewer above.
        accelerator
            Lightning's name of the device kind.
        devices
            Lightning's choice of devices.
        train_size
            Share of the cells to train on; ``None`` takes all of them, or 0.9 with early
            stopping. The rest only monitors training; of a few hundred cells, each is needed.
        validation_size
            Share of the cells to monitor with; ``None`` takes what is left.
        shuffle_set_split
            Whether the split is random.
        load_sparse_tensor
            Whether minibatches stay sparse on their way to the device.
        batch_size
            Cells per minibatch.
        early_stopping
            Whether to stop when the monitored loss no longer falls.
        datasplitter_kwargs
            Further arguments of `scvi.dataloaders.DataSplitter`.
        plan_kwargs
            Further arguments of `splicedvae.model.RatioTrainingPlan`: ``lr`` for expression
            (0.006 to begin with; unless training may stop early it falls along a line over the
            second half of the epochs), ``ratio_lr`` for the ratio head (that of expression),
            ``n_epochs_kl_warmup`` (half of the epochs), and scvi-tools' others.
        **trainer_kwargs
            Further arguments of `scvi.train.Trainer`, such as ``callbacks``.

        Raises
        ------
        DataError
            If a layer is missing, not a count, or empty, or a cell has no counts.
        """
        layers = self._layers_to_train_on()
        if train_size is None and validation_size is None and not early_stopping:
            train_size = 1.0
        assert self.adata is not None
        if max_epochs is None:
            max_epochs = default_epochs(self.adata.n_obs)
        plan_kwargs = plan_options(max_epochs, plan_kwargs)
        totals = csr_matrix(self._totals(self.adata), dtype=np.float32)
        fixed = self._fit_components(totals)
        if layers is not None and not self.head_fitted_:
            sums = [torch.from_numpy(_column_sums(layer)) for layer in layers]
            for head in self.module.ratio_heads:
                head.set_intercept(*sums)
        cells = None
        if layers is not None:
            spliced, unspliced = (csr_matrix(layer, dtype=np.float32) for layer in layers)
            covariates = covariates_of(self.adata_manager)
            cells = SparseCells(totals, spliced, unspliced, covariates, fixed)
        in_blocks = (
            has_step(self.module)
            and not load_sparse_tensor
            and devices in ("auto", 1)
            and not (set(datasplitter_kwargs or ()) - {"drop_last"})
            and not (set(plan_kwargs) & {"reduce_lr_on_plateau", "compile"})
            and not (set(trainer_kwargs) & _NEEDS_PLAIN_STEPS)
        )
        if not early_stopping and "reduce_lr_on_plateau" not in plan_kwargs:
            callbacks = list(trainer_kwargs.get("callbacks") or ())
            trainer_kwargs["callbacks"] = [*callbacks, LearningRateDecay()]
        if in_blocks:
            trainer_kwargs.setdefault("log_every_n_steps", 1)
        else:
            n_train = _n_training(self.adata.n_obs, train_size, datasplitter_kwargs)
            batch_size = whole_batches(n_train, batch_size)
        with self._blocks(cells) if cells is not None and in_blocks else nullcontext():
            super().train(
                max_epochs=max_epochs,
                accelerator=accelerator,
                devices=devices,
                train_size=train_size,
                validation_size=validation_size,
                shuffle_set_split=shuffle_set_split,
                load_sparse_tensor=load_sparse_tensor,
                batch_size=batch_size,
                early_stopping=early_stopping,
                datasplitter_kwargs=datasplitter_kwargs,
                plan_kwargs=plan_kwargs,
                **trainer_kwargs,
            )
        self.head_fitted_ = True
        if cells is not None:
            self._fit_after_training(cells)

    @contextmanager
    def _blocks(self, cells: SparseCells) -> Iterator[None]:
        """Train with blocks of sparse minibatches while this is open."""
        self._training_plan_cls = BlockTrainingPlan
        self._data_splitter_cls = partial(BlockSplitter, cells=cells)
        try:
            with warnings.catch_warnings():
                # A last minibatch of a cell or two joins the one before it.
                warnings.filterwarnings("ignore", message="Last batch will have a small size")
                yield
        finally:
            del self._training_plan_cls, self._data_splitter_cls

    def _fit_components(self, totals: csr_matrix) -> Fixed:
        """Find principal components of the totals, or the means of batches that are new.

        Returns
        -------
        What does not change of the cells while the module trains.
        """
        components, head = self.module.components, self.module.ratio_head_components
        scores = latent = None
        if components is not None and head is not None:
            batch = np.asarray(
                self.adata_manager.get_from_registry(REGISTRY_KEYS.BATCH_KEY), dtype=int
            ).ravel()
            if not self.head_fitted_:
                sizes = np.asarray(totals.sum(axis=1)).ravel()
                components.size.fill_(float(np.median(sizes)))
            logged = log_normalised(totals, float(components.size))
            for index in np.unique(batch):
                # A batch that was trained before keeps its mean.
                if not components.mean[:, index].any():
                    mean = np.asarray(logged[batch == index].mean(axis=0)).ravel()
                    components.mean[:, index] = torch.from_numpy(mean).to(components.mean)
            means = components.mean.T.cpu().numpy()
            if not self.head_fitted_:
                found = _loadings(logged, means, batch, components.n_components)
                components.loadings.zero_()
                components.loadings[: len(found)] = torch.from_numpy(found).to(components.loadings)
            axes = components.loadings.cpu().numpy()
            scores = np.asarray(logged @ axes.T - (means @ axes.T)[batch], dtype=np.float32)
            if not self.head_fitted_:
                _set_moments(head, totals, scores)
        if self.expression_frozen_:
            latent = self._frozen_latent()
            if self.module.ratio_head.kind == "linear" and not self.head_fitted_:
                _set_moments(self.module.ratio_head, totals, *latent)
        return Fixed(scores, latent)

    def _frozen_latent(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Encode the cells once: mean and standard deviation of each latent state."""
        means, deviations = [], []
        self.module.eval()
        with torch.inference_mode():
            for tensors in self._make_data_loader(adata=self.adata):
                inputs = self.module._get_inference_input(tensors)
                qz = self.module.inference(**inputs)[MODULE_KEYS.QZ_KEY]
                means.append(qz.loc.cpu().numpy())
                deviations.append(qz.scale.cpu().numpy())
        return np.concatenate(means), np.concatenate(deviations)

    def _fit_after_training(self, cells: SparseCells) -> None:
        r"""Find the experts' amplitude and each gene's concentration, from one pass over cells.

        Each expert's deviation d from the gene's log-odds is a posterior mean: regressing the
        truth on it gives a slope of one. Their average, as far as they differ, varies less, and the
        truth's slope on it is

        .. math:: \frac{2 (v_1 + v_2)}{v_1 + v_2 + 2 c} \ge 1

        with variances v and covariance c of the deviations, weighted by the information of each
        entry (Ranjan and Gneiting 2010: a linear pool of calibrated forecasts lacks sharpness).
        The concentration says how much counts scatter around the ratio that this amplitude gives.
        """
        module = self.module
        two = module.ratio_head_components is not None
        fits_concentration = module.ratio_head.likelihood != "beta-binomial"
        if not two and not fits_concentration:
            return
        n_genes = len(self.genes)
        log_odds = module.ratio_head.log_odds.cpu().numpy().astype(np.float64)
        share = 1 / (1 + np.exp(-log_odds))
        rows = np.arange(len(cells))
        if cells.n_entries > MAX_FITTED_ENTRIES:
            size = max(1, int(MAX_FITTED_ENTRIES * len(rows) / cells.n_entries))
            rows = np.sort(np.random.default_rng(0).choice(rows, size, replace=False))
        seen: list[tuple[NDArray[Any], ...]] = []
        module.eval()
        for start in range(0, len(rows), settings.batch_size):
            part = cells.minibatch(rows[start : start + settings.batch_size])
            totals = Entries.at(part.index, part.totals, n_genes)
            at = Entries.at(part.counted_index, part.totals_at_counted, n_genes)
            ratios, _, _ = module.counted_ratios(part.covariates, totals, at)
            by_expert = np.stack([ratio.cpu().numpy() for ratio in ratios])
            seen.append((at.genes.numpy(), part.counted.numpy(), part.spliced.numpy(), by_expert))
        genes, n, s = (np.concatenate([part[i] for part in seen]) for i in range(3))
        ratios = np.concatenate([part[3] for part in seen], axis=1)
        if two:
            deviations = logit(ratios.astype(np.float64)) - log_odds[genes]
            weights = n * (share * (1 - share))[genes]
            moments = (deviations * weights) @ deviations.T
            variances, covariance = np.trace(moments), max(moments[0, 1], 0.0)
            if variances > 0:
                module.amplitude.fill_(2 * variances / (variances + 2 * covariance))
        if fits_concentration:
            columns = torch.from_numpy(genes)
            combined = module.combined_at(torch.from_numpy(ratios), columns)
            fit = DispersionFit(n_genes)
            fit.add(torch.from_numpy(s), torch.from_numpy(n), combined, columns)
            parameter = module.ratio_head.log_concentration
            parameter.copy_(fit.log_concentration().to(parameter.device))

    def get_ratio_concentration(self) -> pd.Series:
        r"""How tightly the spliced share of a gene's counts lies around the predicted ratio.

        The spliced count of a gene in a cell, given n counted molecules, is predicted as
        beta-binomial with mean ratio :math:`\rho` and concentration c, whose variance is
        :math:`n\rho(1-\rho)(c + n)/(c + 1)`. Fitted per gene after training, or trained with
        ``ratio_likelihood="beta-binomial"``.

        Returns
        -------
        Concentrations by gene, in pseudo-molecules; large ones mean a binomial.
        """
        self._check_if_trained(warn=False)
        values = torch.exp(self.module.ratio_head.log_concentration.detach()).cpu().numpy()
        return pd.Series(values, index=self.genes, name="concentration")

    def sample_splicing_ratio(
        self,
        adata: AnnData | None = None,
        n_samples: int = 20,
        *,
        seed: int = 0,
        batch_size: int | None = None,
        adaptation: Adaptation | None = None,
    ) -> Iterator[csr_matrix]:
        """Yield draws of the splicing ratio from the posterior, one whole data set at a time.

        A draw takes one set of slopes for all cells and a latent state for each cell, so that
        what is made of it, such as a velocity, varies as the model's knowledge does. The experts
        on the latent state and on principal components take turns.

        Parameters
        ----------
        adata
            As for `get_splicing_ratio`.
        n_samples
            Number of draws.
        seed
            Seed of the draws.
        batch_size
            Cells at a time.
        adaptation
            As for `get_splicing_ratio`.

        Yields
        ------
        CSR float32 of the pattern of the non-zero total counts, cells x the model's genes.

        Raises
        ------
        GenesError, DataError
            As for `get_splicing_ratio`.
        """
        self._check_if_trained(warn=False)
        adata = self._validate_anndata(adata)
        self._tell_of_minified(adata)
        self.module.eval()
        generator = torch.Generator().manual_seed(seed)
        if _get_adata_minify_type(adata) is not None:
            yield from self._minified_draws(adata, n_samples, generator, batch_size, adaptation)
            return
        cells = self._cells(adata)
        mean = None
        if adaptation is not None:
            (predicted,) = self._predicted(cells, batch_size=batch_size)
            mean = predicted.ratio.data
        heads = self.module.ratio_heads
        for number in range(n_samples):
            expert = number % len(heads)
            with torch.no_grad():
                draw = heads[expert].draw(generator)
            ((totals, minibatches),) = cells.minibatches(batch_size)
            values = np.concatenate(
                [
                    self.module.counted_draw(*part, expert, draw, generator).cpu().numpy()
                    for part in minibatches
                ]
            )
            if adaptation is not None:
                values = adaptation.apply_at(values, totals.indices, mean)
            yield csr_matrix((values, totals.indices, totals.indptr), shape=totals.shape)

    def _minified_draws(
        self,
        adata: AnnData,
        n_samples: int,
        generator: torch.Generator,
        batch_size: int | None,
        adaptation: Adaptation | None,
    ) -> Iterator[csr_matrix]:
        """Yield draws for latent states without counts, of the expert on them alone."""
        totals = csr_matrix(self._totals(adata), dtype=np.float32)
        for _ in range(n_samples):
            with torch.no_grad():
                draw = self.module.ratio_heads[0].draw(generator)
            blocks = (
                _adapted(
                    self.module.ratio_draw(tensors, 0, draw, generator).cpu().numpy(),
                    adaptation,
                    None if adaptation is None else self.module.ratio(tensors).cpu().numpy(),
                )
                for tensors in self._make_data_loader(adata=adata, batch_size=batch_size)
            )
            yield _at_counts(totals, blocks)

    def _layers_to_train_on(self) -> tuple[Any, Any] | None:
        """Check what is to be trained on; None if a fitted head meets totals alone."""
        if self.adata is None:
            raise DataError(
                "The model has no data, an AnnData registered with `setup_anndata` was expected; "
                "make the model from one to train it."
            )
        totals = self.get_from_registry(self.adata, REGISTRY_KEYS.X_KEY)
        setup = self.registry_["setup_args"]
        names = (setup["spliced_layer"], setup["unspliced_layer"])
        looked_at(
            self.adata,
            layer=setup["layer"],
            spliced_layer=names[0],
            unspliced_layer=names[1],
            contents="exonic",
        )
        if self.adata.n_obs < 2:
            raise DataError(
                "There is 1 cell to train on, at least 2 were expected; give more cells."
            )
        empty = int((np.asarray(totals.sum(axis=1)).ravel() <= 0).sum())
        if empty:
            raise DataError(
                f"{empty:,} cells have no counts in the chosen genes, at least one count each was "
                "expected; leave those cells out."
            )
        if self.head_fitted_ and not any(name in self.adata.layers for name in names):
            return None
        layers = []
        for name in names:
            if name not in self.adata.layers:
                raise DataError(
                    f"The data has no layer '{name}', training needs spliced and unspliced counts; "
                    "name the layers in `setup_anndata`, or predict with a model trained on data "
                    "that has them."
                )
            layer = self.adata.layers[name]
            values = layer.data if issparse(layer) else np.asarray(layer)
            if not np.isfinite(values).all() or (values < 0).any():
                raise DataError(
                    f"The layer '{name}' holds negative or non-finite values, raw counts were "
                    "expected; name the layer with raw counts."
                )
            if not values.any():
                raise DataError(
                    f"The layer '{name}' holds no counts at all, so there is no splicing to learn; "
                    "check that the counting tool separated spliced and unspliced."
                )
            layers.append(layer)
        return layers[0], layers[1]

    def iter_splicing_ratio(
        self,
        adata: AnnData | None = None,
        indices: Sequence[int] | None = None,
        batch_size: int | None = None,
        adaptation: Adaptation | None = None,
    ) -> Iterator[NDArray[np.float32]]:
        """Yield the posterior mean splicing ratio a block of cells at a time.

        Parameters
        ----------
        adata
            As for `get_splicing_ratio`.
        indices
            As for `get_splicing_ratio`.
        batch_size
            Cells per block; ``None`` takes scvi-tools' setting.
        adaptation
            As for `get_splicing_ratio`.

        Yields
        ------
        Ratios of the next cells in order, float32, shape (at most batch_size, n_genes).
        """
        self._check_if_trained(warn=False)
        adata = self._validate_anndata(adata)
        self._tell_of_minified(adata)
        self.module.eval()
        for tensors in self._make_data_loader(adata=adata, indices=indices, batch_size=batch_size):
            ratio = self.module.ratio(tensors).cpu().numpy().astype(np.float32, copy=False)
            yield _adapted(ratio, adaptation)

    def get_splicing_ratio(
        self,
        adata: AnnData | None = None,
        indices: Sequence[int] | None = None,
        gene_list: Sequence[str] | None = None,
        n_samples: int | None = None,
        credible_level: float = 0.9,
        batch_size: int | None = None,
        adaptation: Adaptation | None = None,
    ) -> pd.DataFrame | RatioInterval:
        """Spliced fraction of each gene in each cell, from total counts alone.

        Parameters
        ----------
        adata
            Cells x genes with total counts; layers, if any, are not looked at. Genes in
            another order, missing or additional are aligned by name, with a warning that
            says what was done. ``None`` takes the data the model was made with.
        indices
            Cells to answer for; ``None`` takes all.
        gene_list
            Genes to return; ``None`` takes all of the model's.
        n_samples
            Draws of the latent state for an interval; ``None`` returns the mean alone.
        credible_level
            Probability inside the interval.
        batch_size
            Cells at a time; ``None`` takes scvi-tools' setting. It changes nothing else.
        adaptation
            What to keep of the prediction for cells of another kind, from `get_adaptation`;
            ``None`` takes the prediction as it is.

        Returns
        -------
        The posterior mean of rho = S / (S + U), a DataFrame of shape (n_cells, n_genes) with
        float32 fractions from 0 to 1; with ``n_samples``, a `RatioInterval` of three such.

        Raises
        ------
        GenesError
            If too few of the model's genes are found, or one asked for is unknown.
        DataError
            If ``n_samples`` or ``credible_level`` is out of range.
        """
        self._check_if_trained(warn=False)
        genes = self.genes
        columns = np.arange(len(genes))
        if gene_list is not None:
            columns = genes.get_indexer(pd.Index(gene_list))
            if (columns < 0).any():
                strange = list(gene_list)[int(np.argmax(columns < 0))]
                raise DataError(
                    f"The gene '{strange}' is not one of the model's {len(genes):,}; look at "
                    "`model.genes`."
                )
        adata = self._validate_anndata(adata)
        names = adata.obs_names if indices is None else adata.obs_names[indices]

        def frame(values: NDArray[np.float32]) -> pd.DataFrame:
            return pd.DataFrame(values, index=names, columns=genes[columns])

        if n_samples is None:
            blocks = [
                block[:, columns]
                for block in self.iter_splicing_ratio(adata, indices, batch_size, adaptation)
            ]
            return frame(np.concatenate(blocks))
        if n_samples < 2 or not 0 < credible_level < 1:
            raise DataError(
                f"`n_samples` is {n_samples} and `credible_level` {credible_level}, expected at "
                "least 2 draws and a level between 0 and 1; choose such."
            )
        self._tell_of_minified(adata)
        tail = (1 - credible_level) / 2
        mean, lower, upper = [], [], []
        self.module.eval()
        for tensors in self._make_data_loader(adata=adata, indices=indices, batch_size=batch_size):
            draws = self.module.ratio(tensors, n_samples=n_samples)
            if adaptation is not None:
                around = self.module.ratio(tensors).cpu().numpy()
                draws = torch.as_tensor(adaptation.apply(draws.cpu().numpy(), around))
            draws = draws[..., columns]
            quantiles = torch.quantile(
                draws, torch.tensor([tail, 1 - tail], device=draws.device), dim=0
            )
            mean.append(draws.mean(dim=0).cpu().numpy())
            lower.append(quantiles[0].cpu().numpy())
            upper.append(quantiles[1].cpu().numpy())
        return RatioInterval(*(frame(np.concatenate(part)) for part in (mean, lower, upper)))

    def get_counted_splicing_ratio(
        self,
        adata: AnnData | None = None,
        *,
        batch_size: int | None = None,
        adaptation: Adaptation | None = None,
    ) -> csr_matrix:
        """Posterior mean splicing ratio where something was counted.

        Memory does not grow with cells x genes: a block of cells is predicted at a time.

        Parameters
        ----------
        adata
            As for `get_splicing_ratio`.
        batch_size
            Cells at a time.
        adaptation
            As for `get_splicing_ratio`.

        Returns
        -------
        CSR float32 of the pattern of the non-zero total counts, cells x the model's genes.

        Raises
        ------
        GenesError, DataError
            As for `get_splicing_ratio`.
        """
        self._check_if_trained(warn=False)
        adata = self._validate_anndata(adata)
        if _get_adata_minify_type(adata) is not None:
            totals = csr_matrix(self._totals(adata), dtype=np.float32)
            blocks = self.iter_splicing_ratio(adata, batch_size=batch_size, adaptation=adaptation)
            return _at_counts(totals, blocks)
        (predicted,) = self._predicted(self._cells(adata), adaptation, batch_size=batch_size)
        return predicted.ratio

    def _cells(self, adata: AnnData) -> Cells:
        """Return validated data as cells whose totals are one block."""
        totals = canonical(self._totals(adata))
        manager = self.get_anndata_manager(adata, required=True)
        return Cells.registered(manager, lambda: iter([totals]))

    def _predicted(
        self,
        cells: Cells,
        adaptation: Adaptation | None = None,
        *,
        batch_size: int | None = None,
    ) -> Iterator[PredictedBlock]:
        """Yield the prediction for each block of cells, in one forward pass."""
        self.module.eval()
        for block, minibatches in cells.minibatches(batch_size):
            ratios, latents = [], []
            for tensors, entries in minibatches:
                _, ratio, qz = self.module.counted_ratios(tensors, entries)
                values = ratio.cpu().numpy()
                if adaptation is not None:
                    values = adaptation.apply_at(values, entries.genes.numpy())
                ratios.append(values)
                latents.append(self._latent_mean(qz).cpu().numpy())
            parts = (np.concatenate(ratios), block.indices, block.indptr)
            yield PredictedBlock(
                block, csr_matrix(parts, shape=block.shape), np.concatenate(latents)
            )

    def _latent_mean(self, qz: Normal) -> torch.Tensor:
        """Mean latent state as scvi-tools gives it."""
        if self.module.latent_distribution == "ln":
            return torch.softmax(qz.sample(torch.Size([N_LATENT_DRAWS])), dim=-1).mean(dim=0)
        return qz.loc

    def get_novelty(self, adata: AnnData | None = None) -> float:
        r"""How unlike the training cells some cells are, as a whole.

        The mean of their log-normalised totals is compared with that of the training cells. The
        part of the shift that the model's principal components express is a change of cell states
        that training knew; the rest is another tissue, platform or species. Novelty is the rest's
        share:

        .. math:: \frac{o}{o + i + v}

        with o and i the squared lengths of the shift outside and inside the components' span (what
        a sample of so many cells shifts by chance is taken off o), and v the variance of the
        training cells along the components.

        Parameters
        ----------
        adata
            As for `get_splicing_ratio`; ``None`` takes the data the model was made with.

        Returns
        -------
        From 0 to 1; above `NOVEL`, 0.25, the cells are of another kind than those of training, and
        what the model says of their ratios is hardly more than its genes' means. Not a number for
        a model without components.

        Raises
        ------
        GenesError, DataError
            As for `get_splicing_ratio`.
        """
        self._check_if_trained(warn=False)
        if self.module.components is None:
            return float("nan")
        return self._novelty_of(self._cells(self._validate_anndata(adata)))

    def _novelty_of(self, cells: Cells) -> float:
        components = self.module.components
        if components is None:
            return float("nan")
        sums = NoveltySums(components)
        for block in cells.blocks():
            sums.add(block)
        return sums.novelty(cells.batch)

    def get_adaptation(
        self,
        adata: AnnData | None = None,
        *,
        novelty: float | None = None,
        batch_size: int | None = None,
    ) -> Adaptation:
        r"""Find what to keep of the predictions for cells of another kind, from totals alone.

        On such cells a prediction strays as a whole, above all in how many molecules are
        unspliced, and its differences between cells are less sure. So its mean over a gene's
        molecules is set to the gene's mean of training, and of the differences a share is kept:

        .. math:: (1 - \text{novelty}) \, \frac{4 c}{v_1 + v_2 + 2 c} \Big/ a

        The first factor is how much of the cells' shift the training cells knew (`get_novelty`).
        The second is what two experts that err each on its own know together (Spearman and Brown
        1910), with v the variances and c the covariance of their deviations within genes in these
        cells; it takes the place of the amplitude a that averaging the experts is given back in
        cells of training. A model with one expert keeps the first factor alone. On cells as those
        of training none of it is needed, and it takes away what is true.

        Parameters
        ----------
        adata
            As for `get_splicing_ratio`.
        novelty
            Novelty of the cells, from 0 to 1; ``None`` takes `get_novelty`. A model without
            components knows none, and keeps the whole unless one is given.
        batch_size
            Cells at a time.

        Returns
        -------
        For ``adaptation``.

        Raises
        ------
        GenesError, DataError
            As for `get_splicing_ratio`.
        """
        adata = self._validate_anndata(adata)
        _refuse_minified(adata)
        if novelty is None:
            novelty = self.get_novelty(adata)
        elif not 0 <= novelty <= 1:
            raise DataError(f"`novelty` is {novelty}, a number from 0 to 1 was expected.")
        return self._adaptation_of(self._cells(adata), novelty, batch_size=batch_size)

    def _adaptation_of(
        self, cells: Cells, novelty: float, *, batch_size: int | None = None
    ) -> Adaptation:
        sums = AdaptationSums(self.module)
        self.module.eval()
        for _, minibatches in cells.minibatches(batch_size):
            for tensors, entries in minibatches:
                experts, combined, _ = self.module.counted_ratios(tensors, entries)
                ratios = [ratio.cpu().numpy() for ratio in (*experts, combined)]
                sums.add(entries.genes.numpy(), entries.counts.numpy(), ratios)
        return sums.adaptation(self.genes, novelty)

    @staticmethod
    def _tell_of_minified(adata: AnnData) -> None:
        if _get_adata_minify_type(adata) is not None:
            warnings.warn(
                "The data is minified, so a gene's own count cannot be heard and its ratio is that "
                "of the latent state alone; pass the AnnData with counts for the full prediction.",
                UserWarning,
                stacklevel=3,
            )

    def reconstruct(
        self,
        adata: AnnData | None = None,
        *,
        counts: Counts | None = None,
        batch_size: int | None = None,
        adapt: bool | None = None,
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
            where the cells are of another kind (`get_novelty`), with a warning.

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
                "Neither the call nor the model has data, an AnnData with total counts was "
                "expected; pass one."
            )
        _refuse_minified(adata, "be divided")
        adata, contents = self._looked_at(adata)
        aligned, alignment = self.align(adata)
        if aligned is adata:
            aligned = adata.copy()
        changed = make_writable(aligned)
        for note in changed:
            warnings.warn(note, UserWarning, stacklevel=2)
        # The aligned data has the model's genes, so nothing below warns again.
        totals = csr_matrix(self._totals(aligned), dtype=np.float32)
        self._check_if_trained(warn=False)
        cells = self._cells(self._validate_anndata(aligned))
        adaptation = self._adaptation_for(cells, adapt, batch_size=batch_size)
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
        )

    def adaptation_for(
        self,
        adata: AnnData,
        adapt: bool | None = None,
        *,
        batch_size: int | None = None,
        novelty: float | None = None,
    ) -> Adaptation | None:
        """Decide whether predictions for some cells are to be adapted, and say what was decided.

        Parameters
        ----------
        adata
            As for `get_splicing_ratio`.
        adapt
            As for `reconstruct`.
        batch_size
            Cells at a time.
        novelty
            Of `get_novelty`, where it is known; ``None`` finds it.

        Returns
        -------
        For ``adaptation``; ``None`` where the prediction is taken as it is.
        """
        self._check_if_trained(warn=False)
        if adapt is False:
            return None
        adata = self._validate_anndata(adata)
        if adapt:
            _refuse_minified(adata)
        return self._adaptation_for(
            self._cells(adata), adapt, batch_size=batch_size, novelty=novelty
        )

    def _adaptation_for(
        self,
        cells: Cells,
        adapt: bool | None,
        *,
        batch_size: int | None = None,
        novelty: float | None = None,
    ) -> Adaptation | None:
        if adapt is False:
            return None
        if novelty is None:
            novelty = self._novelty_of(cells)
        if adapt is None and not novelty > NOVEL:
            return None
        found = self._adaptation_of(cells, novelty, batch_size=batch_size)
        done = (
            "each gene's mean ratio was brought back to that of the training cells, and of the "
            f"differences between cells {found.amplitude:.0%} was kept"
        )
        if adapt is None:
            told = (
                "These cells are of another kind than those the model was trained on (novelty "
                f"{novelty:.2f} of 1): {done}; what is left of a velocity should not be trusted."
            )
        else:
            told = f"{done[0].upper()}{done[1:]}."
        return replace(found, told=told)

    def _totals(self, adata: AnnData) -> Any:
        layer = self.registry_["setup_args"]["layer"]
        return adata.X if layer is None else adata.layers[layer]

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

    def to_folder(self, folder: str | Path, *, details: dict[str, Any] | None = None) -> None:
        """Write the model as safetensors and JSON, which nobody can hide a command in.

        Parameters
        ----------
        folder
            Folder to write ``weights.safetensors`` and ``model.json`` to; made if need be.
        details
            Anything JSON can hold that should travel with the model.
        """
        self._check_if_trained(warn=False)
        _folder.write(self, Path(folder), details or {})

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


def _n_training(n_obs: int, train_size: float | None, options: Mapping[str, Any] | None) -> int:
    """Count the cells that scvi-tools' splitter trains on."""
    indices = (options or {}).get("external_indexing")
    if indices:
        return len(indices[0])
    return math.ceil(n_obs * (DEFAULT_TRAIN_SIZE if train_size is None else train_size))


def _refuse_minified(
    adata: AnnData, needed: str = "compare the cells with those of training"
) -> None:
    """Refuse data without counts, which were needed to do something."""
    if _get_adata_minify_type(adata) is not None:
        raise DataError(
            "The data is minified, so its counts are gone, and total counts were expected to "
            f"{needed}; pass the AnnData with counts."
        )


def _adapted(
    ratio: NDArray[np.float32],
    adaptation: Adaptation | None,
    mean: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Keep of ratios, or of what draws scatter around, what an adaptation says."""
    return ratio if adaptation is None else adaptation.apply(ratio, mean)


def _set_moments(
    head: RatioHead,
    totals: csr_matrix,
    means: NDArray[np.floating],
    deviations: NDArray[np.floating] | None = None,
) -> None:
    """Give a head the moments of expression along features that training does not change."""
    sizes = np.asarray(totals.sum(axis=1), dtype=np.float64).ravel()
    n = len(sizes)
    h = means.astype(np.float64)
    # Dividing the few features by the size of a cell, not its many genes.
    weights = np.concatenate([h, np.ones((n, 1))], axis=1) / (n * np.maximum(sizes, 1)[:, None])
    shares = np.asarray(totals.T @ weights.astype(totals.dtype)).T
    products = h.T @ h / n
    if deviations is not None:
        products += np.diag(np.square(deviations, dtype=np.float64).mean(axis=0))
    like = head.expression.slopes

    def tensor(values: NDArray[np.floating]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(like)

    head.expression.set_moments(
        tensor(h.mean(axis=0)),
        tensor(products),
        tensor(shares[-1]),
        tensor(shares[:-1]),
        counts=float(sizes.mean()),
        n_obs=n,
    )


def _at_counts(totals: csr_matrix, blocks: Iterable[NDArray[np.floating]]) -> csr_matrix:
    """Keep of dense blocks of cells what stands where something was counted."""
    kept: list[csr_matrix] = []
    start = 0
    for block in blocks:
        kept.append(at_counts(totals[start : start + len(block)], block))
        start += len(block)
    return csr_matrix(vstack(kept, format="csr"), dtype=np.float32)


def _loadings(
    logged: csr_matrix, means: NDArray[np.floating], batch: NDArray[np.int_], n: int
) -> NDArray[np.float32]:
    """Find principal axes around each batch's mean, scaled to scores of variance one.

    Returns
    -------
    Shape (at most ``n``, n_genes): fewer where the cells vary along fewer.
    """
    n_cells, n_genes = logged.shape
    n = min(n, n_cells - 1, n_genes - 1)
    if n < 1:
        return np.zeros((0, n_genes), dtype=np.float32)
    member = csr_matrix(
        (np.ones(n_cells), (np.arange(n_cells), batch)), shape=(n_cells, len(means))
    )

    centres = means.astype(logged.dtype)

    def covariance(axes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Multiply vectors, shape (n_genes, n_vectors), by the covariance within batches."""
        narrow = axes.astype(logged.dtype)
        scores = logged @ narrow - (centres @ narrow)[batch]
        both = logged.T @ scores - centres.T @ (member.T @ scores)
        return np.asarray(both, dtype=np.float64) / n_cells

    # Block Krylov iteration (Musco and Musco 2015): products with many vectors at once leave the
    # matrix sparse and go through it fewer times than one vector after the other.
    width = min(n + OVERSAMPLED, n_genes)
    image = covariance(np.random.default_rng(0).standard_normal((n_genes, width)))
    basis, images = np.zeros((n_genes, 0)), []
    for _ in range(KRYLOV_BLOCKS):
        for _ in range(2):  # once leaves rounding error
            image = image - basis @ (basis.T @ image)
        block = np.linalg.qr(image)[0][:, : n_genes - basis.shape[1]]
        basis = np.concatenate([basis, block], axis=1)
        image = covariance(block)
        images.append(image)
        if basis.shape[1] >= n_genes:
            break
    small = basis.T @ np.concatenate(images, axis=1)
    values, turned = np.linalg.eigh((small + small.T) / 2)
    values, turned = values[::-1][:n], turned[:, ::-1][:, :n]
    # What varies a thousandth as much as the first is rounding error.
    useful = values > 1e-6 * max(values[0], 1e-6)
    axes = (basis @ turned[:, useful]).T
    # The sign of an axis is arbitrary; its largest loading is made positive.
    axes *= np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
    return np.asarray(axes / np.sqrt(values[useful])[:, None], dtype=np.float32)


def _column_sums(layer: Any) -> NDArray[np.float64]:
    return np.asarray(layer.sum(axis=0), dtype=np.float64).ravel()
