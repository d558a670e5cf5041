"""A configuration survives JSON, refuses what it does not know, and has one id per request."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splicedvae._core.errors import RunError, SplicedVAEError
from splicedvae.runs import RunConfig
from splicedvae.runs.config import source_digest
from splicedvae.velocity import VelocitySettings

SHA = "0123456789abcdef" * 4

text = st.text(max_size=30)
maybe_text = st.none() | text
positive = st.floats(min_value=1e-6, max_value=1e6) | st.integers(1, 1000)
settings = st.builds(
    VelocitySettings,
    mode=st.sampled_from(["stochastic", "deterministic"]),
    n_top_genes=st.none() | st.integers(1, 5000),
    min_shared_counts=st.integers(0, 100),
    n_pcs=st.integers(2, 50),
    n_neighbors=st.integers(3, 60),
    seed=st.integers(0, 2**31),
)
configs = st.builds(
    RunConfig,
    data=text,
    data_sha256=st.just(SHA),
    name=text,
    kind=st.just("train"),
    total=maybe_text,
    spliced_layer=maybe_text,
    unspliced_layer=maybe_text,
    ambiguous_layer=maybe_text,
    ambiguous=st.sampled_from([None, "spliced", "apart"]),
    cluster_key=maybe_text,
    batch_key=maybe_text,
    counts=st.sampled_from(["with-introns", "exonic"]),
    held_out=st.floats(min_value=0.01, max_value=0.99),
    min_shared_counts=st.integers(0, 1000),
    n_top_genes=st.none() | st.integers(1, 10_000),
    max_epochs=st.none() | st.integers(1, 1000),
    batch_size=st.integers(2, 4096),
    n_latent=st.integers(1, 100),
    ratio_likelihood=st.sampled_from(["binomial", "beta-binomial", "weighted-squared-error"]),
    ratio_head=st.sampled_from(["linear", "mlp"]),
    ratio_weight=st.none() | positive,
    ratio_shrinkage=st.none() | positive,
    learning_rate=st.none() | positive,
    velocity=settings,
    seed=st.integers(0, 2**31),
)


def config(**changes: Any) -> RunConfig:
    return RunConfig(**{"data": "a.h5ad", "data_sha256": SHA, "name": "a", **changes})


@given(configs)
def test_configuration_survives_json(given_config: RunConfig) -> None:
    text_of_it = json.dumps(given_config.to_dict(), allow_nan=False)
    back = RunConfig.from_dict(json.loads(text_of_it))
    assert back == given_config
    assert back.digest() == given_config.digest()


@given(configs, text, text)
def test_id_knows_neither_path_nor_name(given_config: RunConfig, path: str, name: str) -> None:
    other = dataclasses.replace(given_config, data=path, name=name)
    assert other.digest() == given_config.digest()


@pytest.mark.parametrize(
    "change",
    [
        {"data_sha256": "f" * 64},
        {"seed": 1},
        {"held_out": 0.3},
        {"n_top_genes": None},
        {"cluster_key": "clusters"},
        {"ratio_weight": 1.0},
        {"learning_rate": 0.01},
        {"velocity": VelocitySettings(n_neighbors=11)},
        {"counts": "exonic"},
    ],
)
def test_id_knows_everything_that_changes_a_result(change: dict[str, Any]) -> None:
    assert config(**change).digest() != config().digest()


def test_id_takes_whole_and_decimal_numbers_alike() -> None:
    assert config(ratio_weight=1).digest() == config(ratio_weight=1.0).digest()


def test_id_of_a_prediction_follows_the_run_and_not_its_folder(tmp_path: Path) -> None:
    def named(folder: str, run_id: str) -> str:
        (tmp_path / folder).mkdir(exist_ok=True)
        record = {"format": 1, "id": run_id, "config": config().to_dict()}
        (tmp_path / folder / "config.json").write_text(json.dumps(record))
        return config(kind="predict", model_run=str(tmp_path / folder)).digest()

    assert named("one", "0" * 16) == named("two", "0" * 16)
    assert named("one", "0" * 16) != named("two", "1" * 16)


@given(st.text(min_size=1, max_size=20).filter(lambda name: not hasattr(RunConfig, name)))
def test_unknown_entry_is_refused(name: str) -> None:
    values = config().to_dict()
    if name in values:
        return
    values[name] = 1
    with pytest.raises(RunError, match="does not know"):
        RunConfig.from_dict(values)


@pytest.mark.parametrize("name", ["data", "data_sha256", "name"])
def test_missing_entry_is_refused(name: str) -> None:
    values = config().to_dict()
    del values[name]
    with pytest.raises(RunError, match=f"lacks '{name}'"):
        RunConfig.from_dict(values)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", "fit"),
        ("data", 3),
        ("data_sha256", "abc"),
        ("counts", "introns"),
        ("held_out", 0.0),
        ("held_out", 1.0),
        ("held_out", float("nan")),
        ("held_out", "0.2"),
        ("max_epochs", 0),
        ("max_epochs", 2.5),
        ("max_epochs", True),
        ("batch_size", 1),
        ("n_latent", 0),
        ("n_top_genes", 0),
        ("ratio_head", "transformer"),
        ("ratio_likelihood", None),
        ("ratio_weight", 0),
        ("ratio_weight", float("inf")),
        ("ratio_shrinkage", -1),
        ("learning_rate", -0.1),
        ("seed", -1),
        pytest.param("seed", 10**400, id="seed-huge"),
        ("cluster_key", 5),
        ("velocity", 3),
        ("velocity", {"mode": "dynamical"}),
        ("velocity", {"speed": 3}),
        ("velocity", {"n_pcs": "many"}),
    ],
)
def test_value_outside_what_is_allowed_is_refused_in_one_sentence(name: str, value: Any) -> None:
    with pytest.raises(SplicedVAEError) as error:
        RunConfig.from_dict({**config().to_dict(), name: value})
    message = str(error.value)
    assert isinstance(error.value, RunError)
    assert message.endswith(".")
    assert "\n" not in message
    assert len(message) < 300


@given(st.integers(0, 9), st.none() | st.integers(1, 99), st.integers(0, 99), st.integers(3, 60))
def test_a_velocity_is_of_the_genes_and_seed_of_its_run(
    seed: int, genes: int | None, counts: int, neighbors: int
) -> None:
    asked = config(seed=seed, n_top_genes=genes, min_shared_counts=counts)
    assert asked.velocity == VelocitySettings(
        seed=seed, n_top_genes=genes, min_shared_counts=counts
    )
    other = asked.with_velocity(n_neighbors=neighbors, seed=7)
    assert other.velocity == dataclasses.replace(asked.velocity, n_neighbors=neighbors, seed=7)
    assert dataclasses.replace(other, velocity=asked.velocity) == asked
    with pytest.raises(SplicedVAEError, match="unknown name 'speed'"):
        asked.with_velocity(speed=3)


def test_prediction_needs_a_run() -> None:
    with pytest.raises(RunError, match="model_run"):
        config(kind="predict")


@pytest.mark.parametrize(
    "value", ["ab", [["a"]], [1], [["a", 2]], [["a", ""]], [["a", "b", "c"]], None]
)
def test_transitions_that_are_no_pairs_are_refused(value: object) -> None:
    with pytest.raises(RunError, match="pairs of cell groups"):
        RunConfig(data="x", data_sha256="0" * 64, name="n", transitions=value)  # type: ignore[arg-type]


def test_the_split_of_a_run_survives_json_and_enters_its_id() -> None:
    plain = RunConfig(data="x", data_sha256="0" * 64, name="n")
    asked = RunConfig(
        data="x",
        data_sha256="0" * 64,
        name="n",
        fold=1,
        split_by="donor",
        min_cells=5,
        transitions=[["A", "B"]],  # type: ignore[arg-type]
    )
    assert asked.transitions == (("A", "B"),)
    assert RunConfig.from_dict(json.loads(json.dumps(asked.to_dict()))) == asked
    assert asked.digest() != plain.digest()
    with pytest.raises(RunError, match="'fold'"):
        RunConfig(data="x", data_sha256="0" * 64, name="n", fold=-1)


PACKAGE = Path(__file__).resolve().parents[2] / "splicedvae"


@pytest.mark.parametrize(
    ("changed", "decides"),
    [
        ("reconstruction.py", True),
        ("_counts.py", True),
        ("_permute.py", True),
        ("_keys.py", True),
        ("model/_model.py", True),
        ("datasets/_simulate.py", True),
        ("plotting/_streams.py", False),
        ("views/_streams.py", False),
        ("dashboard/theme.py", False),
        ("cli/_training.py", False),
    ],
)
def test_a_run_is_another_where_source_that_decides_it_changes(
    changed: str, decides: bool, tmp_path: Path
) -> None:
    for file in PACKAGE.rglob("*.py"):
        copied = tmp_path / file.relative_to(PACKAGE)
        copied.parent.mkdir(parents=True, exist_ok=True)
        copied.write_bytes(file.read_bytes())
    before = source_digest(tmp_path)
    with (tmp_path / changed).open("a") as file:
        file.write("# changed\n")
    assert (source_digest(tmp_path) != before) == decides
