"""The run that the package ships, made by the same code as any other, then made small.

What is left out is what no page, report or command reads: graphs, normalized counts (the counts
are in ``predictions.h5ad``) and the last digits.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from anndata import AnnData, read_h5ad
from numpy.typing import NDArray

from splicedvae import datasets, io
from splicedvae._core.files import replacing
from splicedvae._core.keys import Layers, Obs, Obsm, Uns
from splicedvae.runs import files
from splicedvae.runs.config import RunConfig
from splicedvae.runs.results import seal
from splicedvae.runs.run import Run
from splicedvae.runs.status import Status

N_CELLS: Final = 900
N_GENES: Final = 180
SEED: Final = 7

#: Bits of the mantissa that predictions and velocities keep: an error below 0.2%.
_BITS: Final = 8
#: Bits that moments keep, which are looked at alone: an error below 0.8%.
_MOMENT_BITS: Final = 6


def build_demo(folder: Path | str, *, progress: Callable[[Status], None] | None = None) -> Run:
    """Simulate cells, do the whole job on them, and shrink the folder.

    Parameters
    ----------
    folder
        Where to write; it must not exist or be empty.
    progress
        Called with each new status.

    Returns
    -------
    The finished run.
    """
    # torch takes seconds to import, and a page that shows the demo does not need it.
    from splicedvae.pipeline._execute import execute

    folder = Path(folder)
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "simulated_bifurcation.h5ad"
        datasets.simulate(N_CELLS, N_GENES, topology="bifurcation", seed=SEED).write_h5ad(file)
        config = RunConfig(
            data=str(file),
            data_sha256=io.sha256(file),
            name="Demo: simulated bifurcation",
            cluster_key=Obs.CLUSTERS,
            seed=SEED,
        )
        execute(config, folder, progress=progress)
    shrink(folder)
    return Run(folder)


def shrink(folder: Path) -> None:
    """Make a finished run small enough to ship, and remove machine-specific data.

    Parameters
    ----------
    folder
        The run folder; it is changed in place.
    """
    record = files.read_json(folder / files.CONFIG, "the configuration")
    record["config"]["data"] = Path(record["config"]["data"]).name
    files.write_json(folder / files.CONFIG, record)
    status = files.read_json(folder / files.STATUS, "the status")
    files.write_json(folder / files.STATUS, {**status, "pid": None})
    provenance = files.read_json(folder / files.PROVENANCE, "the provenance")
    provenance["platform"] = provenance["platform"].split("-")[0]
    files.write_json(folder / files.PROVENANCE, provenance)
    for name in (files.LIVE, files.WORKER, files.LOG):
        (folder / name).unlink(missing_ok=True)
    for file in sorted((folder / files.VELOCITY).glob("*.h5ad")):
        _rewrite(file, _small_velocity(read_h5ad(file)))
    cells = read_h5ad(folder / files.PREDICTIONS)
    for name in (Layers.RATIO, Layers.RATIO_SCVI):
        cells.layers[name].data = rounded(cells.layers[name].data)
    for name in list(cells.obsm):
        cells.obsm[name] = rounded(cells.obsm[name])
    _rewrite(folder / files.PREDICTIONS, cells)
    seal(folder)


def rounded(values: NDArray[Any], bits_kept: int = _BITS) -> NDArray[np.float32]:
    """Round float32 to a few bits of mantissa, so that it compresses.

    Parameters
    ----------
    values
        Any shape.
    bits_kept
        How many, from 1 to 22.

    Returns
    -------
    New array of the same shape; zeros and NaN stay what they are.
    """
    bits = np.array(values, dtype=np.float32).view(np.uint32)
    drop = np.uint32(23 - bits_kept)
    half = np.uint32(1) << (drop - np.uint32(1))
    exponent = np.uint32(0x7F800000)
    finite = (bits & exponent) != exponent
    carried = (bits + half) & ~((np.uint32(1) << drop) - np.uint32(1))
    return np.where(finite, carried, bits).astype(np.uint32).view(np.float32)


#: What streams in every embedding are drawn from.
_VELOCITY_MAPS: Final = (
    Obsm.UMAP,
    Obsm.VELOCITY_UMAP,
    Obsm.UMAP_LATENT,
    Obsm.VELOCITY_UMAP_LATENT,
    Obsm.UMAP_LATENT_SCVI,
    Obsm.VELOCITY_UMAP_LATENT_SCVI,
)


def _small_velocity(moving: AnnData) -> AnnData:
    root = moving.uns.get(Uns.ROOT, {})
    layers = {Layers.VELOCITY: rounded(moving.layers[Layers.VELOCITY])}
    if Layers.MU in moving.layers:
        # A known velocity has spliced moments alone, which make no phase portrait.
        for name in (Layers.MS, Layers.MU):
            layers[name] = rounded(moving.layers[name], _MOMENT_BITS)
    kept = (Uns.VELOCITY, Uns.GROUND, Uns.DRIVERS)
    return AnnData(
        obs=moving.obs,
        var=moving.var,
        layers=layers,
        obsm={name: rounded(moving.obsm[name]) for name in _VELOCITY_MAPS if name in moving.obsm},
        uns={
            Uns.ROOT: {name: root[name] for name in kept if name in root},
            Uns.VELOCITY_PARAMS: dict(moving.uns.get(Uns.VELOCITY_PARAMS, {})),
        },
    )


def _rewrite(file: Path, adata: AnnData) -> None:
    with replacing(file) as temporary:
        adata.write_h5ad(temporary, compression="gzip", compression_opts=9)
