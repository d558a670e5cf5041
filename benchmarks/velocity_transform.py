"""Compare transforms and choices of genes for the graph of the balanced velocity.

    python benchmarks/velocity_transform.py --seeds 0 1 2 3
    python benchmarks/velocity_transform.py --simulated --seeds 0 1 2 3

The first takes the 3,548 pancreas cells named by SPLICEDVAE_DATA (default ../shared/data), with
measured S/U. For each seed (of neighbors, UMAP and thinning) and each variant of the graph:

    cbdir    CBDir over the seven known transitions, of the measured counts
    halves   cosine in the embedding between two halves of the measured molecules
    chance   cosine in the embedding between the measured counts and counts drawn with one ratio
             for each gene
    random   the same between two such draws: what the ground alone has in common

The second simulates cells with known velocity at the depth of the pancreas data and gives the
cosine to the true velocity in the embedding. The true velocity is projected with the same variant,
with the linear graph (``true, linear``) and with square roots (``true, square root``), so that no
variant chooses its own reference. ``time`` is the share of neighbors in the embedding whose true
order follows from the arrows (0.5 by chance; not on a cycle).

Neighbors are the same for all variants. A variant changes what the graph compares (the velocities,
the displacements between cells, and the genes) and over how many steps moments are taken.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from accuracy import TRANSITIONS
from anndata import AnnData
from balance import drawn_with_one_ratio_per_gene
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from splicedvae._core.counts import cell_sizes
from splicedvae._core.errors import VelocityError
from splicedvae._core.keys import Layers, Obs, Obsm, Obsp, Uns, Var
from splicedvae.evaluation import cell_cosines, cross_boundary_direction, thin_counts, time_order
from splicedvae.velocity import VelocitySettings, prepare
from splicedvae.velocity._fit import fit_pair
from splicedvae.velocity._graph import project_onto, velocity_graph
from splicedvae.velocity._neighbours import Neighbours

REPOSITORY = Path(__file__).resolve().parents[1]
PANCREAS = "mouse_pancreas_e15_3548cells_2000genes.h5ad"
TOPOLOGIES = ("linear", "bifurcation", "tree", "cycle")
#: Counts per cell and gene of the pancreas data.
DEPTH = 0.86


Matrix = NDArray[np.float32]
Change = Callable[[Matrix, Matrix, Matrix, Matrix], tuple[Matrix, Matrix]]


def _as_they_are(s, u, v, slope):
    return s, v


@dataclass(frozen=True)
class Genes:
    """What a variant may use of each gene, from the counts of the source alone.

    ``share``: unspliced share. ``reproducibility``: correlation over cells of the residuals from
    two halves of its molecules, 0 at least. ``counts``: molecules of the scarcer layer.
    """

    share: NDArray[np.float64]
    reproducibility: NDArray[np.float64]
    counts: NDArray[np.float64]


@dataclass(frozen=True)
class Variant:
    """What is compared: states and velocities, weights, and whether roots of both are taken."""

    root: bool = False
    #: Function of spliced and unspliced moments, velocity and slope: what says where a cell is, and
    #: the velocity to compare with the ways between cells.
    change: Change = _as_they_are
    #: Factor on each gene's states and velocities; 0 leaves it out.
    weight: Callable[[Genes], NDArray[np.float64]] = lambda genes: np.ones(genes.share.size)
    #: Steps over the neighbor graph that moments are taken over; one in scVelo.
    steps: int = 1


def _log(s, u, v, slope):
    return np.log1p(s), v / (1 + s)


def _root_state(floor: float):
    return lambda s, u, v, slope: (np.sqrt(s + floor), v / (2 * np.sqrt(s + floor)))


def _totals(s, u, v, slope):
    """Return a cell's position by its totals, in spliced counts expected at the mean ratio.

    Given the totals, noise of the split into layers moves the velocity alone. With the spliced
    counts it moves both, and draws a pattern of its own.
    """
    return (s + u) / (1 + slope), v


def _log_totals(s, u, v, slope):
    return _log((s + u) / (1 + slope), u, v, slope)


def _share_units(s, u, v, slope):
    """Velocity as spliced counts below those expected from the totals at the mean ratio."""
    return s, v / (1 + slope)


def _own_spread(power: float):
    def change(s, u, v, slope):
        spread = np.sqrt(np.square(v).mean(axis=0)) ** power
        return s / spread, v / spread

    return change


def _share_within(low: float, high: float):
    return lambda genes: ((genes.share >= low) & (genes.share <= high)).astype(float)


def _at_least(name: str, least: float):
    return lambda genes: (getattr(genes, name) >= least).astype(float)


VARIANTS = {
    "linear": Variant(),
    "square root": Variant(root=True),
    "log(1 + x)": Variant(change=_log),
    "sqrt(x + 0.1)": Variant(change=_root_state(0.1)),
    "sqrt(x + 1)": Variant(change=_root_state(1.0)),
    "log(1 + x), then square root": Variant(root=True, change=_log),
    "each gene over its sd": Variant(change=_own_spread(1)),
    "each gene over the root of its sd": Variant(change=_own_spread(0.5)),
    "square root, v / (1 + slope)": Variant(root=True, change=_share_units),
    "square root, ways between totals": Variant(root=True, change=_totals),
    "log(1 + x), ways between totals": Variant(change=_log_totals),
    "square root, two steps": Variant(root=True, steps=2),
    "square root, three steps": Variant(root=True, steps=3),
    "square root, ways between totals, two steps": Variant(root=True, change=_totals, steps=2),
    "square root, ways between totals, three steps": Variant(root=True, change=_totals, steps=3),
    "log(1 + x), ways between totals, two steps": Variant(change=_log_totals, steps=2),
    "square root, ways between totals, two steps, weights: reproducibility": Variant(
        root=True, change=_totals, steps=2, weight=lambda genes: genes.reproducibility
    ),
    "square root, ways between totals, two steps, unspliced share 0.02-0.6": Variant(
        root=True, change=_totals, steps=2, weight=_share_within(0.02, 0.6)
    ),
    "square root, weights: reproducibility": Variant(
        root=True, weight=lambda genes: genes.reproducibility
    ),
    "log(1 + x), weights: reproducibility": Variant(
        change=_log, weight=lambda genes: genes.reproducibility
    ),
    "square root, reproducibility >= 0.2": Variant(
        root=True, weight=_at_least("reproducibility", 0.2)
    ),
    "square root, unspliced share 0.05-0.95": Variant(root=True, weight=_share_within(0.05, 0.95)),
    "square root, unspliced share 0.02-0.8": Variant(root=True, weight=_share_within(0.02, 0.8)),
    "square root, unspliced share 0.02-0.6": Variant(root=True, weight=_share_within(0.02, 0.6)),
    "square root, 200 molecules in both layers": Variant(
        root=True, weight=_at_least("counts", 200)
    ),
    "square root, 1,000 molecules in both layers": Variant(
        root=True, weight=_at_least("counts", 1000)
    ),
}


@dataclass(frozen=True)
class _Settings(VelocitySettings):
    """Settings with moments over a given number of steps, whatever the mode asks for."""

    steps: int = 1

    @property
    def smoothing_steps(self) -> int:
        return self.steps


class Source:
    """Residuals of one pair of layers, to be drawn by every variant of as many steps."""

    def __init__(
        self,
        ground: AnnData,
        neighbours: Neighbours,
        pair: tuple[csr_matrix, csr_matrix],
        sizes: list[NDArray[np.float64]],
        settings: VelocitySettings,
        seed: int,
    ) -> None:
        def fitted(two):
            return fit_pair(
                ground,
                neighbours,
                *two,
                (sizes[0], sizes[1]),
                layers=("spliced", "unspliced"),
                settings=settings,
            )

        fit = fitted(pair)
        self.cells = fit.fitted
        self.neighbours, self.settings = neighbours, settings
        sums = [np.asarray(layer.sum(axis=0), dtype=float).ravel() for layer in pair]
        used = self.cells.var[Var.VELOCITY_GENES].to_numpy(dtype=bool)
        halves = [thin_counts(layer, seed=1000 + seed + i) for i, layer in enumerate(pair)]
        residuals = []
        for half in range(2):
            part = fitted((halves[0][half], halves[1][half]))
            full = np.zeros(ground.shape, dtype=np.float32)
            full[:, part.usable] = part.fitted.layers[Layers.VELOCITY]
            residuals.append(full[:, fit.usable])
        self.genes = Genes(
            share=(sums[1] / np.maximum(sums[0] + sums[1], 1))[fit.usable][used],
            reproducibility=np.maximum(_correlation(*residuals), 0)[used],
            counts=np.minimum(*sums)[fit.usable][used],
        )

    def arrows(self, variant: Variant, points: NDArray[np.floating]) -> NDArray[np.float32]:
        """Draw the residuals in an embedding."""
        return drawn(self.cells, variant, self.genes, self.neighbours, self.settings, points)


def drawn(fitted, variant, genes, neighbours, settings, points) -> NDArray[np.float32]:
    """Make the graph as a variant says and project it."""
    used = fitted.var[Var.VELOCITY_GENES].to_numpy(dtype=bool)
    layers = (Layers.MS, Layers.MU, Layers.VELOCITY)
    states, velocity = variant.change(
        *(fitted.layers[name][:, used] for name in layers),
        fitted.var[Var.VELOCITY_GAMMA].to_numpy(dtype=np.float32)[used],
    )
    weight = variant.weight(genes)
    kept = weight > 0
    own = neighbours.bare(fitted.var_names[used][kept])
    for name, values in ((Layers.MS, states), (Layers.VELOCITY, velocity)):
        own.layers[name] = np.asarray(values[:, kept] * weight[kept], dtype=np.float32)
    own.var[Var.VELOCITY_GENES] = True
    # The mode that determines whether the graph takes square roots.
    # Without a name of a layer it compares Ms.
    own.uns[Uns.VELOCITY_PARAMS] = {"mode": "stochastic" if variant.root else "deterministic"}
    velocity_graph(own, neighbours, settings)
    return project_onto(own, {"umap": points})["umap"]


def _correlation(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float64]:
    first, second = (side - side.mean(axis=0) for side in (first, second))
    size = np.sqrt((first**2).sum(axis=0) * (second**2).sum(axis=0))
    found = np.zeros(size.size)
    np.divide((first * second).sum(axis=0), size, out=found, where=size > 0)
    return found


def with_true_velocity(fitted: AnnData, ground: AnnData) -> AnnData:
    """Copy what was fitted with the velocity of the simulation instead of the residuals."""
    true = fitted.copy()
    known = ground[:, fitted.var_names].layers[Layers.TRUE_VELOCITY]
    known = known.toarray() if hasattr(known, "toarray") else known
    true.layers[Layers.VELOCITY] = np.asarray(known, dtype=np.float32)
    return true


def _mean_cosine(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    return float(np.nanmean(cell_cosines(first, second)))


def measured(cells: AnnData, seed: int, names: list[str], n_neighbors: int = 30) -> pd.DataFrame:
    """Judge the variants on measured counts."""
    settings = VelocitySettings(seed=seed, n_neighbors=n_neighbors, n_jobs=-1)
    ground = prepare(cells, settings=settings)
    pair = tuple(csr_matrix(ground.layers[name]) for name in (Layers.SPLICED, Layers.UNSPLICED))
    halves = [thin_counts(layer, seed=2 * seed + i) for i, layer in enumerate(pair)]
    sizes = [
        ground.obs[Obs.INITIAL_SIZE + name].to_numpy(dtype=float)
        for name in (Layers.SPLICED, Layers.UNSPLICED)
    ]
    pairs = {
        "measured": pair,
        "a": (halves[0][0], halves[1][0]),
        "b": (halves[0][1], halves[1][1]),
        "constant": drawn_with_one_ratio_per_gene(*pair, seed),
        "constant again": drawn_with_one_ratio_per_gene(*pair, seed + 500),
    }
    neighbours = Neighbours(ground)
    by_steps = {}
    for steps in {VARIANTS[name].steps for name in names}:
        own = _Settings(**settings.to_dict(), steps=steps)
        by_steps[steps] = {
            name: Source(ground, neighbours, two, sizes, own, seed) for name, two in pairs.items()
        }
    points = np.asarray(ground.obsm[Obsm.UMAP])
    rows = []
    for name in names:
        variant = VARIANTS[name]
        sources = by_steps[variant.steps]
        found = {key: source.arrows(variant, points) for key, source in sources.items()}
        own = AnnData(obs=ground.obs[[Obs.CLUSTERS]].copy(), obsm={Obsm.UMAP: points})
        own.obsp[Obsp.DISTANCES] = ground.obsp[Obsp.DISTANCES]
        own.obsm[Obsm.VELOCITY_UMAP] = found["measured"]
        known = cross_boundary_direction(own, TRANSITIONS, cluster_key=Obs.CLUSTERS, n_null=2)
        rows.append(
            {
                "variant": name,
                "seed": seed,
                "cbdir": float(known["value"].mean()),
                "halves": _mean_cosine(found["a"], found["b"]),
                "chance": _mean_cosine(found["measured"], found["constant"]),
                "random": _mean_cosine(found["constant again"], found["constant"]),
            }
        )
    return pd.DataFrame(rows)


def simulated(seed: int, names: list[str], n_neighbors: int = 30) -> pd.DataFrame:
    """Judge the variants by the true velocity of a simulation."""
    from splicedvae import datasets

    rows = []
    for topology in TOPOLOGIES:
        cells = datasets.simulate(1000, 400, topology=topology, mean_depth=DEPTH * 400, seed=seed)
        settings = VelocitySettings(seed=seed, n_neighbors=n_neighbors, n_jobs=-1, n_top_genes=None)
        ground = prepare(cells, settings=settings)
        pair = tuple(csr_matrix(ground.layers[name]) for name in (Layers.SPLICED, Layers.UNSPLICED))
        sizes = [cell_sizes(layer) for layer in pair]
        neighbours = Neighbours(ground)
        sources = {
            steps: Source(
                ground,
                neighbours,
                pair,
                sizes,
                _Settings(**settings.to_dict(), steps=steps),
                seed,
            )
            for steps in {VARIANTS[name].steps for name in names} | {1}
        }
        source = sources[1]
        true = with_true_velocity(source.cells, ground)
        points = np.asarray(ground.obsm[Obsm.UMAP])
        others = {
            name: drawn(true, VARIANTS[name], source.genes, neighbours, settings, points)
            for name in ("linear", "square root")
        }
        own = AnnData(obs=ground.obs[[Obs.TRUE_TIME]].copy(), obsm={Obsm.UMAP: points})
        own.obsp[Obsp.DISTANCES] = ground.obsp[Obsp.DISTANCES]
        for name in names:
            variant = VARIANTS[name]
            try:
                arrows = sources[variant.steps].arrows(variant, points)
                same = drawn(true, variant, source.genes, neighbours, settings, points)
            except VelocityError:
                # A rule for genes of a measurement may leave none of a simulation's that move.
                continue
            own.obsm[Obsm.VELOCITY_UMAP] = arrows
            order = time_order(own, Obs.TRUE_TIME, basis="umap")
            rows.append(
                {
                    "variant": name,
                    "seed": seed,
                    "topology": topology,
                    "true, same variant": _mean_cosine(arrows, same),
                    **{
                        f"true, {other}": _mean_cosine(arrows, known)
                        for other, known in others.items()
                    },
                    "time": float("nan") if topology == "cycle" else order,
                }
            )
    return pd.DataFrame(rows)


def _some(cells: AnnData, n: int | None, seed: int) -> AnnData:
    """Draw some of the cells, in their order; None takes all."""
    if n is None:
        return cells
    drawn = np.random.default_rng(seed).choice(cells.n_obs, n, replace=False)
    return cells[np.sort(drawn)].copy()


def main() -> None:
    """Print means and standard deviations over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--simulated", action="store_true")
    parser.add_argument("--variants", nargs="+", choices=[*VARIANTS], default=[*VARIANTS])
    parser.add_argument("--neighbors", type=int, default=30)
    parser.add_argument("--file", default=PANCREAS, help="pancreas file of measured counts")
    parser.add_argument("--cells", type=int, help="cells to draw with each seed; default all")
    arguments = parser.parse_args()
    wanted = (arguments.variants, arguments.neighbors)
    if arguments.simulated:
        rows = pd.concat([simulated(seed, *wanted) for seed in arguments.seeds])
    else:
        data = Path(os.environ.get("SPLICEDVAE_DATA", REPOSITORY.parent / "shared" / "data"))
        if not (data / arguments.file).is_file():
            raise SystemExit(f"{arguments.file} is missing: set SPLICEDVAE_DATA to its folder.")
        cells = ad.read_h5ad(data / arguments.file)
        rows = pd.concat(
            [
                measured(_some(cells, arguments.cells, seed), seed, *wanted)
                for seed in arguments.seeds
            ]
        )
    columns = [name for name in rows if name not in ("variant", "seed", "topology")]
    print(f"| graph | {' | '.join(columns)} |\n| --- |{' --- |' * len(columns)}")
    for name, part in rows.groupby("variant", sort=False):
        by_seed = part.groupby("seed")[columns].mean()
        cells = [f"{by_seed[c].mean():z.2f} ± {by_seed[c].std():.2f}" for c in columns]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
