"""Everything of a run in one AnnData that scVelo, CellRank and cellxgene open as it is.

Names are those that these tools look for. Where the data had spliced and unspliced counts, the
plain layers are the measured ones and predicted counts stand beside them; where it had none, the
plain layers are the predicted ones, and ``uns["splicedvae"]`` says which.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anndata as ad
import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from splicedvae import __version__
from splicedvae._core.errors import DataError, RunError
from splicedvae._core.files import replacing
from splicedvae._core.graph_states import compared_layer, compared_states, compares_roots
from splicedvae._core.keys import Layers, Obsm, Obsp, Sources, Uns
from splicedvae.reconstruction import reconstruct_counts
from splicedvae.views import verdict
from splicedvae.views.cautions import run_cautions
from splicedvae.views.reproduce import command_line, file_name

if TYPE_CHECKING:
    from splicedvae.runs import Run

#: Layers of a velocity's file that go along.
_MOVING: Final = (Layers.VELOCITY, Layers.VARIANCE_VELOCITY, Layers.MS, Layers.MU)


def export_h5ad(run: Run, source: str | None = None, out: Path | str | None = None) -> AnnData:
    """Put everything of a run into one AnnData, with the names of scVelo and CellRank.

    Parameters
    ----------
    run
        A finished run.
    source
        Whose velocity goes along, one of ``run.velocity_sources``; SplicedVAE's if None, or the
        first there is.
    out
        An .h5ad file to write; none if None.

    Returns
    -------
    Cells x model genes. ``X``: total counts (CSR, float32). Layers ``spliced`` and ``unspliced``:
    the measured counts, with ``predicted_spliced`` and ``predicted_unspliced`` beside them; the
    predicted ones where none were measured. Layers ``splicing_ratio``, ``velocity``, ``Ms`` and
    ``Mu`` (NaN for genes without a velocity). ``obsm``: ``X_umap``, ``X_splicedvae``, ``X_scVI``,
    ``velocity_umap``. ``var``: ``velocity_genes``, ``velocity_gamma``. The neighbour graph in
    ``obsp`` and ``uns["neighbors"]``, ``uns["velocity_graph"]`` and ``uns["velocity_params"]``.
    ``uns["splicedvae"]["export"]`` says what the plain layers are, where everything comes from,
    when not to trust it, what a run of an earlier version or without velocity lacks, and the call
    that makes the same velocity graph again (scVelo by itself takes square roots in its stochastic
    mode only).

    Raises
    ------
    RunError
        If the run is not finished, has no such velocity, or the file cannot be written.
    DataError
        If the name does not end with .h5ad.
    """
    out = None if out is None else Path(out)
    if out is not None and out.suffix != ".h5ad":
        raise DataError(
            f"The output {out.name!r} does not end with .h5ad: give it a name that does."
        )
    run.need_finished("only a finished run can be exported")
    source = _chosen(run, source)
    cells = run.predictions
    moving = None if source is None else run.velocity(source)
    lacks: list[str] = []
    if moving is not None and not moving.obs_names.equals(cells.obs_names):
        kept = cells.obs_names.isin(moving.obs_names)
        lacks.append(f"{int((~kept).sum()):,} cells that have no velocity")
        cells = cells[kept]
        moving = moving[cells.obs_names]
    made = AnnData(
        X=_counts(cells.X),
        obs=_plain_obs(cells.obs),
        var=cells.var.copy(),
        obsm={name: np.asarray(value, dtype=np.float32) for name, value in cells.obsm.items()},
    )
    plain = _add_layers(made, cells, run, source)
    if moving is None:
        lacks.append("a velocity, as none could be computed")
    else:
        lacks += _add_velocity(made, moving)
    record = _record(run, source, plain, lacks)
    if params := made.uns.get(Uns.VELOCITY_PARAMS):
        record["velocity_graph"] = _graph_call(params)
    made.uns[Uns.ROOT] = {Uns.EXPORT: record}
    if out is not None:
        _write(made, out)
    return made


def _graph_call(params: Mapping[str, Any]) -> str:
    """Write the call of scVelo's that makes the graph again."""
    layer = compared_layer(params)
    state = "" if layer == Layers.MS else f'xkey="{layer}", '
    return f"scvelo.tl.velocity_graph(adata, {state}sqrt_transform={compares_roots(params)})"


def _chosen(run: Run, source: str | None) -> str | None:
    there = run.velocity_sources
    if source is not None:
        if source not in there:
            # Raises with the reason why there is none.
            run.velocity(source)
        return source
    preferred = (Sources.SPLICEDVAE, Sources.SCVI, *there)
    return next((name for name in preferred if name in there), None)


def _counts(matrix: Any) -> sparse.csr_matrix:
    counts = sparse.csr_matrix(matrix, dtype=np.float32)
    counts.sum_duplicates()
    return counts


def _plain_obs(obs: pd.DataFrame) -> pd.DataFrame:
    """Make columns that every reader knows: numbers and categories of text."""
    made = pd.DataFrame(index=pd.Index(obs.index.astype(str), name=None))
    for name in obs.columns:
        column = obs[name]
        types = pd.api.types
        if types.is_bool_dtype(column.dtype) or not types.is_numeric_dtype(column.dtype):
            texts = pd.Series(column.astype("object").to_numpy(), index=made.index)
            made[str(name)] = texts.where(texts.isna(), texts.astype(str)).astype("category")
        else:
            kind = np.float32 if types.is_float_dtype(column.dtype) else np.int64
            made[str(name)] = column.to_numpy(dtype=kind)
    return made


def _add_layers(made: AnnData, cells: AnnData, run: Run, source: str | None) -> str:
    """Add counts and ratios; return what the plain layers are.

    Returns
    -------
    ``"measured"``, ``"predicted"``, or ``"none"``.
    """
    measured = Layers.SPLICED in cells.layers and Layers.UNSPLICED in cells.layers
    if measured:
        for name in (Layers.SPLICED, Layers.UNSPLICED):
            made.layers[name] = _counts(cells.layers[name])
    for name in Sources.RATIO_LAYERS.values():
        if name in cells.layers:
            made.layers[name] = _counts(cells.layers[name])
    ratio = Sources.RATIO_LAYERS.get(source or Sources.SPLICEDVAE, Layers.RATIO)
    if ratio in made.layers:
        pair = reconstruct_counts(made.X, made.layers[ratio], counts=run.config.counts)
        names = (
            (Layers.PREDICTED_SPLICED, Layers.PREDICTED_UNSPLICED)
            if measured
            else (Layers.SPLICED, Layers.UNSPLICED)
        )
        for name, counts in zip(names, pair, strict=True):
            made.layers[name] = _counts(counts)
        return Sources.MEASURED if measured else Uns.PREDICTED
    return Sources.MEASURED if measured else "none"


def _add_velocity(made: AnnData, moving: AnnData) -> list[str]:
    """Add a velocity with scVelo's names; return what it lacks."""
    lacks = []
    genes = made.var_names.get_indexer(moving.var_names)
    known = genes >= 0
    for name in _MOVING:
        if name in moving.layers:
            made.layers[name] = _spread(moving.layers[name], genes, known, made.n_vars)
        elif name != Layers.VARIANCE_VELOCITY:
            lacks.append(f"the layer {name}")
    params = moving.uns.get(Uns.VELOCITY_PARAMS, {})
    if compared_layer(params) == Layers.MS_EXPECTED and Layers.MU in moving.layers:
        states = compared_states(moving)
        made.layers[Layers.MS_EXPECTED] = _spread(states, genes, known, made.n_vars)
    for name in moving.var.columns:
        if name in made.var or not pd.api.types.is_numeric_dtype(moving.var[name].dtype):
            continue
        column = moving.var[name].to_numpy()
        is_bool = column.dtype == bool
        values = np.full(made.n_vars, False if is_bool else np.nan, dtype=bool if is_bool else None)
        values[genes[known]] = column[known]
        made.var[name] = values if is_bool else values.astype(np.float32)
    plain = _plain_obs(moving.obs)
    for name in plain.columns:
        if name not in made.obs:
            made.obs[name] = plain[name]
    for name in moving.obsm:
        if name in (Obsm.UMAP, Obsm.PCA) or str(name).startswith(Layers.VELOCITY):
            made.obsm[name] = np.asarray(moving.obsm[name], dtype=np.float32)
    for name in (Obsp.CONNECTIVITIES, Obsp.DISTANCES):
        if name in moving.obsp:
            made.obsp[name] = _counts(moving.obsp[name])
        else:
            lacks.append(f"the neighbour graph's {name}")
    if Obsp.DISTANCES in made.obsp:
        made.uns[Uns.NEIGHBORS] = _neighbors(made, moving)
    for name in (Uns.VELOCITY_GRAPH, Uns.VELOCITY_GRAPH_NEG):
        if name in moving.uns:
            made.uns[name] = _counts(moving.uns[name])
        else:
            lacks.append(f"the {name.replace('_', ' ')}")
    if Uns.VELOCITY_PARAMS in moving.uns:
        made.uns[Uns.VELOCITY_PARAMS] = dict(moving.uns[Uns.VELOCITY_PARAMS])
    return lacks


def _spread(matrix: Any, genes: np.ndarray, known: np.ndarray, n_genes: int) -> np.ndarray:
    """Bring a velocity's dense layer to the model's genes, NaN where a gene has none."""
    values = matrix.toarray() if sparse.issparse(matrix) else np.asarray(matrix)
    if values.shape[1] == n_genes and np.array_equal(genes, np.arange(n_genes)):
        return np.asarray(values, dtype=np.float32)
    spread = np.full((values.shape[0], n_genes), np.nan, dtype=np.float32)
    spread[:, genes[known]] = values[:, known]
    return spread


def _neighbors(made: AnnData, moving: AnnData) -> dict[str, Any]:
    """Describe the neighbour graph as scanpy and scVelo do."""
    given = moving.uns.get(Uns.NEIGHBORS, {}).get("params", {})
    per_cell = np.diff(made.obsp[Obsp.DISTANCES].indptr)
    # scanpy counts the cell itself among its neighbours, and stores no distance for it.
    n_neighbors = int(given.get("n_neighbors", (per_cell.max() if per_cell.size else 0) + 1))
    return {
        "connectivities_key": Obsp.CONNECTIVITIES,
        "distances_key": Obsp.DISTANCES,
        "params": {"method": "umap", "metric": "euclidean", "n_neighbors": n_neighbors},
    }


def _record(run: Run, source: str | None, plain: str, lacks: list[str]) -> dict[str, Any]:
    settings = run.config.to_dict()
    settings["data"] = file_name(str(settings["data"]))
    if settings.get("model_run"):
        settings["model_run"] = file_name(str(settings["model_run"]))
    words = {
        Sources.MEASURED: "measured; predicted counts stand in predicted_spliced and "
        "predicted_unspliced",
        Uns.PREDICTED: "predicted from total counts; nothing was measured",
    }
    return {
        "version": __version__,
        "run": run.id,
        "name": run.name,
        "data_sha256": run.config.data_sha256,
        "velocity_source": source or "none",
        "spliced_and_unspliced_are": words.get(plain, "not in this file"),
        "lacks": lacks or ["nothing"],
        "verdict": _verdict(run, source),
        "cautions": run_cautions(run),
        "notes": list(run.notes) or ["none"],
        "command": command_line(run),
        "settings": json.dumps(settings, ensure_ascii=False),
        "provenance": json.dumps(run.provenance, ensure_ascii=False),
    }


def _verdict(run: Run, source: str | None) -> dict[str, Any]:
    """Return the answer of `splicedvae.views.verdict` and its grounds."""
    if source is None:
        return {"answer": "none", "grounds": ["no velocity was computed"]}
    found = verdict(run, source)
    grounds = [ground.sentence for ground in found.reasons]
    return {"answer": found.answer, "grounds": grounds or [found.sentence]}


def _write(made: AnnData, out: Path) -> None:
    if out.is_dir() or not out.parent.is_dir():
        raise RunError(
            f"{out.name!r} cannot be written, it is a folder or lies in one that does not exist: "
            "name a file in an existing folder."
        )
    try:
        with ad.settings.override(allow_write_nullable_strings=False), replacing(out) as temporary:
            made.write_h5ad(temporary, compression="gzip")
    except OSError as error:
        raise RunError(
            f"The file {out.name!r} could not be written ({error.strerror}): choose another folder "
            "or free some space."
        ) from error
