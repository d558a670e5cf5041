"""Compare graphs and numbers of neighbours where cells are few, by known velocity.

    python benchmarks/few_cells.py --cells 60 100 150 200 300 600 --neighbors 30 20 15 10

Simulations of four topologies and three seeds, at two depths: 180 genes with the simulator's usual
counts (deep) and 400 genes at the depth of the pancreas data (shallow). The cosine to the true
velocity in the embedding is printed for graphs of spliced counts and of totals, with moments over
one and two steps (see `velocity_transform.py`). The balanced model takes one neighbour for each
fifteen cells, at least 10 and at most `VelocitySettings.n_neighbors`, because of this table.
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from velocity_transform import (
    TOPOLOGIES,
    VARIANTS,
    Source,
    _mean_cosine,
    _Settings,
    drawn,
    with_true_velocity,
)

from splicedvae import datasets
from splicedvae._core.counts import cell_sizes
from splicedvae._core.errors import VelocityError
from splicedvae._core.keys import Layers, Obsm
from splicedvae.velocity import prepare
from splicedvae.velocity._neighbours import Neighbours

SEEDS = (11, 12, 13)
DEPTHS = {"deep": {"n_genes": 180}, "shallow": {"n_genes": 400, "mean_depth": 344}}
GRAPHS = (
    "square root",
    "square root, ways between totals",
    "square root, two steps",
    "square root, ways between totals, two steps",
)


@dataclass(frozen=True)
class _Exactly(_Settings):
    """Settings whose number of neighbours is taken as given."""

    def neighbors_among(self, n_cells: int) -> int:
        return self.n_neighbors


def one(n_cells: int, topology: str, seed: int, depth: str, n_neighbors: int) -> dict[str, float]:
    """Return the cosine to the true velocity for each graph."""
    cells = datasets.simulate(n_cells, topology=topology, seed=seed, **DEPTHS[depth])
    common = {"seed": seed, "n_neighbors": n_neighbors, "n_top_genes": None, "n_jobs": -1}
    settings = {steps: _Exactly(**common, steps=steps) for steps in (1, 2)}
    ground = prepare(cells, settings=settings[1])
    neighbours = Neighbours(ground)
    pair = tuple(csr_matrix(ground.layers[name]) for name in (Layers.SPLICED, Layers.UNSPLICED))
    sizes = [cell_sizes(layer) for layer in pair]
    points = np.asarray(ground.obsm[Obsm.UMAP])
    sources = {
        steps: Source(ground, neighbours, pair, sizes, own, seed) for steps, own in settings.items()
    }
    true = with_true_velocity(sources[1].cells, ground)
    reference = VARIANTS["square root"]
    arrows = drawn(true, reference, sources[1].genes, neighbours, settings[1], points)
    return {
        name: _mean_cosine(sources[VARIANTS[name].steps].arrows(VARIANTS[name], points), arrows)
        for name in GRAPHS
    }


def main() -> None:
    """Print the mean over topologies and seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, nargs="+", default=[60, 100, 150, 200, 300, 600])
    parser.add_argument("--neighbors", type=int, nargs="+", default=[30, 20, 15, 10])
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"| cells | depth | neighbors | {' | '.join(GRAPHS)} |")
    print(f"| --- | --- | --- |{' --- |' * len(GRAPHS)}")
    for n_cells in arguments.cells:
        for depth in DEPTHS:
            for n_neighbors in arguments.neighbors:
                rows = []
                for topology in TOPOLOGIES:
                    for seed in SEEDS:
                        try:
                            rows.append(one(n_cells, topology, seed, depth, n_neighbors))
                        except VelocityError:
                            # So few cells may leave nothing to draw.
                            continue
                means = pd.DataFrame(rows).mean()
                words = " | ".join(f"{means[name]:.2f}" for name in GRAPHS)
                print(f"| {n_cells} | {depth} | {n_neighbors} | {words} |", flush=True)


if __name__ == "__main__":
    main()
