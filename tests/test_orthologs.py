"""Genes across species: the shipped table is one-to-one, and aligning says what it did."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from splicedvae._core.build_orthologs import build, one_to_one
from splicedvae._core.errors import GenesError
from splicedvae._core.gene_identity import GeneIdentity
from splicedvae._core.orthologs import (
    SPECIES,
    TABLE,
    Orthologs,
    columns_of,
    has_orthologs,
    translated,
)
from splicedvae.model import align_genes

HUMAN_TO_MOUSE = Orthologs(data="human", model="mouse")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return pd.read_csv(TABLE, keep_default_na=False, dtype=str)


def test_every_pair_of_the_table_is_one_to_one(table: pd.DataFrame) -> None:
    assert list(table) == [column for species in SPECIES for column in columns_of(species)]
    for species in SPECIES:
        for column in columns_of(species):
            there = table[column][table[column] != ""]
            assert len(there) > 1_000
            assert not there.duplicated().any(), (column, there[there.duplicated()].tolist()[:5])


@pytest.mark.real_data
def test_the_shipped_table_is_what_the_script_makes(table: pd.DataFrame, real_data: Path) -> None:
    pd.testing.assert_frame_equal(build(real_data).reset_index(drop=True), table)


NAMES = st.sampled_from(list("abcde"))


@given(st.lists(st.tuples(NAMES, NAMES.map(str.upper)), max_size=12))
def test_one_to_one_keeps_pairs_without_another_partner(pairs: list[tuple[str, str]]) -> None:
    frame = pd.DataFrame(pairs, columns=["human_symbol", "symbol"], dtype=object)
    frame["human_id"], frame["id"] = frame["human_symbol"], frame["symbol"]
    kept = {tuple(row) for row in one_to_one(frame)[["human_symbol", "symbol"]].to_numpy()}
    distinct = set(pairs)
    assert kept == {
        (first, second)
        for first, second in distinct
        if sum(one == first for one, _ in distinct) == 1
        and sum(two == second for _, two in distinct) == 1
    }


def test_genes_get_the_names_of_their_orthologs() -> None:
    genes = GeneIdentity.of_names(["Cd3e", "Neurog3", "Gm12345", "Ins2"])
    found = translated(genes, HUMAN_TO_MOUSE)
    assert list(found.names) == list(genes.names)
    assert found.symbols.tolist() == ["CD3E", "NEUROG3", "", ""]
    assert found.identifiers[0] == "ENSG00000198851"
    back = translated(found, Orthologs(data="mouse", model="human"))
    assert back.symbols.tolist() == ["Cd3e", "Neurog3", "", ""]
    by_id = translated(GeneIdentity.of_names(["ENSMUSG00000032093.7"] * 1), HUMAN_TO_MOUSE)
    assert by_id.symbols.tolist() == ["CD3E"]


def test_two_other_species_meet_over_the_human_gene() -> None:
    found = translated(GeneIdentity.of_names(["Cd3e"]), Orthologs(data="rat", model="mouse"))
    assert found.symbols.tolist() == ["Cd3e"]
    assert found.identifiers[0].startswith("ENSRNOG")


@pytest.mark.parametrize("names", [["CD3E", "NEUROG3", "ACTB"], ["ENSG00000198851.12", "x", "y"]])
def test_aligning_over_species_says_so(names: list[str]) -> None:
    counts = csr_matrix(np.array([[1.0, 2.0, 5.0], [0.0, 3.0, 0.0]]))
    cells = AnnData(counts, var=pd.DataFrame(index=names))
    aligned, done = align_genes(
        cells, ["Neurog3", "Cd3e", "Gm1"], min_fraction=0.1, orthologs=HUMAN_TO_MOUSE
    )
    assert aligned.var_names.tolist() == ["Neurog3", "Cd3e", "Gm1"]
    assert aligned.X.toarray()[:, 1].tolist() == [1.0, 0.0]
    assert aligned.X.toarray()[:, 2].tolist() == [0.0, 0.0]
    assert done.n_mapped == 2
    assert "one-to-one orthologs of human and mouse" in str(done)
    assert "of the data's counts" in str(done)
    assert done.counts_share == pytest.approx(aligned.X.sum() / 11)
    assert not done.is_identity


def test_without_being_asked_no_gene_changes_species() -> None:
    cells = AnnData(csr_matrix(np.ones((2, 2))), var=pd.DataFrame(index=["CD3E", "XIST"]))
    with pytest.raises(GenesError, match="0 of the model's 2 genes"):
        align_genes(cells, ["Cd3e", "Xist"])


def test_species_that_the_table_lacks() -> None:
    with pytest.raises(GenesError, match="no table of orthologs for 'mammoth'"):
        Orthologs(data="mammoth", model="mouse")
    with pytest.raises(GenesError, match="both of mouse"):
        Orthologs(data="mouse", model="mouse")
    assert has_orthologs("human", "mouse")
    assert not has_orthologs("human", "human")
    assert not has_orthologs(None, "human")


def test_the_species_are_those_that_are_guessed() -> None:
    from splicedvae._core.species import _IDENTIFIERS

    guessed = {species for _, species, _ in _IDENTIFIERS}
    assert set(SPECIES) <= guessed
