"""What users rely on: totals in, ratios out, whatever layers and gene order the query has."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pandas as pd
import pytest
import scvi
import torch
from anndata import AnnData, read_h5ad
from safetensors.torch import load_file, save_file
from scipy.sparse import csr_matrix
from scvi.model import SCVI

from splicedvae import SplicedVAE
from splicedvae._core.errors import DataError, GenesError, RunError
from splicedvae._core.keys import Layers, Obsm, Uns
from splicedvae._core.layers import named_layers
from splicedvae.evaluation import GeneMean, ratio_metrics
from splicedvae.module import CountedEntries
from splicedvae.module._module import SplicedVAEModule

OPTIONS = {"n_hidden": 32, "n_latent": 5, "ratio_shrinkage": 30.0}


def bare(adata: AnnData) -> AnnData:
    return AnnData(adata.X.copy(), obs=adata.obs[[]].copy(), var=adata.var[[]].copy())


@pytest.fixture(scope="module")
def query(simulated) -> AnnData:
    return bare(simulated[1])


@pytest.fixture(scope="module")
def ratio(trained, query) -> pd.DataFrame:
    return trained.get_splicing_ratio(query)


def test_ratio_is_a_frame_of_fractions_for_the_query(ratio, query):
    assert isinstance(ratio, pd.DataFrame)
    assert ratio.index.equals(query.obs_names)
    assert ratio.columns.equals(query.var_names)
    assert ratio.to_numpy().dtype == np.float32
    assert ((ratio > 0) & (ratio < 1)).all(axis=None)


def test_held_out_ratios_beat_the_gene_mean_and_follow_the_truth(simulated, ratio):
    train, test = simulated
    mean = GeneMean().fit(train)
    table = ratio_metrics(
        test.layers["spliced"],
        test.layers["unspliced"],
        {
            "model": ratio.to_numpy(),
            "mean": mean.predict(test),
            "truth": test.layers[Layers.TRUE_RATIO],
        },
        gene_mean=mean.ratio,
    ).set_index(["predictor", "metric", "coverage"])["value"]
    assert table["model", "skill", 1] > 0.3 * table["truth", "skill", 1] > 0
    assert table["model", "rmse", 1] < table["mean", "rmse", 1]
    assert table["model", "within_gene_r", 1] > 0.1
    truth = test.layers[Layers.TRUE_RATIO]
    within = [
        np.corrcoef(truth[:, g], ratio.to_numpy()[:, g])[0, 1]
        for g in range(test.n_vars)
        if truth[:, g].std() > 0.05
    ]
    assert np.median(within) > 0.6


def test_layers_of_held_out_cells_changed_at_random_leave_predictions_untouched(
    trained, simulated, ratio
):
    rng = np.random.default_rng(0)
    test = simulated[1]
    for draw in range(3):
        changed = bare(test)
        changed.layers["spliced"] = csr_matrix(rng.poisson(3.0 + draw, test.shape).astype("f4"))
        changed.layers["unspliced"] = csr_matrix(rng.poisson(3.0, test.shape).astype("f4"))
        np.testing.assert_array_equal(trained.get_splicing_ratio(changed).to_numpy(), ratio)
    intact = test.copy()
    np.testing.assert_array_equal(trained.get_splicing_ratio(intact).to_numpy(), ratio)


def test_the_query_keeps_no_invented_layers(trained, simulated):
    query = bare(simulated[1])
    trained.get_splicing_ratio(query)
    assert named_layers(query) == []


def test_predictions_do_not_depend_on_batch_size_or_random_state(trained, query, ratio):
    torch.manual_seed(123)
    again = trained.get_splicing_ratio(query, batch_size=7)
    np.testing.assert_allclose(again, ratio, rtol=1e-5)


def test_indices_and_gene_list_pick_rows_and_columns(trained, query, ratio):
    genes = [ratio.columns[5], ratio.columns[2]]
    part = trained.get_splicing_ratio(query, indices=[4, 1], gene_list=genes)
    pd.testing.assert_frame_equal(part, ratio.iloc[[4, 1]][genes], rtol=1e-5)
    with pytest.raises(DataError, match="'Nope' is not one of the model's"):
        trained.get_splicing_ratio(query, gene_list=["Nope"])


def test_interval_holds_the_mean_and_widens_with_the_level(trained, query, ratio):
    torch.manual_seed(0)
    narrow = trained.get_splicing_ratio(query, n_samples=200, credible_level=0.5)
    wide = trained.get_splicing_ratio(query, n_samples=200, credible_level=0.95)
    np.testing.assert_allclose(narrow.mean, ratio, atol=0.05)
    assert (narrow.lower <= narrow.upper).all(axis=None)
    assert (wide.upper - wide.lower).mean(axis=None) > 1.5 * (narrow.upper - narrow.lower).mean(
        axis=None
    )
    with pytest.raises(DataError, match="at least 2 draws"):
        trained.get_splicing_ratio(query, n_samples=1)


def test_closed_form_mean_equals_many_draws(trained, query, ratio):
    torch.manual_seed(1)
    draws = trained.get_splicing_ratio(query, indices=range(20), n_samples=4000).mean
    np.testing.assert_allclose(draws, ratio.iloc[:20], atol=0.02)


def test_genes_in_another_order_missing_or_additional_are_aligned_and_told(trained, query, ratio):
    shuffled = query[:, np.random.default_rng(0).permutation(query.n_vars)].copy()
    with pytest.warns(UserWarning, match="put in the model's order"):
        np.testing.assert_allclose(trained.get_splicing_ratio(shuffled), ratio, rtol=1e-5)
    more = AnnData(
        csr_matrix(np.hstack([query.X.toarray(), np.ones((query.n_obs, 3), dtype="f4")])),
        var=pd.DataFrame(index=[*query.var_names, "a", "b", "c"]),
        obs=query.obs,
    )
    with pytest.warns(UserWarning, match="3 other genes of the data were left out"):
        np.testing.assert_allclose(trained.get_splicing_ratio(more), ratio, rtol=1e-5)
    fewer = query[:, 2:].copy()
    zeroed = query.copy()
    x = zeroed.X.toarray()
    x[:, :2] = 0
    zeroed.X = csr_matrix(x)
    with pytest.warns(UserWarning, match="2 missing ones were set to zero"):
        got = trained.get_splicing_ratio(fewer)
    np.testing.assert_allclose(got, trained.get_splicing_ratio(zeroed), rtol=1e-5)
    with pytest.warns(UserWarning, match="model's order"):
        assert trained.get_latent_representation(shuffled).shape == (query.n_obs, 5)


def test_too_few_genes_in_common_is_an_error_that_says_what_to_do(trained, query):
    human = query.copy()
    human.var_names = [f"SOX{i}" for i in range(human.n_vars)]
    with pytest.raises(
        GenesError,
        match=r"0 of the model's .* genes numbered after SOX .* \(orthologs for another species\)",
    ):
        trained.get_splicing_ratio(human)
    few = query[:, :10].copy()
    with pytest.raises(GenesError, match="give the data with all its genes"):
        trained.get_splicing_ratio(few)
    twice = query.copy()
    twice.var_names = [query.var_names[0], *query.var_names[:-1]]
    with pytest.raises(GenesError, match="is duplicated"):
        trained.get_splicing_ratio(twice)


def test_save_and_load_gives_identical_predictions_without_layers(trained, query, ratio, tmp_path):
    trained.save(tmp_path / "model")
    loaded = SplicedVAE.load(tmp_path / "model", bare(query))
    np.testing.assert_array_equal(loaded.get_splicing_ratio(), ratio)
    with pytest.warns(UserWarning, match="model's order"):
        turned = SplicedVAE.load(tmp_path / "model", query[:, ::-1].copy())
    np.testing.assert_array_equal(turned.get_splicing_ratio(), ratio)
    empty = SplicedVAE.load(tmp_path / "model", adata=False)
    np.testing.assert_array_equal(empty.get_splicing_ratio(bare(query)), ratio)


def test_folder_without_pickle_gives_identical_predictions(trained, query, ratio, tmp_path):
    trained.to_folder(tmp_path / "model", details={"organism": "simulated"})
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == [
        "model.json",
        "weights.safetensors",
    ]
    again = SplicedVAE.from_folder(tmp_path / "model")
    np.testing.assert_array_equal(again.get_splicing_ratio(bare(query)), ratio)
    assert again.genes.equals(trained.genes)
    np.testing.assert_allclose(
        again.get_normalized_expression(bare(query), n_samples=1).shape, query.shape
    )


def damage(folder, kind):
    weights = folder / "weights.safetensors"
    description = folder / "model.json"
    if kind == "missing":
        weights.unlink()
    elif kind == "truncated":
        weights.write_bytes(weights.read_bytes()[:200])
    elif kind == "not json":
        description.write_text("{")
    elif kind == "no registry":
        description.write_text('{"format": 1}')
    elif kind == "another format":
        content = json.loads(description.read_text())
        description.write_text(json.dumps({**content, "format": 99}))
    else:
        tensors = load_file(weights)
        if kind == "shape":
            name = "ratio_head.loadings.mean"
            tensors[name] = tensors[name][:, :-1].contiguous()
        elif kind == "name":
            tensors["other"] = tensors.pop("px_r")
        elif kind == "NaN":
            tensors["px_r"][0] = float("nan")
        save_file(tensors, weights)


@pytest.mark.parametrize(
    "kind",
    ["missing", "truncated", "not json", "no registry", "another format", "shape", "name", "NaN"],
)
def test_a_damaged_folder_is_refused_in_one_sentence(trained, tmp_path, kind):
    trained.to_folder(tmp_path / "model")
    damage(tmp_path / "model", kind)
    with pytest.raises(RunError) as error:
        SplicedVAE.from_folder(tmp_path / "model")
    assert str(tmp_path) not in str(error.value)
    assert "\n" not in str(error.value)


def test_reconstruct_is_ready_for_scvelo(trained, query, simulated, tmp_path):
    out = trained.reconstruct(query)
    assert (csr_matrix(out.layers["spliced"] + out.layers["unspliced"]) != out.X).nnz == 0
    assert (out.X != query.X).nnz == 0
    assert out.obsm[Obsm.LATENT].shape == (query.n_obs, 5)
    assert out.uns[Uns.ROOT][Uns.PREDICTED]["predictor"] == "SplicedVAE"
    assert not [key for key in [*out.uns, *out.obs] if key.startswith("_scvi")]
    assert named_layers(query) == []
    out.write_h5ad(tmp_path / "out.h5ad")
    again = read_h5ad(tmp_path / "out.h5ad")
    assert (again.layers[Layers.RATIO] != out.layers[Layers.RATIO]).nnz == 0
    measured = simulated[1]
    beside = trained.reconstruct(measured)
    assert (beside.layers["spliced"] != measured.layers["spliced"]).nnz == 0
    assert (beside.layers[Layers.PREDICTED_SPLICED] != out.layers["spliced"]).nnz == 0


def test_reconstruct_leaves_out_genes_the_data_lacks(trained, query):
    fewer = query[:, 3:][:, ::-1].copy()
    out = trained.reconstruct(fewer)
    assert list(out.var_names) == list(query.var_names[3:])
    assert "3 missing ones" in out.uns[Uns.ROOT][Uns.PREDICTED]["genes"]


@pytest.mark.parametrize("likelihood", ["binomial", "beta-binomial", "weighted-squared-error"])
@pytest.mark.parametrize("head", ["linear", "mlp"])
def test_every_head_and_likelihood_trains_saves_and_predicts(simulated, tmp_path, likelihood, head):
    scvi.settings.seed = 0
    train = simulated[0][:150].copy()
    SplicedVAE.setup_anndata(train)
    model = SplicedVAE(train, **OPTIONS, ratio_head=head, ratio_likelihood=likelihood)
    model.train(max_epochs=8, enable_progress_bar=False)
    losses = model.history["ratio_loss_train"]["ratio_loss_train"].astype(float)
    assert np.isfinite(losses).all()
    query = bare(simulated[1])
    expected = model.get_splicing_ratio(query)
    model.to_folder(tmp_path)
    got = SplicedVAE.from_folder(tmp_path).get_splicing_ratio(query.copy())
    np.testing.assert_array_equal(got, expected)


def test_shrinkage_draws_the_ratio_to_a_constant(simulated):
    spreads = []
    for shrinkage in (1.0, 1e7):
        scvi.settings.seed = 0
        train = simulated[0].copy()
        SplicedVAE.setup_anndata(train)
        model = SplicedVAE(train, n_hidden=32, n_latent=5, ratio_shrinkage=shrinkage)
        model.train(max_epochs=25, enable_progress_bar=False)
        spreads.append(model.get_splicing_ratio().std(axis=0).mean())
    assert spreads[1] < 0.1 * spreads[0]


def test_the_joint_loss_reaches_the_encoder_and_a_frozen_one_does_not(simulated):
    train = simulated[0].copy()
    SplicedVAE.setup_anndata(train)
    model = SplicedVAE(train, **OPTIONS)
    module: SplicedVAEModule = model.module
    with torch.no_grad():
        module.ratio_head.loadings.mean.normal_()
    tensors = next(iter(model._make_data_loader(train, batch_size=64)))

    def gradient() -> float:
        module.zero_grad()
        module.train()
        outputs = module.inference(**module._get_inference_input(tensors))
        logits = module.ratio_head(outputs["z"], tensors["batch"])
        loss = module.ratio_head.negative_log_likelihood(
            logits, CountedEntries.find(tensors["spliced"], tensors["unspliced"])
        )
        loss.backward()
        first = next(module.z_encoder.parameters())
        return 0.0 if first.grad is None else float(first.grad.abs().sum())

    assert gradient() > 0
    module.freeze_expression()
    assert gradient() == 0


def test_head_on_a_frozen_scvi_leaves_its_latent_space_untouched(simulated, tmp_path):
    scvi.settings.seed = 0
    train = simulated[0].copy()
    SCVI.setup_anndata(train)
    base = SCVI(train, n_hidden=32, n_latent=5, gene_likelihood="nb")
    base.train(max_epochs=15, enable_progress_bar=False)
    query = bare(simulated[1])
    latent = base.get_latent_representation(query.copy())
    expression = base.get_normalized_expression(query.copy())
    model = SplicedVAE.from_scvi_model(base, ratio_shrinkage=30.0)
    model.train(max_epochs=40, enable_progress_bar=False)
    np.testing.assert_array_equal(model.get_latent_representation(query.copy()), latent)
    np.testing.assert_allclose(
        model.get_normalized_expression(query.copy()).mean(), expression.mean(), rtol=0.2
    )
    ratio = model.get_splicing_ratio(query.copy())
    assert ratio.std(axis=0).mean() > 0.005
    model.to_folder(tmp_path / "a")
    again = SplicedVAE.from_folder(tmp_path / "a")
    assert again.expression_frozen_
    np.testing.assert_array_equal(again.get_splicing_ratio(query.copy()), ratio)
    model.save(tmp_path / "b")
    assert SplicedVAE.load(tmp_path / "b", query.copy()).expression_frozen_


def test_from_scvi_model_refuses_what_it_cannot_take_over(simulated):
    train = simulated[0].copy()
    SCVI.setup_anndata(train)
    with pytest.raises(DataError, match="not trained"):
        SplicedVAE.from_scvi_model(SCVI(train))
    odd = SCVI(train, use_layer_norm="both")
    odd.is_trained_ = True
    with pytest.raises(DataError, match="use_layer_norm"):
        SplicedVAE.from_scvi_model(odd)


def test_training_without_layers_or_counts_says_what_to_do(simulated):
    for name, change in {
        "no layer 'spliced'": lambda a: a.layers.pop("spliced"),
        "no counts": lambda a: a.layers.__setitem__("unspliced", a.layers["spliced"] * 0),
        "negative or non-finite": lambda a: a.layers.__setitem__(
            "unspliced", a.layers["spliced"] * -1
        ),
    }.items():
        adata = simulated[0][:50].copy()
        change(adata)
        SplicedVAE.setup_anndata(adata)
        with pytest.raises(DataError, match=name):
            SplicedVAE(adata, **OPTIONS).train(max_epochs=1)
    empty = simulated[0][:50].copy()
    x = empty.X.toarray()
    x[3] = 0
    empty.X = csr_matrix(x)
    SplicedVAE.setup_anndata(empty)
    with pytest.raises(DataError, match="1 cells have no counts"):
        SplicedVAE(empty, **OPTIONS).train(max_epochs=1)


def test_batches_are_learnt_asked_for_and_refused_when_unknown(simulated):
    rng = np.random.default_rng(0)
    train = simulated[0][:200].copy()
    train.obs["chip"] = pd.Categorical(rng.choice(["one", "two"], train.n_obs))
    SplicedVAE.setup_anndata(train, batch_key="chip")
    model = SplicedVAE(train, **OPTIONS)
    model.train(max_epochs=3, enable_progress_bar=False)
    query = bare(simulated[1])
    with pytest.raises(DataError, match="no column 'chip' in obs"):
        model.get_splicing_ratio(query)
    query.obs["chip"] = "three"
    with pytest.raises(DataError, match="The batch 'three'"):
        model.get_splicing_ratio(query)
    query.obs["chip"] = "two"
    assert model.get_splicing_ratio(query).shape == query.shape


def test_total_counts_may_lie_in_a_layer(simulated):
    train = simulated[0][:150].copy()
    train.layers["counts"] = train.X.copy()
    train.X = csr_matrix(train.X.log1p())
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        SplicedVAE.setup_anndata(train, layer="counts")
    model = SplicedVAE(train, **OPTIONS)
    model.train(max_epochs=2, enable_progress_bar=False)
    query = bare(simulated[1])
    with pytest.raises(DataError, match="no layer 'counts'"):
        model.get_splicing_ratio(query)
    query.layers["counts"] = query.X.copy()
    query.X = None
    out = model.reconstruct(query)
    assert (query.layers["counts"] != out.X).nnz == 0


def test_other_objects_of_the_model_agree_with_scvi_tools(trained, query):
    assert trained.get_normalized_expression(query.copy()).shape == query.shape
    reconstruction = trained.get_reconstruction_error(query.copy())["reconstruction_loss"]
    assert float(reconstruction) > 0


def test_minified_data_answers_nearly_as_before_and_says_why(trained, simulated, tmp_path):
    train = simulated[0].copy()
    model = SplicedVAE.from_folder(_folder_of(trained, tmp_path / "weights"))
    expected = model.get_splicing_ratio(train)
    train.obsm["X_latent_qzm"], train.obsm["X_latent_qzv"] = model.get_latent_representation(
        return_dist=True
    )
    model.minify_adata(use_latent_qzm_key="X_latent_qzm", use_latent_qzv_key="X_latent_qzv")
    with pytest.warns(UserWarning, match="without the gene's own count"):
        minified = model.get_splicing_ratio()
    logits = np.log(expected / (1 - expected))
    difference = (np.log(minified / (1 - minified)) - logits).to_numpy()
    # The expert on principal components is not heard either.
    within = logits.sub(logits.mean()).to_numpy()
    assert 0 < difference.std() < 0.7 * within.std()
    assert np.corrcoef((within + difference).ravel(), within.ravel())[0, 1] > 0.7
    with pytest.raises(DataError, match="minified"):
        model.reconstruct()
    model.save(tmp_path / "minified", save_anndata=True)
    again = SplicedVAE.load(tmp_path / "minified")
    assert again.minified_data_type == model.minified_data_type
    with pytest.warns(UserWarning, match="without the gene's own count"):
        np.testing.assert_allclose(again.get_splicing_ratio(), minified, atol=1e-5)


def _folder_of(model: SplicedVAE, folder):
    model.to_folder(folder)
    return folder


def test_surgery_on_totals_alone_keeps_the_ratio_head(simulated, tmp_path):
    train = simulated[0][:200].copy()
    train.obs["chip"] = "one"
    SplicedVAE.setup_anndata(train, batch_key="chip")
    model = SplicedVAE(train, **OPTIONS)
    model.train(max_epochs=5, enable_progress_bar=False)
    query = bare(simulated[1])
    query.obs["chip"] = "new"
    adapted = SplicedVAE.load_query_data(query, model)
    before = model.module.ratio_head.slopes().detach().clone()
    adapted.train(max_epochs=3, enable_progress_bar=False, plan_kwargs={"weight_decay": 0.0})
    torch.testing.assert_close(adapted.module.ratio_head.slopes().detach(), before)
    assert adapted.module.ratio_head.batch_offset.mean.shape == (query.n_vars, 2)
    assert np.isfinite(adapted.get_splicing_ratio()).all(axis=None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x.log1p(), "fractional"),
        (lambda x: -x, "negative"),
        (lambda x: x * np.float32("nan"), "non-finite"),
    ],
)
def test_what_is_no_count_is_refused_for_training_and_prediction(
    trained, simulated, query, change, message
):
    wrong = query.copy()
    wrong.X = csr_matrix(change(wrong.X))
    with pytest.raises(DataError, match=message):
        trained.get_splicing_ratio(wrong)
    train = simulated[0].copy()
    train.X = csr_matrix(change(train.X))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        SplicedVAE.setup_anndata(train)
    with pytest.raises(DataError, match=message):
        SplicedVAE(train, **OPTIONS).train(max_epochs=1)


def test_a_model_without_data_asks_for_some(trained, tmp_path):
    model = SplicedVAE.from_folder(_folder_of(trained, tmp_path))
    for ask in (model.get_splicing_ratio, model.reconstruct, model.get_latent_representation):
        with pytest.raises(DataError, match="pass one"):
            ask()


def test_the_baseline_keeps_the_numbers_of_its_scvi(simulated):
    scvi.settings.seed = 0
    train = simulated[0][:200].copy()
    SCVI.setup_anndata(train)
    base = SCVI(train, n_hidden=32, n_latent=5, gene_likelihood="nb")
    base.train(max_epochs=3, enable_progress_bar=False)
    query = bare(simulated[1])
    torch.manual_seed(0)
    expected = float(base.get_reconstruction_error(query.copy())["reconstruction_loss"])
    model = SplicedVAE.from_scvi_model(base)
    model.train(max_epochs=2, enable_progress_bar=False)
    torch.manual_seed(0)
    got = float(model.get_reconstruction_error(query.copy())["reconstruction_loss"])
    assert got == pytest.approx(expected, rel=0.05)
    assert abs(got) > 1


def test_the_ratio_at_counts_is_the_ratio_where_something_was_counted(trained, query):
    whole = trained.get_splicing_ratio(query.copy())
    for batch_size in (None, 7):
        counted = trained.get_counted_splicing_ratio(query.copy(), batch_size=batch_size)
        totals = query.X.tocsr()
        assert counted.shape == whole.shape
        assert ((counted != 0) != (totals != 0)).nnz == 0
        rows, columns = totals.nonzero()
        np.testing.assert_allclose(
            np.asarray(counted[rows, columns]).ravel(), whole.to_numpy()[rows, columns], atol=1e-6
        )
