"""Cells that were not trained on: gene alignment, novelty, and what is kept of a prediction."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from scipy.special import expit
from scvi.data._utils import _get_adata_minify_type
from scvi.model.base import BaseModelClass

from splicedvae._core.errors import DataError
from splicedvae._core.gene_features import gene_features
from splicedvae._core.gene_identity import GeneIdentity
from splicedvae._core.gene_match import match_genes
from splicedvae._core.novelty import NOVEL
from splicedvae._core.orthologs import Orthologs, translated
from splicedvae._core.species import species_of
from splicedvae.model._adaptation import Adaptation
from splicedvae.model._alignment import GeneAlignment, align_genes, share_of
from splicedvae.model._cells import Cells
from splicedvae.model._fields import (
    contents_in,
)
from splicedvae.model._gene_prior import GenePrior
from splicedvae.model._looking import (
    looked_at,
)
from splicedvae.model._sums import AdaptationSums, NoveltySums
from splicedvae.reconstruction import Counts


class TransferMixin(BaseModelClass):
    """Alignment, novelty and adaptation of cells that the model was not trained on."""

    gene_prior_: dict[str, Any] | None

    def align(
        self, adata: AnnData, *, orthologs: Orthologs | None = None
    ) -> tuple[AnnData, GeneAlignment]:
        """Bring the genes of an AnnData to the model's, by identifier or name.

        Parameters
        ----------
        adata
            AnnData, cells x any genes, with total counts where the model was set up to look.
        orthologs
            Between which species genes are mapped; ``None`` where both are of one species.

        Returns
        -------
        The AnnData itself where nothing was to be done, otherwise a new one; and what was done.

        Raises
        ------
        GenesError
            If fewer than half of the model's genes are found, or a name is duplicated and no
            identifier distinguishes the genes.
        DataError
            If the layer with total counts is missing.
        """
        self._check_layer(adata)
        setup = self.registry_["setup_args"]
        layer = setup["layer"]
        layers = [setup["spliced_layer"], setup["unspliced_layer"]]
        names = [*([layer] if layer else []), *layers]
        aligned, done = align_genes(adata, self.gene_identity, layers=names, orthologs=orthologs)
        if layer is not None and aligned is not adata:
            totals = aligned.layers[layer].sum(), adata.layers[layer].sum()
            done = replace(done, counts_share=share_of(*totals))
        return aligned, done

    def _check_layer(self, adata: AnnData) -> None:
        layer = self.registry_["setup_args"]["layer"]
        if layer is not None and layer not in adata.layers:
            raise DataError(
                f"The data has no layer '{layer}', where the model expects total counts; "
                "put them there."
            )

    def _check_to_predict(self, adata: AnnData) -> None:
        """Refuse data in memory that holds no raw total counts where the model looks."""
        if adata.isbacked:
            raise DataError(
                "The AnnData is backed, expected one in memory or the name of its file; "
                "give the name of the file."
            )
        refuse_minified(adata, "be divided")

    def _looked_at(self, adata: AnnData) -> tuple[AnnData, Counts | None]:
        """Check data that is not the model's own as a file is checked when read."""
        contents = contents_in(self.registry_)
        if adata is self.adata or _get_adata_minify_type(adata) is not None:
            return adata, contents
        self._check_layer(adata)
        setup = self.registry_["setup_args"]
        names = ("layer", "spliced_layer", "unspliced_layer")
        adata, told = looked_at(adata, **{name: setup[name] for name in names}, contents=contents)
        return adata, told or contents

    def get_novelty(self, adata: AnnData | None = None) -> float:
        r"""Novelty of a set of cells relative to the training cells.

        The mean of their log-normalized totals is compared with that of the training cells. The
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
        From 0 to 1; above `NOVEL`, 0.25, the cells are out of distribution, and
        its predicted ratios are hardly better than each gene's mean. Not a number for
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
        orthologs: Orthologs | None = None,
    ) -> Adaptation:
        r"""Compute the adaptation for out-of-distribution cells, from totals alone.

        On such cells a prediction strays as a whole, above all in how many molecules are
        unspliced, and its differences between cells are less sure. So its mean over a gene's
        molecules is set to what the gene is expected to have there, and of the differences a share
        is kept. Expected is the gene's mean of training; where the model knows what its genes are
        (`gene_prior`), a gene keeps half of what it deviates by from genes of its kind, 0.3 in
        another species (`GenePrior.moved`), and the share of all molecules that are spliced is that
        of the means of training. The differences are multiplied by

        .. math:: (1 - \text{novelty}) \, \frac{4 c}{v_1 + v_2 + 2 c} \Big/ a

        The first factor is how much of the cells' shift the training cells knew (`get_novelty`).
        The second is the shared signal of two experts with independent errors (Spearman and Brown
        1910), with v the variances and c the covariance of their deviations within genes in these
        cells; it replaces the amplitude a that is restored after averaging the experts in
        cells of training. A model with one expert keeps the first factor alone. On cells as those
        of training none of it is needed, and it takes away what is true.

        Parameters
        ----------
        adata
            As for `get_splicing_ratio`.
        novelty
            Novelty of the cells, from 0 to 1; ``None`` takes `get_novelty`. A model without
            components has none, and keeps the full differences unless one is given.
        batch_size
            Cells at a time.
        orthologs
            Between which species genes were mapped (`align`); ``None`` where both are of one.

        Returns
        -------
        For ``adaptation``.

        Raises
        ------
        GenesError, DataError
            As for `get_splicing_ratio`.
        """
        adata = self._validate_anndata(adata)
        refuse_minified(adata)
        if novelty is None:
            novelty = self.get_novelty(adata)
        elif not 0 <= novelty <= 1:
            raise DataError(f"`novelty` is {novelty}, expected a number from 0 to 1; correct it.")
        return self._adaptation_of(
            self._cells(adata), novelty, batch_size=batch_size, orthologs=orthologs
        )

    def _adaptation_of(
        self,
        cells: Cells,
        novelty: float,
        *,
        batch_size: int | None = None,
        orthologs: Orthologs | None = None,
    ) -> Adaptation:
        sums = AdaptationSums(self.module)
        self.module.eval()
        for _, minibatches in cells.minibatches(batch_size):
            for tensors, entries in minibatches:
                experts, combined, _ = self.module.counted_ratios(tensors, entries)
                ratios = [ratio.cpu().numpy() for ratio in (*experts, combined)]
                sums.add(entries.genes.numpy(), entries.counts.numpy(), ratios)
        return sums.adaptation(self.genes, novelty, self._expected_elsewhere(orthologs))

    def _expected_elsewhere(self, orthologs: Orthologs | None) -> NDArray[np.float64] | None:
        """Return the logits expected in another tissue or species; None without a prior."""
        prior = self.gene_prior
        if prior is None:
            return None
        other = None
        if orthologs is not None:
            other = gene_features(translated(self.gene_identity, orthologs), orthologs.data)
        return prior.moved(
            self.module.ratio_head.log_odds.cpu().numpy().astype(np.float64),
            gene_features(self.gene_identity, prior.species),
            other,
        )

    @property
    def gene_prior(self) -> GenePrior | None:
        """What the model expects of a gene's ratio from what the gene is.

        ``None`` where the genes are of a species without a table of features, or too few of them
        were found in it.
        """
        return GenePrior.from_json(self.gene_prior_)

    def get_gene_ratio(
        self, genes: AnnData | pd.DataFrame | None = None, *, species: str | None = None
    ) -> pd.DataFrame:
        """Predict each gene's mean ratio, also of genes that the model was not trained on.

        Parameters
        ----------
        genes
            The genes: an AnnData, or its ``var`` with names and, if there are, identifiers.
            ``None`` takes the model's own.
        species
            Species of the genes, as `splicedvae.triage.guess_species` names it; ``None`` reads it
            off their names.

        Returns
        -------
        By gene: ``ratio``, the expected fraction of spliced molecules; ``source``, what it rests
        on: ``"counts"`` of training, ``"features"`` of the gene (`gene_prior`) or ``"none"``, where
        the ratio is missing; and ``logit_sd``, how far genes of a kind differ (standard deviation
        in logits), missing where the model counted the gene itself.
        """
        self._check_if_trained(warn=False)
        own = self.gene_identity
        identity, prior = own, self.gene_prior
        if genes is not None:
            identity = GeneIdentity.of(genes.var if isinstance(genes, AnnData) else genes)
        position = match_genes(identity, own.frame()).position
        counted = position >= 0
        logits = np.full(len(identity.names), np.nan)
        source = np.where(counted, "counts", "none").astype(object)
        if prior is not None:
            kind = species_of(identity) if species is None else species
            features = gene_features(identity, kind)
            by_kind = ~counted & ~np.isnan(features[:, 0])
            logits[by_kind] = prior.mean(features)[by_kind]
            source[by_kind] = "features"
        trained = self.module.ratio_head.log_odds.cpu().numpy()
        logits[counted] = trained[position[counted]]
        sd = np.where(source == "features", np.nan if prior is None else prior.sd, np.nan)
        return pd.DataFrame(
            {"ratio": expit(logits), "source": source, "logit_sd": sd}, index=identity.names
        )

    def adaptation_for(
        self,
        adata: AnnData,
        adapt: bool | None = None,
        *,
        batch_size: int | None = None,
        novelty: float | None = None,
        orthologs: Orthologs | None = None,
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
        orthologs
            As for `get_adaptation`.

        Returns
        -------
        For ``adaptation``; ``None`` where the prediction is taken as it is.
        """
        self._check_if_trained(warn=False)
        if adapt is False:
            return None
        adata = self._validate_anndata(adata)
        if adapt:
            refuse_minified(adata)
        return self._adaptation_for(
            self._cells(adata),
            adapt,
            batch_size=batch_size,
            novelty=novelty,
            orthologs=orthologs,
        )

    def _adaptation_for(
        self,
        cells: Cells,
        adapt: bool | None,
        *,
        batch_size: int | None = None,
        novelty: float | None = None,
        orthologs: Orthologs | None = None,
    ) -> Adaptation | None:
        if adapt is False:
            return None
        if novelty is None:
            novelty = self._novelty_of(cells)
        if adapt is None and not novelty > NOVEL:
            return None
        found = self._adaptation_of(cells, novelty, batch_size=batch_size, orthologs=orthologs)
        expected = (
            "that of the training cells"
            if self.gene_prior is None
            else f"what a gene of its kind is expected to have in another "
            f"{'tissue' if orthologs is None else 'species'}"
        )
        done = (
            f"each gene's mean ratio was set to {expected}, and the "
            f"differences between cells were shrunk to {found.amplitude:.0%}"
        )
        if adapt is None:
            told = (
                f"These cells are out of distribution for the model (novelty {novelty:.2f} "
                f"of 1): {done}; do not trust a velocity computed from them."
            )
        else:
            told = f"{done[0].upper()}{done[1:]}."
        return replace(found, told=told)


def refuse_minified(
    adata: AnnData, needed: str = "compare the cells with those of training"
) -> None:
    """Refuse data without counts, which were needed to do something."""
    if _get_adata_minify_type(adata) is not None:
        raise DataError(
            f"The data is minified and has no counts, expected total counts to {needed}; "
            "pass the AnnData with counts."
        )
