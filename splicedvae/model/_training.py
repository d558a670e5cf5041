"""Training of the model, and parameters fitted after training."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, issparse
from scipy.special import logit
from scvi import REGISTRY_KEYS, settings
from scvi.model.base import BaseModelClass
from scvi.module._constants import MODULE_KEYS

from splicedvae._core.epochs import default_epochs
from splicedvae._core.errors import DataError
from splicedvae._core.gene_features import gene_features
from splicedvae._core.species import species_of
from splicedvae.model._gene_prior import GenePrior
from splicedvae.model._loadings import loadings
from splicedvae.model._looking import (
    looked_at,
)
from splicedvae.model._minibatches import (
    BlockSplitter,
    Fixed,
    SparseCells,
    covariates_of,
    whole_batches,
)
from splicedvae.model._plan import BlockTrainingPlan
from splicedvae.model._schedule import LearningRateDecay, plan_options
from splicedvae.model._sums import log_normalised
from splicedvae.module import (
    DispersionFit,
    Entries,
    RatioHead,
    has_step,
)

#: Entries with counts used to fit the overdispersion and the experts' amplitude.
MAX_FITTED_ENTRIES = 1_000_000
#: Trainer options that act on each step, so that steps are run one by one.
_NEEDS_PLAIN_STEPS = frozenset(
    {"accumulate_grad_batches", "gradient_clip_val", "gradient_clip_algorithm", "strategy"}
)
#: Share of the cells that scvi-tools trains on where none is named.
DEFAULT_TRAIN_SIZE = 0.9


class TrainingMixin(BaseModelClass):
    """Training in blocks of sparse minibatches, and the fits before and after it."""

    head_fitted_: bool
    expression_frozen_: bool
    gene_prior_: dict[str, Any] | None

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
        if layers is not None:
            self._set_intercepts(*map(_column_sums, layers))
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

    def _set_intercepts(self, spliced: NDArray[np.float64], unspliced: NDArray[np.float64]) -> None:
        """Learn what to expect of each gene, and start from its counts, shape (n_genes,) each."""
        species = species_of(self.gene_identity)
        features = gene_features(self.gene_identity, species)
        prior = None if species is None else GenePrior.fit(spliced, unspliced, features, species)
        self.gene_prior_ = None if prior is None else prior.to_json()
        for head in self.module.ratio_heads:
            if prior is not None:
                head.set_prior(torch.from_numpy(prior.mean(features)), prior.sd)
            if not self.head_fitted_:
                head.set_intercept(torch.from_numpy(spliced), torch.from_numpy(unspliced))

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
                found = loadings(logged, means, batch, components.n_components)
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
        The concentration gives the dispersion of counts around the ratio with this amplitude.
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

    def _layers_to_train_on(self) -> tuple[Any, Any] | None:
        """Check what is to be trained on; None if a fitted head meets totals alone."""
        if self.adata is None:
            raise DataError(
                "The model has no data, expected an AnnData registered with "
                "`setup_anndata`; create the model from one to train it."
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
            raise DataError("There is 1 cell to train on, expected at least 2; give more cells.")
        empty = int((np.asarray(totals.sum(axis=1)).ravel() <= 0).sum())
        if empty:
            raise DataError(
                f"{empty:,} cells have no counts in the selected genes, expected at least "
                "one each; leave those cells out."
            )
        if self.head_fitted_ and not any(name in self.adata.layers for name in names):
            return None
        layers = []
        for name in names:
            if name not in self.adata.layers:
                raise DataError(
                    f"The data has no layer '{name}', but training needs spliced and "
                    "unspliced counts; name the layers in `setup_anndata`, or predict with "
                    "a model trained on data that has them."
                )
            layer = self.adata.layers[name]
            values = layer.data if issparse(layer) else np.asarray(layer)
            if not np.isfinite(values).all() or (values < 0).any():
                raise DataError(
                    f"The layer '{name}' holds negative or non-finite values, expected raw "
                    "counts; name the layer with raw counts."
                )
            if not values.any():
                raise DataError(
                    f"The layer '{name}' holds no counts, so there is no splicing to learn; "
                    "check that the counting tool separated spliced and unspliced."
                )
            layers.append(layer)
        return layers[0], layers[1]


def _n_training(n_obs: int, train_size: float | None, options: Mapping[str, Any] | None) -> int:
    """Count the cells that scvi-tools' splitter trains on."""
    indices = (options or {}).get("external_indexing")
    if indices:
        return len(indices[0])
    return math.ceil(n_obs * (DEFAULT_TRAIN_SIZE if train_size is None else train_size))


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


def _column_sums(layer: Any) -> NDArray[np.float64]:
    return np.asarray(layer.sum(axis=0), dtype=np.float64).ravel()
