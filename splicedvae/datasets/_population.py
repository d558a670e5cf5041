"""What a simulation draws once per gene and once per cell: rates, noise, times and capture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splicedvae.datasets._kinetics import FloatArray
from splicedvae.datasets._lineage import Lineage
from splicedvae.datasets._parameters import Parameters
from splicedvae.datasets._programs import Programs
from splicedvae.datasets._trajectory import Trajectory, solve

#: Time points per segment at which the mean content of a cell is taken, to set the depth.
_GRID = 48
#: Correlation of log transcription with the loss of unspliced molecules: strongly expressed genes
#: have short introns (Castillo-Davis et al., Nature Genetics 31, 2002), where fewer primers bind.
_SHORT_INTRONS = 0.5


@dataclass(frozen=True)
class Genes:
    """The genes of a simulation.

    Parameters
    ----------
    programs
        Program of each gene, shape (n_genes,).
    trajectory
        Molecules of each gene along the lineage.
    unspliced_capture
        Capture of unspliced relative to spliced molecules, shape (n_genes,).
    noise
        Squared coefficient of variation of the content, shape (n_genes,).
    batch_gene
        Capture of each gene in each batch relative to the other genes, shape
        (n_batches, n_genes).
    batch_capture
        Capture in each batch, shape (n_batches,).
    batch_unspliced
        Factor on the capture of unspliced molecules in each batch, shape (n_batches,).
    """

    programs: NDArray[np.str_]
    trajectory: Trajectory
    unspliced_capture: FloatArray
    noise: FloatArray
    batch_gene: FloatArray
    batch_capture: FloatArray
    batch_unspliced: FloatArray


@dataclass(frozen=True)
class Cells:
    """The cells of a simulation; all arrays of shape (n_cells,).

    Parameters
    ----------
    segment
        Index of the segment of the lineage.
    time
        Time since the start of the segment.
    capture
        Expected counts per spliced molecule.
    batch
        Index of the batch.
    """

    segment: NDArray[np.intp]
    time: FloatArray
    capture: FloatArray
    batch: NDArray[np.intp]


def draw_genes(
    lineage: Lineage, programs: Programs, parameters: Parameters, rng: np.random.Generator
) -> Genes:
    """Draw rates and noise of the genes, scaled so that cells reach the depth requested.

    Parameters
    ----------
    lineage
        Segments, parents before children.
    programs
        When each gene is on.
    parameters
        Spreads, medians and depth.
    rng
        Source of randomness.
    """
    n_genes = len(programs.names)
    strength = rng.standard_normal(n_genes)
    alpha = np.exp(parameters.alpha_sd * strength)
    beta = parameters.beta_median * np.exp(parameters.beta_sd * rng.standard_normal(n_genes))
    gamma = parameters.gamma_median * np.exp(parameters.gamma_sd * rng.standard_normal(n_genes))
    log_fold = np.log(parameters.fold_change) * np.exp(0.3 * rng.standard_normal(n_genes))
    introns = np.sqrt(1 - _SHORT_INTRONS**2) * rng.standard_normal(n_genes)
    captured = parameters.unspliced_capture * np.exp(
        parameters.unspliced_capture_sd * (introns - _SHORT_INTRONS * strength)
    )
    noise = parameters.expression_noise * np.exp(0.7 * rng.standard_normal(n_genes))
    off = np.exp(-log_fold)
    before = alpha * np.where(programs.before, 1.0, off)
    rates = alpha * np.where(programs.on, 1.0, off)

    batches = (parameters.n_batches, n_genes)
    sd = parameters.batch_sd if parameters.n_batches > 1 else 0.0
    batch_capture = np.exp(sd * rng.standard_normal(batches[0]))
    batch_unspliced = np.exp(0.5 * sd * rng.standard_normal(batches[0]))
    batch_gene = np.exp(0.5 * sd * rng.standard_normal(batches) - 0.125 * sd**2)

    # The equations are linear: all rates of transcription scale together.
    content = _mean_content(solve(lineage, before, rates, programs.switch, beta, gamma), captured)
    scale = parameters.mean_depth / (parameters.capture_efficiency * content)
    trajectory = solve(lineage, scale * before, scale * rates, programs.switch, beta, gamma)
    return Genes(
        programs=programs.names,
        trajectory=trajectory,
        unspliced_capture=captured,
        noise=noise,
        batch_gene=batch_gene,
        batch_capture=batch_capture / batch_capture.mean(),
        batch_unspliced=batch_unspliced,
    )


def draw_cells(lineage: Lineage, parameters: Parameters, rng: np.random.Generator) -> Cells:
    """Draw segment, time, capture and batch of the cells.

    Parameters
    ----------
    lineage
        Segments, parents before children.
    parameters
        Number of cells and batches, capture.
    rng
        Source of randomness.
    """
    n_cells = parameters.n_cells
    segment = rng.choice(len(lineage.segments), size=n_cells, p=lineage.probabilities)
    time = rng.random(n_cells) * lineage.durations[segment]
    sd = parameters.capture_sd
    # Less half the variance, so that the mean over cells is the capture requested.
    capture = np.exp(sd * rng.standard_normal(n_cells) - 0.5 * sd**2)
    batch = rng.integers(0, parameters.n_batches, size=n_cells)
    return Cells(segment, time, parameters.capture_efficiency * capture, batch)


def _mean_content(trajectory: Trajectory, captured: FloatArray) -> float:
    """Mean content of a cell in molecules, unspliced ones by their relative capture."""
    lineage = trajectory.lineage
    content = 0.0
    middles = (np.arange(_GRID) + 0.5) / _GRID
    for i, share in enumerate(lineage.probabilities):
        unspliced, spliced = trajectory.state(i, middles * lineage.durations[i])
        content += share * float((spliced + captured * unspliced).sum(axis=1).mean())
    return content
