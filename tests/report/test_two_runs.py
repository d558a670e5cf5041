"""Two runs compared: copies of the shipped run, changed where a comparison must notice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from splicedvae import views
from splicedvae._core.errors import DataError
from splicedvae._core.keys import Obs, Split
from splicedvae.runs import Run, demo_run


@pytest.fixture
def copy(tmp_path: Path) -> Callable[..., Run]:
    """A copy of the shipped run with other entries of its configuration."""

    def make(place: str, /, **changes: object) -> Run:
        folder = Path(shutil.copytree(demo_run().path, tmp_path / place))
        # Tests change its results.
        (folder / "SHA256SUMS").unlink()
        record = json.loads((folder / "config.json").read_text())
        record["config"].update(changes)
        (folder / "config.json").write_text(json.dumps(record))
        return Run(folder)

    return make


def test_a_run_beside_itself_differs_in_nothing(copy: Callable[..., Run]) -> None:
    run = demo_run()
    other = copy("renamed", name="another name")
    assert views.compared_settings(run, other).empty
    table = views.compared_metrics(run, other)
    assert len(table) > 10
    assert (table["difference"] == 0).all()
    assert {"SplicedVAE", "scVI + ratio head", "gene mean"} <= set(table["predictor"])
    said = views.compared_cautions(run, other)
    assert len(said) == 1
    assert "may come from the seed" in said[0]


def test_only_what_differs_is_shown_and_differences_have_their_sign(
    copy: Callable[..., Run],
) -> None:
    run, other = demo_run(), copy("other", n_latent=5, batch_key="batch")
    metrics = other.metrics.copy()
    rows = (metrics["predictor"] == "splicedvae") & (metrics["metric"] == "skill")
    metrics.loc[rows, "value"] -= 0.25
    metrics.to_csv(other.path / "metrics.csv", index=False)
    other = Run(other.path)
    settings = views.compared_settings(run, other)
    assert set(settings.index) == {"n_latent", "batch_key"}
    assert settings.loc["n_latent", views.RIGHT] == "5"
    assert settings.loc["batch_key", views.LEFT] == "not set"
    table = views.compared_metrics(run, other)
    ours = table[(table["predictor"] == "SplicedVAE") & table["metric"].str.contains("skill")]
    assert ours["difference"].to_numpy() == pytest.approx([0.25])
    back = views.compared_metrics(other, run)
    assert np.allclose(back["difference"], -table["difference"], equal_nan=True)


def test_other_data_and_other_held_out_cells_give_no_difference(copy: Callable[..., Run]) -> None:
    run = demo_run()
    elsewhere = copy("elsewhere", data_sha256="0" * 64)
    assert "different data" in views.compared_cautions(run, elsewhere)[0]
    assert views.compared_metrics(run, elsewhere)["difference"].isna().all()

    apart = copy("apart", seed=8)
    file = apart.path / "predictions.h5ad"
    cells = ad.read_h5ad(file)
    split = cells.obs[Obs.SPLIT].astype(str).to_numpy().copy()
    first = np.flatnonzero(split == Split.HELD_OUT)[0]
    split[first] = Split.TRAIN
    cells.obs[Obs.SPLIT] = pd.Categorical(split, categories=[Split.TRAIN, Split.HELD_OUT])
    cells.write_h5ad(file)
    said = views.compared_cautions(run, Run(apart.path))
    n = int((split == Split.HELD_OUT).sum())
    assert f"different held-out cells ({n:,} in both, of {n + 1:,} and {n:,})" in said[0]
    assert views.compared_metrics(run, Run(apart.path))["difference"].isna().all()


def test_a_run_without_numbers_is_told(copy: Callable[..., Run]) -> None:
    run, other = demo_run(), copy("bare")
    (other.path / "metrics.csv").unlink()
    other = Run(other.path)
    assert any(
        "other run was not evaluated" in said for said in views.compared_cautions(run, other)
    )
    table = views.compared_metrics(run, other)
    assert table[views.RIGHT].isna().all()
    assert table["difference"].isna().all()


def test_watched_curves_of_a_history(copy: Callable[..., Run]) -> None:
    other = copy("watched")
    history = other.history[~other.history["metric"].str.contains("held_out")]
    history.to_csv(other.path / "history.csv", index=False)
    with pytest.raises(DataError, match="train again"):
        views.watched_figure(Run(other.path))
    rows = [
        {"predictor": name, "epoch": epoch, "metric": f"{metric}_held_out", "value": 0.1 * epoch}
        for name in ("splicedvae", "scvi")
        for epoch in (1, 2)
        for metric in ("skill", "rmse", "within_gene_r")
    ]
    rows += [
        {"predictor": "gene_mean", "epoch": 1, "metric": "rmse_held_out", "value": 0.3},
        {"predictor": "gene_mean", "epoch": 1, "metric": "rmse_held_out_ceiling", "value": 0.2},
    ]
    whole = pd.concat([history, pd.DataFrame(rows)], ignore_index=True)
    whole.to_csv(other.path / "history.csv", index=False)
    figure = views.watched_figure(Run(other.path))
    names = [trace.name for trace in figure.data]
    assert names.count("SplicedVAE") == names.count("scVI + ratio head") == 3
    level = next(trace for trace in figure.data if trace.name == "gene mean, a constant")
    assert list(level.y) == [0.3, 0.3]
    assert sum(trace.name == "noise ceiling" for trace in figure.data) == 1
    # The losses are drawn without the levels.
    losses = views.training_figure(Run(other.path))
    assert not any("gene mean" in str(trace.name) for trace in losses.data)
