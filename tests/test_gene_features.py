"""The features of genes are those of the shipped table, by identifier and by symbol."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from splicedvae._core.build_gene_features import build
from splicedvae._core.gene_features import FEATURES, SPECIES, TABLE, gene_features
from splicedvae._core.gene_identity import GeneIdentity


def of(*names: str) -> GeneIdentity:
    return GeneIdentity.of_names(names)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return pd.read_csv(TABLE, keep_default_na=False, na_values={"half_life": [""]})


@pytest.mark.real_data
def test_the_shipped_table_is_what_the_script_makes(table: pd.DataFrame, real_data: Path) -> None:
    pd.testing.assert_frame_equal(build(real_data).reset_index(drop=True), table)


def test_each_gene_of_the_table_is_there_once(table: pd.DataFrame) -> None:
    assert set(table["species"]) == set(SPECIES)
    assert not table.duplicated(["species", "id"]).any()
    assert (table[["intron_length", "mrna_length"]] >= 0).all().all()


def test_a_gene_is_found_by_identifier_with_a_version_and_by_symbol() -> None:
    # Cd3e, mouse: lengths of GENCODE M37.
    by_id, by_symbol = (
        gene_features(of("ENSMUSG00000032093.7", "Cd3g"), "mouse"),
        gene_features(of("Cd3e", "Cd3g"), "mouse"),
    )
    np.testing.assert_array_equal(by_id[0], by_symbol[0])
    assert by_id.shape == (2, len(FEATURES))
    assert np.isfinite(by_symbol).all()


def test_features_are_lengths_in_log10_of_bases(table: pd.DataFrame) -> None:
    row = table[(table["species"] == "human") & (table["symbol"] == "TP53")].iloc[0]
    found = gene_features(of("TP53", "CD3E"), "human")[0]
    assert found[0] == pytest.approx(np.log10(row["intron_length"]) - 3.5)
    assert found[2] == pytest.approx(np.log10(row["mrna_length"]) - 3.5)
    assert found[3] == pytest.approx(row["half_life"])
    assert found[1] == found[4] == 0


def test_a_gene_without_introns_or_half_life_is_marked(table: pd.DataFrame) -> None:
    lone = table[(table["intron_length"] == 0) & table["half_life"].isna()].iloc[0]
    found = gene_features(of(lone["id"]), lone["species"])[0]
    assert (found[1], found[0], found[4], found[3]) == (1, 0, 1, 0)


@pytest.mark.parametrize("species", [None, "pig", "mouse"])
def test_nothing_is_known_of_strange_genes_or_species(species: str | None) -> None:
    assert np.isnan(gene_features(of("gene 1", "17", "NotAGene"), species)).all()


def test_the_order_of_genes_does_not_matter(table: pd.DataFrame) -> None:
    names = table.loc[table["species"] == "mouse", "id"].to_numpy()[::97]
    order = np.random.default_rng(0).permutation(len(names))
    np.testing.assert_array_equal(
        gene_features(of(*names), "mouse")[order], gene_features(of(*names[order]), "mouse")
    )
