"""scVI's module with a second decoder, trained jointly on expression and splicing ratio.

Read it top to bottom: `loss` adds the ratio's likelihood and its shrinkage to scVI's
loss; `ratio` gives predictions from the approximate posterior of the latent state. The encoder is
scVI's and sees total counts only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, cast

import numpy as np
import torch
from scvi import REGISTRY_KEYS
from scvi.module import VAE
from scvi.module._constants import MODULE_KEYS
from scvi.module.base import LossOutput, auto_move_data
from torch.distributions import Distribution

from splicedvae._keys import HeadKind, RatioLikelihood
from splicedvae.module._head import RatioHead, SlopesDraw

#: Keys under which the data loader hands over the measured layers.
SPLICED_KEY = "spliced"
UNSPLICED_KEY = "unspliced"

#: Draws of the latent state behind a posterior mean that has no closed form.
N_MEAN_DRAWS = 32


class SplicedVAEModule(VAE):
    """Variational autoencoder of total counts with a decoder for the splicing ratio.

    Parameters
    ----------
    n_input
        Number of genes.
    n_batch
        Number of batches.
    n_labels
        Number of labels.
    n_hidden
        Nodes per hidden layer of encoder and decoder.
    n_latent
        Dimensions of the latent space.
    n_layers
        Hidden layers of encoder and decoder.
    n_continuous_cov
        Number of continuous covariates.
    n_cats_per_cov
        Number of categories of each categorical covariate.
    dropout_rate
        Dropout rate of the encoder.
    dispersion
        Whether the dispersion of expression is per ``"gene"``, ``"gene-batch"``,
        ``"gene-label"`` or ``"gene-cell"``.
    log_variational
        Whether the encoder sees log(1 + x).
    gene_likelihood
        Likelihood of expression: ``"nb"``, ``"zinb"``, ``"poisson"`` or ``"normal"``.
    latent_distribution
        ``"normal"`` or ``"ln"``, as in scVI.
    encode_covariates
        Whether the encoder sees the covariates.
    deeply_inject_covariates
        Whether every hidden layer sees the covariates.
    use_batch_norm
        Where to use batch normalisation: ``"encoder"``, ``"decoder"``, ``"none"``, ``"both"``.
    use_layer_norm
        Where to use layer normalisation, likewise.
    use_size_factor_key
        Whether a registered size factor replaces the library size.
    use_observed_lib_size
        Whether the observed library size scales expression.
    library_log_means
        Mean log library size per batch, shape (1, n_batch), where library size is inferred.
    library_log_vars
        Its variances, same shape.
    var_activation
        Function that makes the variance of the approximate posterior positive.
    ratio_head
        ``"linear"`` or ``"mlp"``; see `splicedvae.module.RatioHead`.
    n_hidden_ratio
        Hidden units of the ``"mlp"`` head.
    ratio_likelihood
        ``"binomial"``, ``"beta-binomial"`` or ``"weighted-squared-error"``.
    ratio_weight
        Weight of the ratio's loss against expression's; 1 is the joint likelihood.
    ratio_shrinkage
        Precision of the Gaussian prior that draws each gene's ratio to a constant, in units of one
        over squared logit; None learns it from the data.
    """

    def __init__(
        self,
        n_input: int,
        n_batch: int = 0,
        n_labels: int = 0,
        n_hidden: int = 128,
        n_latent: int = 20,
        n_layers: int = 1,
        n_continuous_cov: int = 0,
        n_cats_per_cov: list[int] | None = None,
        dropout_rate: float = 0.1,
        dispersion: Literal["gene", "gene-batch", "gene-label", "gene-cell"] = "gene",
        log_variational: bool = True,
        gene_likelihood: Literal["zinb", "nb", "poisson", "normal"] = "nb",
        latent_distribution: Literal["normal", "ln"] = "normal",
        encode_covariates: bool = False,
        deeply_inject_covariates: bool = True,
        use_batch_norm: Literal["encoder", "decoder", "none", "both"] = "both",
        use_layer_norm: Literal["encoder", "decoder", "none", "both"] = "none",
        use_size_factor_key: bool = False,
        use_observed_lib_size: bool = True,
        library_log_means: np.ndarray | None = None,
        library_log_vars: np.ndarray | None = None,
        var_activation: Callable[[torch.Tensor], torch.Tensor] | None = None,
        ratio_head: HeadKind = "linear",
        n_hidden_ratio: int = 128,
        ratio_likelihood: RatioLikelihood = "binomial",
        ratio_weight: float = 1.0,
        ratio_shrinkage: float | None = None,
    ) -> None:
        super().__init__(
            n_input=n_input,
            n_batch=n_batch,
            n_labels=n_labels,
            n_hidden=n_hidden,
            n_latent=n_latent,
            n_layers=n_layers,
            n_continuous_cov=n_continuous_cov,
            n_cats_per_cov=n_cats_per_cov,
            dropout_rate=dropout_rate,
            dispersion=dispersion,
            log_variational=log_variational,
            gene_likelihood=gene_likelihood,
            latent_distribution=latent_distribution,
            encode_covariates=encode_covariates,
            deeply_inject_covariates=deeply_inject_covariates,
            use_batch_norm=use_batch_norm,
            use_layer_norm=use_layer_norm,
            use_size_factor_key=use_size_factor_key,
            use_observed_lib_size=use_observed_lib_size,
            library_log_means=library_log_means,
            library_log_vars=library_log_vars,
            var_activation=var_activation,
        )
        for name, value in (("ratio_weight", ratio_weight), ("ratio_shrinkage", ratio_shrinkage)):
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise ValueError(
                    f"`{name}` is {value}, expected a finite number of at least 0; choose such."
                )
        self.ratio_weight = ratio_weight
        self.ratio_shrinkage = ratio_shrinkage
        self.expression_frozen = False
        self.ratio_head = RatioHead(
            n_latent,
            n_input,
            n_batch=max(n_batch, 1),
            kind=ratio_head,
            n_hidden=n_hidden_ratio,
            likelihood=ratio_likelihood,
            shrinkage=ratio_shrinkage,
        )

    def freeze_expression(self) -> None:
        """Hold everything but the ratio head: training then fits the head on a fixed latent."""
        self.expression_frozen = True
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name.startswith("ratio_head."))
        self.train(self.training)

    def train(self, mode: bool = True) -> SplicedVAEModule:
        """Switch to training; a frozen part stays in evaluation.

        Parameters
        ----------
        mode
            Whether to train (``True``) or evaluate.
        """
        super().train(mode)
        if self.expression_frozen:
            for name, child in self.named_children():
                child.train(mode and name == "ratio_head")
        return self

    def forward(
        self, tensors: dict[str, torch.Tensor], *args: Any, **kwargs: Any
    ) -> tuple[Any, ...]:
        """Inference, generation and loss; a frozen module in training skips expression's decoder.

        Parameters
        ----------
        tensors
            A minibatch.
        *args, **kwargs
            As for `scvi.module.VAE`.
        """
        if not (self.expression_frozen and self.training and kwargs.get("compute_loss", True)):
            return super().forward(tensors, *args, **kwargs)
        with torch.no_grad():
            inference_outputs = self.inference(**self._get_inference_input(tensors))
        loss = self.loss(tensors, inference_outputs, {}, **(kwargs.get("loss_kwargs") or {}))
        return inference_outputs, {}, loss

    def loss(
        self,
        tensors: dict[str, torch.Tensor],
        inference_outputs: dict[str, torch.Tensor | Distribution | None],
        generative_outputs: dict[str, Distribution | None],
        kl_weight: torch.Tensor | float = 1.0,
        n_obs: int = 1,
    ) -> LossOutput:
        """Loss of expression plus the weighted loss of the ratio plus shrinkage.

        All are means over the cells of the minibatch, so that the sum over an epoch is the
        negative log of the joint density with its prior, up to the KL's weight.

        Parameters
        ----------
        tensors
            A minibatch with total counts and, for the ratio, both layers.
        inference_outputs
            From `inference`.
        generative_outputs
            From `generative`.
        kl_weight
            Weight of the KL divergence of the latent state, warmed up by the training plan.
        n_obs
            Number of training cells: the prior on the head counts once an epoch.

        Returns
        -------
        scvi-tools' loss record with ``ratio_loss`` (mean over cells) among the extra metrics.
        """
        x = tensors[REGISTRY_KEYS.X_KEY]
        n_cells = x.shape[0]
        ratio_nll, prior = x.new_zeros(()), x.new_zeros(())
        if SPLICED_KEY in tensors and UNSPLICED_KEY in tensors:
            z = cast(torch.Tensor, inference_outputs[MODULE_KEYS.Z_KEY])
            head = self.ratio_head
            if self.training:
                head.expression.observe(head.features(z), x, n_obs)
            mean, variance = head.moments(z, tensors[REGISTRY_KEYS.BATCH_KEY], x)
            ratio_nll = (
                head.negative_log_likelihood(
                    mean, tensors[SPLICED_KEY], tensors[UNSPLICED_KEY], variance
                )
                / n_cells
            )
            # Where nothing is said of the ratio, the prior alone would make it forget.
            prior = head.penalty() / n_obs
        ratio_loss = self.ratio_weight * ratio_nll + prior
        extra = {"ratio_loss": ratio_nll.detach()}
        if self.expression_frozen and not generative_outputs:
            nothing = torch.zeros(n_cells, device=x.device)
            return LossOutput(
                loss=ratio_loss,
                reconstruction_loss=nothing,
                kl_local={MODULE_KEYS.KL_Z_KEY: nothing},
                extra_metrics=extra,
            )
        expression = super().loss(tensors, inference_outputs, generative_outputs, kl_weight)
        return LossOutput(
            loss=expression.loss + ratio_loss,
            reconstruction_loss=expression.reconstruction_loss,
            kl_local=expression.kl_local,
            extra_metrics={**(expression.extra_metrics or {}), **extra},
        )

    @torch.inference_mode()
    @auto_move_data
    def ratio_draw(
        self, tensors: dict[str, torch.Tensor], draw: SlopesDraw, generator: torch.Generator
    ) -> torch.Tensor:
        """Splicing ratio at one draw of the slopes and of each cell's latent state.

        The slopes are the same for all cells, as what the model does not know of a gene errs in all
        cells alike; drawing them anew for each entry would average out over neighbours.

        Parameters
        ----------
        tensors
            A minibatch; only total counts and covariates are looked at.
        draw
            Slopes, from `RatioHead.draw`.
        generator
            Source of randomness for the latent states, on the CPU.

        Returns
        -------
        Ratios, shape (n_cells, n_genes).
        """
        qz = self.inference(**self._get_inference_input(tensors))[MODULE_KEYS.QZ_KEY]
        noise = torch.randn(qz.loc.shape, generator=generator).to(qz.loc.device)
        z = self.z_encoder.z_transformation(qz.loc + qz.scale * noise)
        x = None if self.minified_data_type is not None else tensors[REGISTRY_KEYS.X_KEY]
        return torch.sigmoid(self.ratio_head.at(draw, z, tensors[REGISTRY_KEYS.BATCH_KEY], x))

    @torch.inference_mode()
    @auto_move_data
    def ratio(
        self,
        tensors: dict[str, torch.Tensor],
        n_samples: int | None = None,
    ) -> torch.Tensor:
        """Splicing ratio under the approximate posterior of the latent state.

        Parameters
        ----------
        tensors
            A minibatch; only total counts and covariates are looked at.
        n_samples
            How many draws of the latent state to return; ``None`` returns the mean.

        Returns
        -------
        Ratios, shape (n_cells, n_genes), or (n_samples, n_cells, n_genes).

        Notes
        -----
        With a linear head and a Gaussian latent the logit is Gaussian, with mean m and
        variance v, and its mean ratio is taken as sigmoid(m / sqrt(1 + pi v / 8)) (MacKay
        1992, within 0.02 of the integral). Otherwise the mean is over a fixed set of draws,
        the same for every cell, so that a prediction depends neither on the batch size nor
        on a random state.
        """
        outputs = self.inference(**self._get_inference_input(tensors))
        qz = outputs[MODULE_KEYS.QZ_KEY]
        batch_index = tensors[REGISTRY_KEYS.BATCH_KEY]
        # Minified data has no counts, so a gene's own cannot be heard.
        x = None if self.minified_data_type is not None else tensors[REGISTRY_KEYS.X_KEY]
        head = self.ratio_head
        if n_samples is not None:
            z = self.z_encoder.z_transformation(qz.sample((n_samples,)))
            mean, variance = head.moments(z, batch_index, x)
            return torch.sigmoid(mean + variance.sqrt() * torch.randn_like(mean))
        if head.kind == "linear" and self.latent_distribution == "normal":
            mean, variance = head.moments(qz.loc, batch_index, x)
            slopes = head.slopes()
            if x is not None:
                # Where the state is moves what it lets expect, and so the excess over it.
                slopes = slopes - (head.burst + head.bursts.mean) * head.expression.slopes
            spread = qz.scale.square() @ (slopes.square() + head.loadings.variance)
            return torch.sigmoid(mean / torch.sqrt(1 + math.pi / 8 * (variance + spread)))
        generator = torch.Generator().manual_seed(0)
        half = torch.randn(N_MEAN_DRAWS // 2, self.n_latent, generator=generator)
        total = torch.zeros(1, device=qz.loc.device)
        for draw in torch.cat([half, -half]).to(qz.loc.device):
            z = self.z_encoder.z_transformation(qz.loc + qz.scale * draw)
            mean, variance = head.moments(z, batch_index, x)
            total = total + torch.sigmoid(mean / torch.sqrt(1 + math.pi / 8 * variance))
        return total / N_MEAN_DRAWS
