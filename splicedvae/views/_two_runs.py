"""Two runs side by side: settings that differ, results, and whether they are comparable.

Numbers of two runs are comparable only if both were evaluated on the same held-out
cells of the same data; elsewhere they are shown without a difference, and a sentence says why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from splicedvae._core.errors import RunError
from splicedvae._core.keys import Obs, Sources, Split
from splicedvae._core.metrics import metric_of
from splicedvae.views._parts import plain_label, value_of
from splicedvae.views.reproduce import file_name

if TYPE_CHECKING:
    from splicedvae.runs import Run

#: Columns of the tables: the run that is open, and the one it is compared with.
LEFT: Final = "this run"
RIGHT: Final = "other run"

#: Metrics shown, and the coverages at which they are taken if they have several.
_SHOWN: Final[dict[str, tuple[int | None, ...]]] = {
    "rmse": (1, 5),
    "pearson": (1, 5),
    "skill": (None,),
    "within_gene_r": (None,),
    "within_gene_r_by_cluster": (None,),
    "calibration_error": (None,),
    "interval_coverage": (5,),
    "velocity_cosine_genes": (None,),
    "velocity_cosine_genes_equal": (None,),
    "velocity_cosine_umap": (None,),
    "velocity_cosine_genes_true": (None,),
    "cbdir": (None,),
    "velocity_effective_genes": (None,),
    "velocity_confidence": (None,),
    "expression_nll": (None,),
}
_PREDICTORS: Final = (
    Sources.SPLICEDVAE,
    Sources.SCVI,
    Sources.RIDGE,
    Sources.GENE_MEAN,
    Sources.SHUFFLED,
)


def compared_settings(first: Run, second: Run) -> pd.DataFrame:
    """List the settings in which two runs differ.

    Parameters
    ----------
    first, second
        Finished runs.

    Returns
    -------
    Text, indexed by the setting, with the columns `LEFT` and `RIGHT`; only settings that differ,
    none if there are none. Names of runs are left out, paths are file names.
    """
    ours, theirs = _settings(first), _settings(second)
    rows = {
        name: {LEFT: ours.get(name, "–"), RIGHT: theirs.get(name, "–")}
        for name in {**ours, **theirs}
        if ours.get(name) != theirs.get(name)
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=[LEFT, RIGHT])


def _settings(run: Run) -> dict[str, str]:
    values: dict[str, Any] = run.config.to_dict()
    velocity = values.pop("velocity")
    del values["name"]
    values["data"] = file_name(str(values["data"]))
    values["data_sha256"] = str(values["data_sha256"])[:12]
    if values.get("model_run"):
        values["model_run"] = file_name(str(values["model_run"]))
    values.update({f"velocity: {name}": value for name, value in velocity.items()})
    values["code"] = _made(run, "code")
    values["device"] = _made(run, "device")
    for name, found in (_made(run, "packages") or {}).items():
        values[f"package: {name}"] = found
    return {name: "not set" if value is None else str(value) for name, value in values.items()}


def _made(run: Run, name: str) -> Any:
    try:
        return run.provenance.get(name)
    except RunError:
        # Without provenance, as in a folder that was edited manually.
        return None


def _held_out(run: Run) -> set[str] | None:
    cells = run.predictions
    if Obs.SPLIT not in cells.obs:
        return None
    apart = (cells.obs[Obs.SPLIT].astype(str) == Split.HELD_OUT).to_numpy()
    return set(cells.obs_names[apart])


def _apart(first: Run, second: Run) -> list[str]:
    """Return why the numbers of two runs are not comparable; empty if they are."""
    said = []
    if first.config.data_sha256 != second.config.data_sha256:
        said.append(
            "The runs were made from different data, so their numbers are not comparable and no "
            "difference is given."
        )
    ours, theirs = _held_out(first), _held_out(second)
    if ours is None or theirs is None:
        said.append(
            "A prediction run holds out no cells, so the two runs were evaluated on "
            "different cells and no difference is given."
            if (ours is None) != (theirs is None)
            else ""
        )
    elif not said and ours != theirs:
        said.append(
            f"The runs were evaluated on different held-out cells ({len(ours & theirs):,} "
            f"in both, of {len(ours):,} and {len(theirs):,}), so their numbers are not "
            "comparable and no difference is given: choose the same seed, fold and share."
        )
    return [sentence for sentence in said if sentence]


def compared_cautions(first: Run, second: Run) -> list[str]:
    """Say what must be known before two runs are compared.

    Parameters
    ----------
    first, second
        Finished runs.

    Returns
    -------
    Plain sentences (not Markdown), the gravest first; the last always holds.
    """
    said = _apart(first, second)
    ours, theirs = (set(run.predictions.var_names) for run in (first, second))
    if ours != theirs and first.config.data_sha256 == second.config.data_sha256:
        said.append(
            f"The runs model different genes ({len(ours & theirs):,} in both, of "
            f"{len(ours):,} and {len(theirs):,}), so their numbers cover different entries: "
            "a difference may come from the genes alone."
        )
    if _made(first, "code") != _made(second, "code"):
        said.append(
            "The runs were made by different versions of the code, which alone may explain "
            "a difference."
        )
    for run, words in ((first, LEFT), (second, RIGHT)):
        if _metrics(run) is None:
            said.append(f"The {words} was not evaluated, as its data has no measured counts.")
    said.append(
        "Each is a single run: a small difference may come from the seed and the held-out "
        "cells. “splicedvae benchmark” repeats runs and reports the spread."
    )
    return said


def _metrics(run: Run) -> pd.DataFrame | None:
    try:
        return run.metrics
    except RunError:
        return None


def compared_metrics(first: Run, second: Run) -> pd.DataFrame:
    """Put the numbers of two runs side by side.

    Parameters
    ----------
    first, second
        Finished runs.

    Returns
    -------
    Columns ``metric`` and ``predictor`` (text), `LEFT`, `RIGHT`, ``difference`` (this run minus
    the other; NaN where the runs cannot be compared) and ``noise ceiling`` (of this run; NaN
    where it is not known). No rows if neither was evaluated.
    """
    tables = [_metrics(run) for run in (first, second)]
    apart = bool(_apart(first, second))
    rows = []
    for key, coverages in _SHOWN.items():
        for coverage in coverages:
            for predictor in _PREDICTORS:
                ours, theirs = (_value(table, predictor, key, coverage) for table in tables)
                if not (np.isfinite(ours) or np.isfinite(theirs)):
                    continue
                rows.append(
                    {
                        "metric": metric_of(key).at(coverage, full=True),
                        "predictor": plain_label(predictor),
                        LEFT: ours,
                        RIGHT: theirs,
                        "difference": np.nan if apart else ours - theirs,
                        "noise ceiling": _value(
                            tables[0], predictor, key, coverage, column="ceiling"
                        ),
                    }
                )
    columns = ["metric", "predictor", LEFT, RIGHT, "difference", "noise ceiling"]
    return pd.DataFrame(rows, columns=columns)


def _value(
    table: pd.DataFrame | None,
    predictor: str,
    key: str,
    coverage: int | None,
    *,
    column: str = "value",
) -> float:
    if table is None:
        return float("nan")
    return value_of(table, predictor, key, coverage, column=column)
