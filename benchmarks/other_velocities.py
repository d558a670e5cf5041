"""Compare velocities from totals with those of other tools on measured S/U, in simulations.

    python benchmarks/other_velocities.py --out other_velocities --report velocities.md

Cells with known velocity at the depth of the pancreas data, four topologies including a cycle. A
model is trained on one half of the cells and predicts the S/U of the other half from their totals.
In that half, the measured S/U are given to the balanced model of this package, to scVelo's
stochastic and dynamical models and to veloVI (Gayoso et al. 2024, *Nature Methods* 21, 50;
`scvi.external.VELOVI`). All share genes, neighbors and embedding; each tool makes its graph as it
does by default. Every velocity is compared with the true one:

    genes        cosine in gene space, each gene's velocity in the tool's own units
    genes equal  the same, each gene in units of its own spread
    embedding    cosine of the arrows in the UMAP
    time         share of neighbors in the UMAP whose true order the arrows give; not on a cycle

One file per simulation is kept in --out, so that an interrupted run resumes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from accuracy import _totals, _trained, _write
from anndata import AnnData
from plain_scvelo import for_scvelo
from velocity_transform import DEPTH, TOPOLOGIES, _mean_cosine

from splicedvae import datasets
from splicedvae._core.keys import Layers, Obs, Obsm, Obsp, Uns, Var
from splicedvae.evaluation import (
    select_genes,
    shuffle_within_genes,
    split_cells,
    time_order,
)
from splicedvae.evaluation._velocity import _in_own_units
from splicedvae.reconstruction import reconstruct_counts
from splicedvae.velocity import VelocitySettings, compute_velocity, prepare, true_velocity
from splicedvae.velocity._scvelo import quiet_scvelo

N_CELLS, N_GENES = 1600, 400
MEASURES = ("genes", "genes equal", "embedding", "time")


def one(topology: str, seed: int) -> pd.DataFrame:
    """Compare all velocities of one simulation with the true one."""
    cells = datasets.simulate(
        N_CELLS, N_GENES, topology=topology, mean_depth=DEPTH * N_GENES, seed=seed
    )
    apart = split_cells(cells.n_obs, held_out=0.5, stratify=cells.obs[Obs.CLUSTERS], seed=seed)
    train, test = cells[apart == "train"].copy(), cells[apart != "train"].copy()
    keep = select_genes(train, min_shared_counts=10, n_top_genes=None)
    train, test = train[:, keep].copy(), test[:, keep].copy()
    ratio = _trained(train, seed).get_counted_splicing_ratio(_totals(test))
    predicted = reconstruct_counts(test.X, ratio)
    pairs = {
        "predicted": predicted,
        "permuted": shuffle_within_genes(*predicted, seed=seed),
    }
    for name, pair in pairs.items():
        test.layers.update(zip((f"{name}_s", f"{name}_u"), pair, strict=True))

    settings = VelocitySettings(seed=seed, min_shared_counts=0, n_top_genes=None, n_jobs=-1)
    ground = prepare(test, settings=settings)
    true = true_velocity(ground, settings=settings)

    def ours(prefix: str = "", mode: str = "balanced") -> AnnData:
        return compute_velocity(
            ground,
            spliced_layer=f"{prefix}{'s' if prefix else 'spliced'}",
            unspliced_layer=f"{prefix}{'u' if prefix else 'unspliced'}",
            settings=VelocitySettings(
                mode=mode, seed=seed, min_shared_counts=0, n_top_genes=None, n_jobs=-1
            ),
        )

    tools: dict[str, Callable[[], AnnData]] = {
        "SplicedVAE, from totals": lambda: ours("predicted_"),
        "the same, ratios permuted within genes": lambda: ours("permuted_"),
        "balanced, measured S/U": ours,
        "scVelo stochastic, measured S/U": lambda: ours(mode="stochastic"),
        "scVelo dynamical, measured S/U": lambda: dynamical(ground),
        "veloVI, measured S/U": lambda: velovi(ground, seed),
    }
    rows = []
    for name, tool in tools.items():
        found = tool()
        rows.append({"tool": name, **against(true, found), "topology": topology, "seed": seed})
    return pd.DataFrame(rows)


def against(true: AnnData, found: AnnData) -> dict[str, float]:
    """Compare a velocity with the true one of the same cells, genes and embedding."""
    first, second = (np.nan_to_num(side.layers[Layers.VELOCITY]) for side in (true, found))
    order = float("nan")
    if Obs.TRUE_TIME in true.obs:
        own = AnnData(obs=true.obs[[Obs.TRUE_TIME]].copy())
        own.obsp[Obsp.DISTANCES] = true.obsp[Obsp.DISTANCES]
        own.obsm[Obsm.UMAP] = true.obsm[Obsm.UMAP]
        own.obsm[Obsm.VELOCITY_UMAP] = found.obsm[Obsm.VELOCITY_UMAP]
        order = time_order(own, Obs.TRUE_TIME, basis="umap")
    return {
        "genes": _mean_cosine(first, second),
        "genes equal": _mean_cosine(_in_own_units(first), _in_own_units(second)),
        "embedding": _mean_cosine(true.obsm[Obsm.VELOCITY_UMAP], found.obsm[Obsm.VELOCITY_UMAP]),
        "time": order,
    }


def _with_moments(ground: AnnData) -> AnnData:
    own = for_scvelo(ground)
    with quiet_scvelo() as scvelo:
        scvelo.pp.moments(own, n_neighbors=None, n_pcs=None)
    return own


def _drawn(own: AnnData, ground: AnnData) -> AnnData:
    """Draw a velocity as scVelo does by default and bring it to all genes of the ground."""
    own.layers[Layers.VELOCITY] = np.asarray(own.layers[Layers.VELOCITY], dtype=np.float32)
    with quiet_scvelo() as scvelo:
        scvelo.tl.velocity_graph(own, show_progress_bar=False)
        scvelo.tl.velocity_embedding(own, basis="umap")
    made = AnnData(obs=ground.obs[[]].copy(), var=ground.var[[]].copy())
    velocity = np.zeros(ground.shape, dtype=np.float32)
    used = own.var[Var.VELOCITY_GENES].to_numpy(dtype=bool)
    where = ground.var_names.get_indexer(own.var_names[used])
    velocity[:, where] = np.nan_to_num(own.layers[Layers.VELOCITY][:, used])
    made.layers[Layers.VELOCITY] = velocity
    made.obsm[Obsm.VELOCITY_UMAP] = np.asarray(own.obsm[Obsm.VELOCITY_UMAP])
    return made


def dynamical(ground: AnnData) -> AnnData:
    """Fit scVelo's dynamical model to all genes."""
    own = _with_moments(ground)
    with quiet_scvelo() as scvelo:
        scvelo.tl.recover_dynamics(own, var_names="all", n_jobs=1, show_progress_bar=False)
        scvelo.tl.velocity(own, mode="dynamical")
    return _drawn(own, ground)


def velovi(ground: AnnData, seed: int) -> AnnData:
    """Train veloVI as its tutorial does: moments scaled to [0, 1], genes that a line fits."""
    import scvi
    from scvi.external import VELOVI

    own = _with_moments(ground)
    with quiet_scvelo() as scvelo:
        scvelo.tl.velocity(own, mode="deterministic")
    good = own.var["velocity_r2"].to_numpy() > 0
    good &= own.var["velocity_gamma"].to_numpy() > 0
    own = own[:, good].copy()
    spans = {}
    for name in (Layers.MS, Layers.MU):
        values = np.asarray(own.layers[name])
        low, span = values.min(axis=0), np.ptp(values, axis=0)
        spans[name] = np.where(span > 0, span, 1)
        own.layers[f"scaled_{name}"] = (values - low) / spans[name]
    scvi.settings.seed = seed
    VELOVI.setup_anndata(
        own, spliced_layer=f"scaled_{Layers.MS}", unspliced_layer=f"scaled_{Layers.MU}"
    )
    model = VELOVI(own)
    model.train(enable_progress_bar=False)
    velocity = np.asarray(model.get_velocity(n_samples=25, return_numpy=True))
    # Back to the units of spliced counts.
    own.layers[Layers.VELOCITY] = velocity * spans[Layers.MS]
    own.var[Var.VELOCITY_GENES] = True
    own.uns[Uns.VELOCITY_PARAMS] = {"mode": "velovi"}
    return _drawn(own, ground)


def report(table: pd.DataFrame) -> str:
    """Write means and standard deviations over simulations, and the embedding by topology."""
    lines = [
        "# Velocity from totals and from other tools on measured S/U, in simulations",
        "",
        f"`python benchmarks/other_velocities.py`: {N_CELLS // 2} held-out cells x {N_GENES} genes "
        f"at {DEPTH} counts per cell and gene, seeds "
        f"{', '.join(map(str, sorted(table['seed'].unique())))}. Cosine to the true velocity; mean "
        "± standard deviation over simulations.",
        "",
        f"| velocity | {' | '.join(MEASURES)} |",
        f"| --- |{' --- |' * len(MEASURES)}",
    ]
    for name, part in table.groupby("tool", sort=False):
        cells = [f"{part[m].mean():z.2f} ± {part[m].std():.2f}" for m in MEASURES]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    topologies = [name for name in TOPOLOGIES if name in set(table["topology"])]
    for measure in ("genes equal", "embedding"):
        lines += [
            "",
            f"By topology, {measure}:",
            "",
            f"| velocity | {' | '.join(topologies)} |",
            f"| --- |{' --- |' * len(topologies)}",
        ]
        for name, part in table.groupby("tool", sort=False):
            means = part.groupby("topology")[measure].mean()
            lines.append(f"| {name} | {' | '.join(f'{means[t]:z.2f}' for t in topologies)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Simulate, compare and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--topologies", nargs="+", choices=TOPOLOGIES, default=[*TOPOLOGIES])
    parser.add_argument("--report", type=Path)
    arguments = parser.parse_args()
    parts = []
    for seed in arguments.seeds:
        for topology in arguments.topologies:
            file = arguments.out / f"{topology}_{seed}.csv"
            if not file.is_file():
                found = one(topology, seed)
                _write(found.assign(time=np.nan) if topology == "cycle" else found, file)
            parts.append(pd.read_csv(file))
    text = report(pd.concat(parts))
    print(text)
    if arguments.report is not None:
        arguments.report.write_text(text)


if __name__ == "__main__":
    main()
