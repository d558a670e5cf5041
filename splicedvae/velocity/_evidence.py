"""Whether measured counts carry a velocity at all: their residuals against chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from scipy import sparse
from scipy.stats import false_discovery_control

from splicedvae._core.counts import count_matrix, gene_sums, shared_counts
from splicedvae._core.errors import VelocityError
from splicedvae._core.keys import Layers
from splicedvae._core.permute import shuffles_within_genes
from splicedvae.velocity._balanced import BALANCED, fit_balanced
from splicedvae.velocity._fit import (
    MIN_RESIDUAL,
    layer_sizes,
    moments,
    refuse_common_shift,
    refuse_degenerate,
    refuse_uncounted,
    scaled_layers,
)
from splicedvae.velocity._neighbours import Neighbours
from splicedvae.velocity._prepared import MIN_GENES, check_prepared
from splicedvae.velocity._settings import VelocitySettings
from splicedvae.velocity._variation import ratio_variation

#: With fewer, no p-value can fall to 0.05.
MIN_PERMUTATIONS: Final = 19
#: p- and q-values below this are called more than chance.
LEVEL: Final = 0.05
#: A gene is tested if the permutations move this share of its squared deviations: where its
#: counts are unique, its ratios stay in place and only the cells' sizes would be tested.
MIN_MOVED: Final = 0.25
_TINY: Final = 1e-12
#: Counts simulated with seed 0 must not be permuted with the same random numbers.
_STREAM: Final = 0x5EED


@dataclass(frozen=True, eq=False)
class VelocityEvidence:
    """How far measured counts vary with the cells' state, compared with chance.

    Attributes
    ----------
    score
        log2 of the factor by which the genes' residual energy exceeds chance: the mean of the
        genes' own scores. 0 is chance.
    p_value
        Share of the permutations, the measurement counted among them, that reach the measured
        energy.
    genes
        One row a gene: ``gene``, ``score`` (log2 of its energy over that of chance), ``p_value``
        and ``q_value`` (Benjamini and Hochberg 1995).
    n_permutations
        Permutations.
    """

    score: float
    p_value: float
    genes: pd.DataFrame
    n_permutations: int

    @property
    def n_genes(self) -> int:
        """Genes tested."""
        return len(self.genes)

    @property
    def n_genes_above_chance(self) -> int:
        """Genes with a q-value below 0.05."""
        return int((self.genes["q_value"] < LEVEL).sum())

    @property
    def above_chance(self) -> bool:
        """Whether the p-value is 0.05 or less."""
        return self.p_value <= LEVEL

    @property
    def sentence(self) -> str:
        """The result in words."""
        found = f"(p = {self.p_value:.2g}, {self.n_genes_above_chance:,} of {self.n_genes:,} genes)"
        varies = "The measured spliced and unspliced counts vary with the cells' state"
        if self.above_chance:
            return f"{varies} more than by chance {found}, so they can support a velocity."
        return (
            f"{varies} no more than by chance {found}: this data set supports no velocity, "
            "do not show one."
        )


def velocity_evidence(
    prepared: AnnData,
    *,
    spliced_layer: str = Layers.SPLICED,
    unspliced_layer: str = Layers.UNSPLICED,
    n_permutations: int = 50,
    groups: Sequence[object] | None = None,
    seed: int = 0,
    settings: VelocitySettings | None = None,
) -> VelocityEvidence:
    """Test whether measured spliced and unspliced counts carry a velocity.

    A gene's energy is the sum over cells of its squared residual in the balanced model, smoothed
    over neighbors: zero for a constant ratio, and small for noise, which neighbors average out.
    It is compared with the energy after permuting the ratios of each gene among cells
    with about as many of its molecules (`splicedvae.evaluation.shuffle_within_genes`), each time
    with sizes, moments and slopes of their own. What is compared over all genes is the mean of the
    logarithms: it says by which factor energies differ, whatever their size, so that no few
    genes of high expression decide, and nothing has to be estimated from the permutations.

    A small p-value does not say that arrows point the right way: ratios vary with a cell's state
    through batches, stress, the cell cycle and nuclei among cells too. An unspliced share that
    differs from cell to cell in all genes is removed by the sizes if it does not
    follow the state.

    Parameters
    ----------
    prepared
        A result of `prepare`; not changed.
    spliced_layer
        Layer of measured spliced counts.
    unspliced_layer
        Layer of measured unspliced counts.
    n_permutations
        Permutations, 19 or more; the p-value is at least 1 / (1 + n_permutations).
    groups
        A label per cell, such as its batch: ratios are permuted within groups only, so that what
        differs between groups is part of chance and not called velocity. ``None`` deals among
        all cells.
    seed
        Seed of the permutations.
    settings
        ``n_jobs`` and ``min_shared_counts`` are used: genes with fewer are not tested. ``None``
        for the defaults. Nor are genes whose ratios hardly change places, as no two cells of a
        group have about as many of their molecules.

    Returns
    -------
    VelocityEvidence
        Scores and p-values, over all and for each gene.

    Raises
    ------
    DataError
        If the object was not prepared, a layer is absent or not of counts, or there is not one
        label per cell.
    VelocityError
        If a layer does not hold whole numbers, there is nothing but rounding error to test, the
        ratios of too few genes can be permuted, or too few permutations are requested.

    Notes
    -----
    Given its molecules, a gene whose ratio is independent of the cell's state is as likely with
    any order of the ratios among entries with equally many molecules, so the p-value is exact but
    for the classes of entries with eight and more. Ratios that follow the gene's own count alone,
    as bursts of transcription make them, count as chance.

    For a gene's p-value its log energies are standardized by their mean and standard deviation
    over the permutations, and ranked among those of all genes and permutations, each standardized
    by the other ones. So few permutations resolve p-values small enough for a thousand genes.
    """
    settings = VelocitySettings() if settings is None else settings
    if n_permutations < MIN_PERMUTATIONS:
        raise VelocityError(
            f"{n_permutations} permutations were requested, expected at least "
            f"{MIN_PERMUTATIONS}, because with fewer no p-value can reach 0.05; request "
            "more."
        )
    check_prepared(prepared)
    layers = (spliced_layer, unspliced_layer)
    spliced, unspliced = (count_matrix(prepared, layer) for layer in layers)
    for layer, matrix in zip(layers, (spliced, unspliced), strict=True):
        _refuse_fractions(matrix, layer)
    sizes = (
        layer_sizes(prepared, spliced_layer, spliced),
        layer_sizes(prepared, unspliced_layer, unspliced),
    )
    refuse_uncounted(spliced, unspliced, layers, settings)
    variation = ratio_variation(spliced, unspliced)
    refuse_degenerate(variation, layers)
    refuse_common_shift(spliced, unspliced, sizes[0] + sizes[1])

    seeds = np.random.SeedSequence([seed, _STREAM]).generate_state(n_permutations, np.uint64)
    neighbours = Neighbours(prepared)
    observed, floor = _energies(prepared, neighbours, spliced, unspliced, sizes, settings.n_jobs)
    energies = []
    moved = np.zeros(prepared.n_vars)
    for pair in shuffles_within_genes(
        spliced, unspliced, seeds=map(int, seeds), groups=groups, alike=True
    ):
        energies.append(_energies(prepared, neighbours, *pair, sizes, settings.n_jobs)[0])
        moved += _squares(pair[0] - spliced) / n_permutations

    shared = shared_counts(spliced, unspliced)
    enough = variation.varies & (shared >= settings.min_shared_counts) & (shared > 0)
    around = _squares(spliced - (spliced + unspliced) @ sparse.diags(variation.mean))
    # Where all ratios change places, the squared change is twice the squared deviation.
    tested = enough & (moved >= 2 * MIN_MOVED * around)
    if tested.sum() < MIN_GENES:
        raise VelocityError(
            f"{int(tested.sum())} of {int(enough.sum())} genes have ratios that can be "
            "permuted among cells with as many molecules of the gene, expected at least "
            f"{MIN_GENES} such genes; give more cells or larger groups."
        )
    measured = np.log2(np.maximum(observed, floor)[tested])
    chance = np.log2(np.maximum(np.stack(energies), floor)[:, tested])
    reached = int((chance.mean(axis=1) >= measured.mean()).sum())
    p_values = _gene_p_values(measured, chance)
    scores = measured - chance.mean(axis=0)
    return VelocityEvidence(
        score=float(scores.mean()),
        p_value=(1 + reached) / (1 + n_permutations),
        genes=pd.DataFrame(
            {
                "gene": np.asarray(prepared.var_names.astype(str))[tested],
                "score": scores,
                "p_value": p_values,
                "q_value": false_discovery_control(p_values),
            }
        ),
        n_permutations=n_permutations,
    )


def _refuse_fractions(matrix: sparse.csr_matrix, layer: str) -> None:
    broken = matrix.data[matrix.data != np.round(matrix.data)]
    if broken.size:
        raise VelocityError(
            f"The layer '{layer}' holds {broken[0]:.3g}, expected measured whole numbers, "
            "because predicted counts are smoother than permuted ones whether they are "
            "right or not; use velocity_uncertainty for predicted layers."
        )


def _energies(
    ground: AnnData,
    neighbours: Neighbours,
    spliced: sparse.csr_matrix,
    unspliced: sparse.csr_matrix,
    sizes: tuple[NDArray[np.float64], NDArray[np.float64]],
    n_jobs: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum each gene's squared residuals over cells; also return what rounding makes of them."""
    scaled = scaled_layers(spliced, unspliced, sizes, BALANCED)
    work = moments(neighbours, ground.var_names, *scaled, n_jobs=n_jobs)
    fit_balanced(work)
    energy = np.square(work.layers[Layers.VELOCITY]).sum(axis=0, dtype=np.float64)
    around = np.square(work.layers[Layers.MU]).sum(axis=0, dtype=np.float64)
    return energy, np.maximum(MIN_RESIDUAL**2 * around, np.finfo(np.float32).tiny)


def _squares(matrix: sparse.csr_matrix) -> NDArray[np.float64]:
    """Sum each gene's squares over cells."""
    return gene_sums(sparse.csr_matrix(matrix).power(2))


def _gene_p_values(
    measured: NDArray[np.float64], chance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Rank standardized values among those of all genes' permutations.

    Parameters
    ----------
    measured
        Log energies, shape (n_genes,).
    chance
        The same of the permutations, shape (n_permutations, n_genes).
    """
    n = len(chance)
    away = chance - chance.mean(axis=0)
    squares = np.square(away).sum(axis=0)
    # Each permutation is standardized by the others, as the measurement is by all of them.
    others = (squares - np.square(away) * n / (n - 1)) / (n - 2)
    null = away * n / (n - 1) / np.sqrt(np.maximum(others, _TINY) * n / (n - 1))
    spread = np.sqrt(np.maximum(squares / (n - 1), _TINY) * (n + 1) / n)
    standard = (measured - chance.mean(axis=0)) / spread
    ranked = np.sort(null, axis=None)
    above = ranked.size - np.searchsorted(ranked, standard, side="left")
    return np.asarray((1 + above) / (1 + ranked.size), dtype=np.float64)
