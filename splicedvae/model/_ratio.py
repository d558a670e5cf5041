"""The splicing ratio: posterior mean, intervals, draws, and the overdispersion of counts."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack
from scvi.data._utils import _get_adata_minify_type
from scvi.model.base import BaseModelClass
from torch.distributions import Normal

from splicedvae._core.counts import at_counts
from splicedvae._core.errors import DataError
from splicedvae.model._adaptation import Adaptation
from splicedvae.model._cells import Cells, PredictedBlock, canonical

#: Draws behind the mean of a logistic normal latent state, as in scvi-tools.
N_LATENT_DRAWS = 5_000


class RatioInterval(NamedTuple):
    """Posterior mean of the splicing ratio with a credible interval.

    The interval covers the uncertainty about the cell's latent state, not the overdispersion of the
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


class RatioMixin(BaseModelClass):
    """Predictions of the splicing ratio from total counts."""

    def get_ratio_concentration(self) -> pd.Series:
        r"""Concentration of the spliced share of a gene's counts around the predicted ratio.

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
            Adaptation for out-of-distribution cells, from `get_adaptation`;
            ``None`` takes the prediction as it is.

        Returns
        -------
        The posterior mean of rho = S / (S + U), a DataFrame of shape (n_cells, n_genes) with
        float32 fractions from 0 to 1; with ``n_samples``, a `RatioInterval` of three such.

        Raises
        ------
        GenesError
            If too few of the model's genes are found, or one requested is unknown.
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
                    f"The gene '{strange}' is not one of the model's {len(genes):,}; see "
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
                f"`n_samples` is {n_samples} and `credible_level` {credible_level}, "
                "expected at least 2 draws and a level between 0 and 1; choose other "
                "values."
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

    def _totals(self, adata: AnnData) -> Any:
        layer = self.registry_["setup_args"]["layer"]
        return adata.X if layer is None else adata.layers[layer]

    @staticmethod
    def _tell_of_minified(adata: AnnData) -> None:
        if _get_adata_minify_type(adata) is not None:
            warnings.warn(
                "The data is minified, so the ratio is predicted from the latent state "
                "without the gene's own count; pass the AnnData with counts for the full "
                "prediction.",
                UserWarning,
                stacklevel=3,
            )


def _adapted(
    ratio: NDArray[np.float32],
    adaptation: Adaptation | None,
    mean: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Apply an adaptation to ratios, or to the ratios that draws vary around."""
    return ratio if adaptation is None else adaptation.apply(ratio, mean)


def _at_counts(totals: csr_matrix, blocks: Iterable[NDArray[np.floating]]) -> csr_matrix:
    """Keep the values of dense blocks of cells where the total is not zero."""
    kept: list[csr_matrix] = []
    start = 0
    for block in blocks:
        kept.append(at_counts(totals[start : start + len(block)], block))
        start += len(block)
    return csr_matrix(vstack(kept, format="csr"), dtype=np.float32)
