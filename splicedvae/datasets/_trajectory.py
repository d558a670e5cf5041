"""Molecules of every gene along a lineage: each segment starts where its parent ended."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from splicedvae.datasets._kinetics import FloatArray, advance, kernels, steady_state
from splicedvae.datasets._lineage import Lineage


@dataclass(frozen=True)
class Trajectory:
    """The exact solution of the splicing equations along a lineage; ``solve`` makes one.

    Within a segment a gene keeps the rate it came with until its switch, and has the segment's
    own rate from there on.

    Parameters
    ----------
    lineage
        Segments, parents before children.
    beta, gamma
        Splicing and degradation rates, shape (n_genes,).
    switch
        Time from the start of each segment to the switch, shape (n_segments, n_genes).
    rate_in, rate_out
        Transcription rates before and after the switch, shape (n_segments, n_genes).
    entry
        Unspliced and spliced molecules at the start of each segment, shape
        (2, n_segments, n_genes).
    turn
        The same at the switch.
    """

    lineage: Lineage
    beta: FloatArray
    gamma: FloatArray
    switch: FloatArray
    rate_in: FloatArray
    rate_out: FloatArray
    entry: FloatArray
    turn: FloatArray

    def state(self, segment: int, time: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Unspliced and spliced molecules at times within one segment.

        Parameters
        ----------
        segment
            Index of the segment.
        time
            Time since its start, shape (n_times,).

        Returns
        -------
        Two arrays of shape (n_times, n_genes).
        """
        clock = np.asarray(time, dtype=np.float64)[:, None]
        wait = self.switch[segment]
        early = clock < wait
        return advance(
            np.where(early, clock, clock - wait),
            np.where(early, self.entry[0, segment], self.turn[0, segment]),
            np.where(early, self.entry[1, segment], self.turn[1, segment]),
            np.where(early, self.rate_in[segment], self.rate_out[segment]),
            self.beta,
            self.gamma,
        )


def solve(
    lineage: Lineage,
    before: FloatArray,
    rates: FloatArray,
    switch: FloatArray,
    beta: FloatArray,
    gamma: FloatArray,
) -> Trajectory:
    """Solve the splicing equations along a lineage.

    A tree starts in the steady state of ``before``; a cycle starts in the state that one turn
    brings back to itself.

    Parameters
    ----------
    lineage
        Segments, parents before children.
    before
        Transcription rates before the root begins, molecules per unit time, shape (n_genes,).
    rates
        Transcription rates after the switch in each segment, shape (n_segments, n_genes).
    switch
        Time from the start of each segment to the switch, shape (n_segments, n_genes).
    beta, gamma
        Splicing and degradation rates, per unit time, shape (n_genes,).
    """
    parents = lineage.parents
    durations = lineage.durations
    rate_in = np.where((np.array(parents) >= 0)[:, None], rates[parents], before)
    entry = np.empty((2, *rates.shape))
    turn = np.empty((2, *rates.shape))
    end = np.empty((2, *rates.shape))

    def through(i: int, start: FloatArray) -> None:
        """Carry ``start`` through segment ``i``, filling its entry, turn and end."""
        entry[:, i] = start
        turn[:, i] = advance(switch[i], start[0], start[1], rate_in[i], beta, gamma)
        rest = durations[i] - switch[i]
        end[:, i] = advance(rest, turn[0, i], turn[1, i], rates[i], beta, gamma)

    start = np.stack(steady_state(before, beta, gamma))
    if lineage.cyclic:
        # One turn is affine in its start: what a start at zero gains, and what decays of a start,
        # give the state that comes back to itself.
        gained = np.zeros_like(start)
        for i in range(len(parents)):
            through(i, gained)
            gained = end[:, i]
        period = np.asarray(durations.sum())
        unspliced = gained[0] / -np.expm1(-beta * period)
        carried = gained[1] + beta * unspliced * kernels(period, beta, gamma)[2]
        start = np.stack([unspliced, carried / -np.expm1(-gamma * period)])
    for i, parent in enumerate(parents):
        through(i, start if i == 0 else end[:, parent])
    return Trajectory(lineage, beta, gamma, switch, rate_in, rates, entry, turn)
