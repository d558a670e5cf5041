"""What a run writes and tells of each velocity besides its arrows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from splicedvae import plotting, views
from splicedvae._core.errors import DataError
from splicedvae._core.keys import Layers, Obs, Obsm, Sources, Split, Uns, Var
from splicedvae.evaluation import cell_agreement
from splicedvae.report import export_h5ad
from splicedvae.runs import Run
from splicedvae.views import run_cautions

MODELS = (Sources.SPLICEDVAE, Sources.SCVI)

#: A copy whose results a test changes, as of a run from before there were digests.
WITHOUT_DIGESTS = shutil.ignore_patterns("SHA256SUMS")


def test_every_velocity_has_time_drivers_and_arrows_on_each_map(finished_run: Run) -> None:
    assert set(MODELS) <= set(finished_run.velocity_sources)
    cells = finished_run.predictions
    for source in finished_run.velocity_sources:
        result = finished_run.velocity(source)
        for name in (Obs.ROOT_CELLS, Obs.END_POINTS, Obs.PSEUDOTIME):
            values = result.obs[name].dropna()
            assert values.between(0, 1).all()
            assert len(values) or finished_run.velocity_account[source]["notes"]
        for points, arrows in (
            (Obsm.UMAP_LATENT, Obsm.VELOCITY_UMAP_LATENT),
            (Obsm.UMAP_LATENT_SCVI, Obsm.VELOCITY_UMAP_LATENT_SCVI),
        ):
            np.testing.assert_array_equal(result.obsm[points], cells.obsm[points])
            assert result.obsm[arrows].shape == (cells.n_obs, 2)
            assert np.any(result.obsm[arrows])
        assert result.var[Var.VELOCITY_SHARE].sum() == pytest.approx(1, abs=1e-3)
        clusters = result.uns[Uns.ROOT][Uns.DRIVERS]
        assert set(clusters["group"]) <= set(cells.obs[Obs.CLUSTERS].astype(str))
        assert set(clusters["gene"]) <= set(cells.var_names)


def test_agreement_by_cell_is_with_the_measured_velocity(finished_run: Run) -> None:
    measured = finished_run.velocity(Sources.MEASURED)
    assert Obs.COSINE_GENES not in measured.obs
    for source in MODELS:
        result = finished_run.velocity(source)
        expected = cell_agreement(measured, result)
        for name in (Obs.COSINE_GENES, Obs.COSINE_UMAP):
            assert result.obs[name].dropna().between(-1.0001, 1.0001).all()
            np.testing.assert_allclose(result.obs[name], expected[name], atol=1e-5)
        told = views.agreement_sentence(finished_run, source)
        assert told is not None
        apart = (finished_run.predictions.obs[Obs.SPLIT] == Split.HELD_OUT).to_numpy()
        assert f"{result.obs[Obs.COSINE_GENES][apart].mean():.2f} over {apart.sum()} held" in told
    itself = cell_agreement(measured, measured)[Obs.COSINE_GENES].dropna()
    np.testing.assert_allclose(itself, 1, atol=1e-6)


def test_verdicts_hold_the_numbers_of_held_out_cells(finished_run: Run) -> None:
    rows = finished_run.metrics.query("coverage == 1")
    table = rows.groupby(["predictor", "metric"])["value"].first()
    for source in MODELS:
        found = views.verdict(finished_run, source)
        assert found.answer in {"trust", "look closer", "do not show"}
        assert found.reasons
        for metric in (
            "velocity_cosine_genes_equal",
            "agreement_genes_equal_chance",
            "velocity_cosine_umap",
        ):
            assert f"{table[source, metric]:z.2f}" in found.sentence
        assert len(found.short) <= 48
        assert 0.01 <= table[source, "agreement_genes_equal_p"] <= 1
    assert views.verdict(finished_run, Sources.TRUE).answer == "known"
    text = plotting.alt_text(views.stream_figure(finished_run))
    assert "velocity stream lines" in text


def test_a_velocity_no_better_than_chance_is_not_to_be_shown_anywhere(
    finished_run: Run, tmp_path: Path
) -> None:
    shutil.copytree(finished_run.path, tmp_path / "run", ignore=WITHOUT_DIGESTS)
    table = finished_run.metrics.copy()
    ours = table["predictor"] == Sources.SPLICEDVAE
    table.loc[ours & table["metric"].str.startswith("velocity_cosine"), "value"] = -0.2
    table.loc[table["metric"] == "velocity_cosine_genes_equal", "ceiling"] = 0.9
    table.loc[ours & table["metric"].str.endswith("_p"), "value"] = 0.9
    table.to_csv(tmp_path / "run" / "metrics.csv", index=False)
    run = Run(tmp_path / "run")
    found = views.verdict(run, Sources.SPLICEDVAE)
    assert found.answer == "do not show"
    assert any(ground.short == "no better than chance in gene space" for ground in found.reasons)
    assert "SplicedVAE velocity: do not show." in " ".join(run_cautions(run))
    assert "do not show" in plotting.alt_text(views.stream_figure(run)) or "do not show" in str(
        views.stream_figure(run).to_dict()
    )
    exported = export_h5ad(run).uns[Uns.ROOT][Uns.EXPORT]["verdict"]
    assert exported["answer"] == "do not show"
    assert exported["grounds"] == [ground.sentence for ground in found.reasons]


def test_a_run_that_measured_nothing_is_unchecked_or_of_another_kind(
    finished_run: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished_run.path, folder, ignore=WITHOUT_DIGESTS)
    (folder / "metrics.csv").unlink()
    found = views.verdict(Run(folder), Sources.SCVI)
    assert found.answer == "look closer"
    assert "the arrows cannot be checked" in found.sentence
    account = dict(finished_run.velocity_account)
    account[Sources.SPLICEDVAE] = account[Sources.SPLICEDVAE] | {"novelty": 0.6}
    (folder / "velocity.json").write_text(json.dumps(account))
    found = views.verdict(Run(folder), Sources.SPLICEDVAE)
    assert (found.answer, found.short) == ("do not show", "do not show: out-of-distribution cells")
    assert "novelty 0.60" in found.sentence
    assert "The cells are out of distribution" in " ".join(run_cautions(Run(folder)))


def test_driver_tables_tell_which_genes_are_predicted(finished_run: Run) -> None:
    groups = views.driver_groups(finished_run, Sources.SPLICEDVAE)
    assert groups[0] == views.ALL_CELLS
    assert len(groups) > 1
    for group in groups:
        table = views.driver_table(finished_run, Sources.SPLICEDVAE, group, n_genes=7)
        assert 0 < len(table) <= 7
        skill = finished_run.genes["skill_splicedvae"].reindex(table.index)
        np.testing.assert_allclose(table[views.SKILL], skill)
    assert views.driver_table(finished_run, Sources.SPLICEDVAE)["share"].is_monotonic_decreasing
    assert views.SKILL not in views.driver_table(finished_run, Sources.MEASURED)
    with pytest.raises(DataError, match="no driver genes of 'nobody'"):
        views.driver_table(finished_run, Sources.SPLICEDVAE, "nobody")


def test_time_tables_share_out_start_and_end(finished_run: Run) -> None:
    table = views.time_table(finished_run, Sources.MEASURED)
    assert table["cells"].sum() == finished_run.predictions.n_obs
    for name in ("roots", "ends"):
        assert table[name].sum() == pytest.approx(1, abs=1e-4) or table[name].isna().all()
    said = " ".join(views.time_sentences(finished_run, Sources.SPLICEDVAE))
    assert "measured velocity" in said
    assert "true time" in said


@pytest.mark.parametrize("style", [views.ARROWS, views.GRID])
def test_arrows_are_drawn_in_every_panel(finished_run: Run, style: str) -> None:
    sources = [Sources.MEASURED, Sources.SPLICEDVAE]
    figure = views.stream_figure(finished_run, sources, style=style, density=0.8)
    arrows = [trace for trace in figure.data if trace.type == "quiver"]
    assert [trace.xaxis for trace in arrows] == ["x", "x2"]
    expected = views.velocity_drawn(finished_run, sources[1], style, density=0.8)
    np.testing.assert_array_equal(arrows[1].x, expected.x)
    np.testing.assert_array_equal(arrows[1].u, expected.dx)
    assert "velocity arrows" in plotting.alt_text(figure)
    assert not [trace for trace in figure.data if trace.name == "stream lines"]


def test_each_model_is_drawn_on_its_own_map(finished_run: Run) -> None:
    first, *others = views.map_choices(finished_run)
    assert first == views.COMMON
    assert others[:3] == [views.OWN, "SplicedVAE's", "scVI's"]
    sources = [Sources.MEASURED, *MODELS]
    own = views.stream_figure(finished_run, sources, on=views.OWN)
    cells = finished_run.predictions
    for axis, key in (("x", Obsm.UMAP), ("x2", Obsm.UMAP_LATENT), ("x3", Obsm.UMAP_LATENT_SCVI)):
        drawn = [trace for trace in own.data if trace.xaxis == axis and trace.mode == "markers"]
        drawn = [trace for trace in drawn if trace.customdata is not None]
        index = np.concatenate([trace.customdata for trace in drawn])
        x = np.concatenate([trace.x for trace in drawn])
        np.testing.assert_array_equal(x, cells.obsm[key][index, 0])
    assert own.layout.xaxis2.matches is None
    shared = views.stream_figure(finished_run, sources, on="scVI's")
    assert shared.layout.xaxis2.matches == "x"
    with pytest.raises(DataError, match="in the embedding 'mine'"):
        views.stream_figure(finished_run, sources, on="mine")
    with pytest.raises(DataError, match="style 'comic' is unknown"):
        views.stream_figure(finished_run, sources, style="comic")


def test_cosines_are_coloured_around_zero(finished_run: Run) -> None:
    choices = views.color_choices(finished_run)
    assert {Obs.COSINE_GENES, Obs.PSEUDOTIME, Obs.ROOT_CELLS, Obs.END_POINTS} <= set(choices)
    velocity = finished_run.velocity(Sources.SPLICEDVAE)
    colors = views.cell_colors(finished_run, Obs.COSINE_GENES, velocity)
    assert isinstance(colors, plotting.Values)
    assert (colors.scale, colors.limits) == ("diverging", (-1.0, 1.0))
    paint = plotting.painted(colors)
    assert paint.rgb.shape == (finished_run.predictions.n_obs, 3)
    redness = paint.rgb[:, 0].astype(int) - paint.rgb[:, 2]
    assert redness[np.nanargmax(colors.values)] > redness[np.nanargmin(colors.values)]
    categories = plotting.painted(views.cell_colors(finished_run, Obs.CLUSTERS))
    assert categories.names is not None
    assert len(categories.names) == finished_run.predictions.obs[Obs.CLUSTERS].nunique()


def test_a_run_of_an_earlier_version_says_what_it_lacks(finished_run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished_run.path, folder, ignore=WITHOUT_DIGESTS)
    for source in finished_run.velocity_sources:
        old = finished_run.velocity(source)
        old.obs = old.obs.drop(columns=[Obs.PSEUDOTIME, Obs.ROOT_CELLS, Obs.END_POINTS])
        old.obs = old.obs.drop(columns=[Obs.COSINE_GENES, Obs.COSINE_UMAP], errors="ignore")
        old.var = old.var.drop(columns=[Var.VELOCITY_SHARE, Var.TIME_CORRELATION])
        del old.uns[Uns.ROOT][Uns.DRIVERS]
        for name in list(old.obsm):
            if name.startswith(Layers.VELOCITY) and name != Obsm.VELOCITY_UMAP:
                del old.obsm[name]
        old.write_h5ad(folder / "velocity" / f"{source}.h5ad")
    run = Run(folder)
    assert views.map_choices(run) == (views.COMMON,)
    assert Obs.PSEUDOTIME not in views.color_choices(run)
    assert views.agreement_sentence(run, Sources.SPLICEDVAE) is None
    for view in (views.driver_groups, views.time_table, views.time_sentences):
        with pytest.raises(DataError, match="earlier version"):
            view(run, Sources.SPLICEDVAE)
