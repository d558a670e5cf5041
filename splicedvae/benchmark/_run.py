"""A benchmark is a folder of runs that differ only in the cells held out and the seed."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

import pandas as pd

from splicedvae import io, plotting
from splicedvae._core.errors import RunError
from splicedvae._core.files import replacing
from splicedvae._core.keys import Design
from splicedvae.benchmark._summary import compare, summarise
from splicedvae.evaluation import split_groups
from splicedvae.io import gate
from splicedvae.pipeline import evaluate_on, execute
from splicedvae.runs import Run, RunConfig, Status, code_version
from splicedvae.velocity import VelocitySettings

if TYPE_CHECKING:
    import plotly.graph_objects as go

_HELD_OUT: Final[dict[str, float]] = {"cells": 0.2, "folds": 0.2, "halves": 0.5, "transfer": 0.1}
_PLAN: Final = "benchmark.json"
_METRICS: Final = "metrics.csv"
_SUMMARY: Final = "summary.json"
_FIGURE: Final = "figure.html"
_RUNS: Final = "runs"


class Benchmark:
    """A finished benchmark.

    Parameters
    ----------
    folder
        Folder that `run` wrote.

    Raises
    ------
    RunError
        If the folder holds no finished benchmark.
    """

    def __init__(self, folder: Path | str) -> None:
        self.path = Path(folder)
        for name in (_PLAN, _METRICS):
            if not (self.path / name).is_file():
                raise RunError(
                    f"The folder {self.path.name!r} has no {name}, expected a finished "
                    "benchmark: name another, or run the benchmark to its end."
                )

    @cached_property
    def plan(self) -> dict[str, Any]:
        """What was requested."""
        plan: dict[str, Any] = json.loads((self.path / _PLAN).read_text(encoding="utf-8"))
        return plan

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """Tidy: seed, fold, predictor, metric, coverage, value, ceiling, n, note."""
        text = {"predictor": str, "metric": str, "note": str}
        return pd.read_csv(self.path / _METRICS, dtype=text, keep_default_na=True).fillna(
            {"note": ""}
        )

    @cached_property
    def summary(self) -> pd.DataFrame:
        """Mean and spread over the runs; see `splicedvae.benchmark.summarise`."""
        return summarise(self.metrics)

    @cached_property
    def comparison(self) -> pd.DataFrame:
        """SplicedVAE against each other predictor; see `splicedvae.benchmark.compare`."""
        return compare(self.metrics)

    def figure(self, *, dark: bool = False) -> go.Figure:
        """Draw the main metrics of all predictors with their spreads and ceilings.

        Parameters
        ----------
        dark
            Whether the page behind the figure is dark.
        """
        return plotting.benchmark_overview(self.summary, dark=dark)

    def to_dict(self) -> dict[str, Any]:
        """Return plan, summary and comparison as JSON holds them; missing numbers are None."""
        return {
            "plan": self.plan,
            "summary": _records(self.summary),
            "comparison": _records(self.comparison),
        }


def run(
    data: Path | str,
    out: Path | str,
    *,
    design: Design = "cells",
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    split_by: str | None = None,
    test: Path | str | None = None,
    held_out: float | None = None,
    keep_runs: bool = True,
    progress: Callable[[int, int, Status], None] | None = None,
    **settings: Any,
) -> Benchmark:
    """Train and evaluate all predictors over several seeds, by one protocol.

    Each run holds cells out first; genes, means, principal components, penalties and models come
    from the other cells alone. A benchmark that was interrupted resumes where it stopped.

    Parameters
    ----------
    data
        File with spliced and unspliced counts.
    out
        Folder to write.
    design
        Which cells are held out: ``"cells"``, ``"folds"``, ``"halves"``, ``"groups"`` or
        ``"transfer"``.
    seeds
        Seeds of split, training and embeddings.
    split_by
        For ``"groups"``: column of ``obs`` whose groups are held out in turn.
    test
        For ``"transfer"``: the other file with S/U.
    held_out
        Share of the cells to hold out, instead of the design's (0.2; one half for ``"halves"``).
    keep_runs
        Whether the run folders stay, which the dashboard can open.
    progress
        Called with the number of the run, the number of runs and its status.
    **settings
        Of `splicedvae.runs.RunConfig`, such as ``cluster_key``, ``transitions``, ``max_epochs``.
        ``velocity`` may also name some settings of the velocity; the others follow the run's, as
        `splicedvae.runs.RunConfig.with_velocity` has it.

    Returns
    -------
    The benchmark.

    Raises
    ------
    RunError
        If the folder holds another benchmark, or the design lacks what it needs.
    DataError
        If the data cannot be trained on.
    """
    plan = _plan(
        Path(data),
        design,
        seeds,
        split_by,
        None if test is None else Path(test),
        held_out,
        settings,
    )
    folder = Path(out)
    _take_folder(folder, plan)
    configs = list(_configs(Path(data), plan, settings))
    other = None if test is None else gate.read(test)
    tables = []
    for number, config in enumerate(configs):
        where = folder / _RUNS / f"seed{config.seed}_fold{config.fold}"
        stored = where.with_suffix(".csv")
        if not stored.is_file():
            if where.exists() and not _finished(where, config):
                shutil.rmtree(where)

            def tell(status: Status, number: int = number) -> None:
                if progress is not None:
                    progress(number, len(configs), status)

            done = Run(where) if where.exists() else execute(config, where, progress=tell)
            metrics = done.metrics
            if other is not None:
                metrics, _ = evaluate_on(done, other)
            table = metrics.assign(seed=config.seed, fold=config.fold)
            with replacing(stored) as temporary:
                table[["seed", "fold", *metrics.columns]].to_csv(temporary, index=False)
            if not keep_runs:
                shutil.rmtree(where)
        tables.append(pd.read_csv(stored))
    pd.concat(tables, ignore_index=True).to_csv(folder / _METRICS, index=False)
    benchmark = Benchmark(folder)
    (folder / _SUMMARY).write_text(
        json.dumps(benchmark.to_dict(), indent=1, allow_nan=False), encoding="utf-8"
    )
    benchmark.figure().write_html(folder / _FIGURE, include_plotlyjs=True)
    return benchmark


def _plan(
    data: Path,
    design: Design,
    seeds: Sequence[int],
    split_by: str | None,
    test: Path | None,
    held_out: float | None,
    settings: dict[str, Any],
) -> dict[str, Any]:
    """Return the request in a form that JSON can hold and that can be compared."""
    if design not in get_args(Design):
        raise RunError(
            f"The design is {design!r}, expected one of {', '.join(get_args(Design))}: "
            "choose one of them."
        )
    if not list(seeds):
        raise RunError("The benchmark has no seeds, expected at least one: name some.")
    for name, given, needs in (("split_by", split_by, "groups"), ("test", test, "transfer")):
        if (given is not None) != (design == needs):
            raise RunError(
                f"The setting {name!r} belongs to the design {needs!r}, but the design is "
                f"{design!r}: give both or neither."
            )
    taken = {"data", "data_sha256", "name", "kind", "fold", "seed", "model_run"} & set(settings)
    if taken:
        raise RunError(
            f"The setting {sorted(taken)[0]!r} is set by the benchmark itself: leave it out."
        )
    return {
        "design": design,
        "seeds": [int(seed) for seed in seeds],
        "split_by": split_by,
        "held_out": _HELD_OUT.get(design, 0.2) if held_out is None else held_out,
        "data_sha256": io.sha256(data),
        "test_sha256": None if test is None else io.sha256(test),
        "settings": {
            name: value.to_dict() if isinstance(value, VelocitySettings) else value
            for name, value in settings.items()
        },
        "code": code_version(),
    }


def _take_folder(folder: Path, plan: dict[str, Any]) -> None:
    """Start a benchmark in a folder, or resume the same one."""
    asked = json.loads(json.dumps(plan))
    file = folder / _PLAN
    if file.is_file():
        if json.loads(file.read_text(encoding="utf-8")) != asked:
            raise RunError(
                f"The folder {folder.name!r} holds another benchmark (other data, settings or "
                "code): choose another folder."
            )
        return
    if folder.exists() and any(folder.iterdir()):
        raise RunError(
            f"The folder {folder.name!r} is not empty and holds no benchmark: choose a new folder."
        )
    (folder / _RUNS).mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(plan, indent=1), encoding="utf-8")


def _configs(data: Path, plan: dict[str, Any], settings: dict[str, Any]) -> Iterator[RunConfig]:
    settings = dict(settings)
    velocity = settings.pop("velocity", {})
    if isinstance(velocity, VelocitySettings):
        velocity = velocity.to_dict()
    base = RunConfig(
        data=str(data.absolute()),
        data_sha256=plan["data_sha256"],
        name=data.stem,
        held_out=plan["held_out"],
        split_by=plan["split_by"],
        **settings,
    )
    if plan["design"] == "groups":
        column = gate.read(data).adata.obs.get(plan["split_by"])
        if column is None:
            raise RunError(
                f"The file has no column {str(plan['split_by'])[:60]!r} in obs to split by: "
                "choose one of its columns."
            )
        # Refuses a single group, or cells without one.
        split_groups(list(column))
        n_folds = column.astype(str).nunique()
    else:
        n_folds = {"halves": 2, "folds": int(1 / base.held_out + 1e-9)}.get(plan["design"], 1)
    for seed in plan["seeds"]:
        for fold in range(n_folds):
            yield dataclasses.replace(
                base,
                name=f"{data.stem}, seed {seed}, fold {fold}",
                seed=seed,
                fold=fold,
            ).with_velocity(**{**velocity, "seed": seed})


def _finished(folder: Path, config: RunConfig) -> bool:
    try:
        found = Run(folder)
        return found.is_finished and found.config == config
    except RunError:
        return False


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    with_none = table.astype(object).where(table.notna(), None)
    return [
        {str(name): value for name, value in row.items()}
        for row in with_none.to_dict(orient="records")
    ]
