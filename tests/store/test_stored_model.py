"""A stored model answers as the one it was written from, and a flipped bit is refused."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path

import numpy as np
import pytest
from anndata import AnnData

from splicedvae import SplicedVAE
from splicedvae._core.errors import StoreError
from splicedvae._core.keys import Var
from splicedvae.store import COUNTS_SHARE, ModelCard, StoredModel, read_stored, write_stored
from splicedvae.store._folder import CARD, DIGESTS, FILES, write_digests


def ratios(model: SplicedVAE, cells: AnnData) -> np.ndarray:
    totals = AnnData(cells.X.copy(), obs=cells.obs[[]].copy(), var=cells.var[[]].copy())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(model.get_splicing_ratio(totals))


def test_a_stored_model_answers_the_same(
    made: StoredModel, model: SplicedVAE, cells: AnnData, card: ModelCard
) -> None:
    stored = read_stored(made.path)
    assert stored.card == card
    assert stored.digest == hashlib.sha256((made.path / DIGESTS).read_bytes()).hexdigest()
    assert np.abs(ratios(stored.model(), cells) - ratios(model, cells)).max() < 0.002
    assert list(stored.identity.names) == list(model.genes)
    assert stored.genes[COUNTS_SHARE].sum() == pytest.approx(1, abs=1e-3)
    assert stored.genes[Var.GENE_MEAN].iloc[0] == pytest.approx(0.5)
    assert stored.known_cells([cells.obs_names[0], "another"]).tolist() == [True, False]


def test_a_small_folder_takes_less_than_half(
    made: StoredModel, model: SplicedVAE, tmp_path: Path
) -> None:
    model.to_folder(tmp_path / "whole")
    whole = (tmp_path / "whole" / "weights.safetensors").stat().st_size
    assert (made.path / "weights.safetensors").stat().st_size < whole / 2


def test_no_counts_and_no_names_of_cells_are_stored(made: StoredModel, cells: AnnData) -> None:
    content = b"".join((made.path / name).read_bytes() for name in (*FILES, DIGESTS))
    assert not any(str(name).encode() in content for name in cells.obs_names)
    assert {file.name for file in made.path.iterdir()} == {*FILES, DIGESTS}


@pytest.mark.parametrize("name", [*FILES, DIGESTS])
def test_a_flipped_bit_is_refused(copy: Path, name: str) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(StoreError) as caught:
        read_stored(copy)
    assert str(caught.value).count(". ") == 0


@pytest.mark.parametrize("name", [*FILES, DIGESTS])
def test_a_missing_file_is_refused(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(StoreError, match=r"again|no stored model"):
        read_stored(copy)


@pytest.mark.parametrize(
    "line",
    [
        f"{'0' * 64}  ../../etc/passwd",
        f"{'0' * 64}  extra.pkl",
        "nonsense",
        f"{'0' * 64}  card.json",
    ],
)
def test_digests_of_other_files_are_refused(copy: Path, line: str) -> None:
    with (copy / DIGESTS).open("a") as file:
        file.write(line + "\n")
    with pytest.raises(StoreError, match="does not name the files"):
        read_stored(copy)


def test_a_link_is_no_file_of_a_model(copy: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.json"
    (copy / CARD).rename(elsewhere)
    (copy / CARD).symlink_to(elsewhere)
    with pytest.raises(StoreError, match=CARD):
        read_stored(copy)


def test_digests_that_fit_do_not_make_a_card(copy: Path) -> None:
    (copy / CARD).write_text("{}")
    write_digests(copy)
    with pytest.raises(StoreError, match="format"):
        read_stored(copy)


def test_a_card_of_another_model_is_refused(
    made: StoredModel, model: SplicedVAE, card: ModelCard, tmp_path: Path
) -> None:
    import dataclasses

    with pytest.raises(StoreError, match="41 genes"):
        write_stored(
            tmp_path / "x",
            dataclasses.replace(card, n_genes=41),
            model,
            gene_means=made.genes[Var.GENE_MEAN],
            gene_counts=np.ones(40),
            cell_names=[],
        )
    assert not (tmp_path / "x").exists()
