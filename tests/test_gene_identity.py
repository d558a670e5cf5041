"""A gene is known by its identifier, else by a symbol of its own: never by its place in a file."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splicedvae._core.gene_identity import GeneIdentity
from splicedvae._core.gene_match import match_genes

SYMBOLS = ["Sox17", "H2-K1", "nan", "beta'COP", "mt-Co1", "Nkx2-1", "Gm16", "Rn18s-rs5"]
IDS = [f"ENSMUSG{place:011d}" for place in range(len(SYMBOLS))]


def known(symbols=SYMBOLS, ids=IDS) -> GeneIdentity:
    return GeneIdentity.of(pd.DataFrame({"gene_ids": ids}, index=symbols))


def rules(match) -> list[tuple[str, str | None, bool, int]]:
    return [(rule.kind, rule.column, rule.exact, n) for rule, n in match.found_by]


@pytest.mark.parametrize(
    "write",
    [
        lambda name: f"{name}.{len(name)}",
        lambda name: f"mm10___{name}",
        lambda name: f"GRCm38_{name}.3",
        lambda name: f'"{name}"',
        lambda name: f" {name} ",
        lambda name: f"{name}_Whatever",
        lambda name: f"Whatever|{name}.12",
        str.lower,
    ],
)
def test_an_identifier_is_known_however_it_is_written(write):
    match = match_genes(GeneIdentity.of_names(IDS), pd.DataFrame(index=[write(one) for one in IDS]))
    assert match.position.tolist() == list(range(len(IDS)))
    ((rule, n),) = match.found_by
    assert (rule.kind, n) == ("identifier", len(IDS))


@pytest.mark.parametrize(
    "write",
    [
        lambda name: f"mm10_{name}",
        lambda name: f"hg19-{name}",
        lambda name: f"'{name}'",
        lambda name: f"{name} ",
        lambda name: name.replace("-", "."),
        lambda name: name.replace("-", "_"),
    ],
)
def test_a_symbol_is_known_however_it_is_written(write):
    wanted = GeneIdentity.of_names(SYMBOLS)
    match = match_genes(wanted, pd.DataFrame(index=[write(one) for one in SYMBOLS]))
    assert match.position.tolist() == list(range(len(SYMBOLS)))


def test_capitals_tell_species_apart():
    human = pd.DataFrame(index=["SOX17", "NKX2-1", "INS"])
    assert match_genes(GeneIdentity.of_names(["Sox17", "Nkx2-1", "Ins2"]), human).n_found == 0


@pytest.mark.parametrize("column", ["feature_name", "gene_symbols", "what we call them"])
@pytest.mark.parametrize("values", [list, pd.Categorical, lambda v: pd.array(v, dtype="string")])
def test_the_column_that_has_the_names_is_found_and_told(column, values):
    var = pd.DataFrame({"chromosome": "chr1", "length": 5, column: values(SYMBOLS)}, index=IDS)
    match = match_genes(GeneIdentity.of_names(SYMBOLS), var)
    assert match.position.tolist() == list(range(len(SYMBOLS)))
    assert rules(match) == [("symbol", column, True, len(SYMBOLS))]


@pytest.mark.parametrize("mark", ["-", ".", "_"])
def test_numbers_after_repeated_symbols_match_nothing(mark):
    names = ["Twin", f"Twin{mark}1", f"Twin{mark}2", "Sox17"]
    match = match_genes(GeneIdentity.of_names(names), pd.DataFrame(index=names[::-1]))
    assert match.position.tolist() == [-1, -1, -1, 0]
    assert match.n_ambiguous == 3
    # A number that belongs to a name is none.
    own = ["Nkx2-1", "Nkx2-2", "Twin-3", "Twin"]
    match = match_genes(GeneIdentity.of_names(own), pd.DataFrame(index=own[::-1]))
    assert match.n_found == 4


def test_a_symbol_that_others_share_in_the_data_is_left_out_and_told():
    match = match_genes(
        GeneIdentity.of_names(["Twin", "Sox17", "Ins2"]),
        pd.DataFrame(index=["Twin", "Ins2", "Twin", "Sox17"]),
    )
    assert match.position.tolist() == [-1, 3, 1]
    assert match.n_ambiguous == 1


@pytest.mark.parametrize("names", [range(8), [str(place) for place in range(8)], ["1.0"] * 8])
def test_numbers_are_no_names(names):
    assert GeneIdentity.of_names(names).only_numbers
    assert match_genes(GeneIdentity.of_names(names), pd.DataFrame(index=names)).n_found == 0
    assert match_genes(known(), pd.DataFrame(index=names)).n_found == 0


def test_entrez_numbers_are_identifiers_where_a_column_says_so():
    var = pd.DataFrame({"entrez_id": [5, 7, 9, 11]}, index=["a", "b", "c", "d"])
    turned = var.iloc[::-1].set_axis(["w", "x", "y", "z"])
    match = match_genes(GeneIdentity.of(var), turned)
    assert match.position.tolist() == [3, 2, 1, 0]


def test_another_identifier_is_another_gene_where_most_identifiers_agree():
    var = pd.DataFrame({"gene_ids": [*IDS[:-1], "ENSMUSG99999999999"]}, index=SYMBOLS)
    assert match_genes(known(), var).position.tolist() == [*range(len(IDS) - 1), -1]
    # Identifiers of another kind say nothing.
    var = pd.DataFrame({"gene_ids": [f"MGI:{place}" for place in range(len(IDS))]}, index=SYMBOLS)
    assert match_genes(known(), var).n_found == len(IDS)
    # Where the data have none, the symbol stands.
    var = pd.DataFrame({"gene_ids": [*IDS[:-1], ""]}, index=SYMBOLS)
    match = match_genes(known(), var)
    assert match.n_found == len(IDS)
    assert [n for _, n in match.found_by] == [len(IDS) - 1, 1]


genes = st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), max_size=8)


@given(st.permutations(range(len(SYMBOLS))), genes, st.data())
def test_order_names_and_annotation_do_not_matter_where_identifiers_are_kept(order, more, data):
    var = pd.DataFrame({"gene_ids": IDS}, index=SYMBOLS)
    renamed = var.set_axis(
        data.draw(st.permutations([*more, *SYMBOLS]).map(lambda names: names[: len(SYMBOLS)]))
    )
    renamed["note"] = data.draw(st.permutations(SYMBOLS))
    renamed["other"] = data.draw(st.permutations(IDS))
    renamed["score"] = np.linspace(0, 1, len(SYMBOLS))
    match = match_genes(known(), renamed.iloc[list(order)])
    assert [order[place] for place in match.position] == list(range(len(SYMBOLS)))


@given(st.permutations(range(len(SYMBOLS))), st.data())
def test_order_and_annotation_do_not_matter_where_there_are_names_alone(order, data):
    var = pd.DataFrame(index=SYMBOLS)
    var["note"] = data.draw(st.permutations(SYMBOLS))
    match = match_genes(GeneIdentity.of_names(SYMBOLS), var.iloc[list(order)])
    assert [order[place] for place in match.position] == list(range(len(SYMBOLS)))


names = st.one_of(
    st.sampled_from(["Twin", "Twin-1", "Twin.1", "nan", "", "unnamed-3", "7", *SYMBOLS]),
    st.text(max_size=6),
)


@given(st.lists(names, min_size=1, max_size=12), st.data())
def test_what_an_identity_says_survives_its_table(given_names, data):
    ids = data.draw(
        st.lists(st.sampled_from(["", *IDS]), min_size=len(given_names), max_size=len(given_names))
    )
    first = GeneIdentity.of(pd.DataFrame({"gene_ids": ids}, index=given_names))
    again = GeneIdentity.of(first.frame())
    assert again.identifiers.tolist() == first.identifiers.tolist()
    assert again.symbols.tolist() == first.symbols.tolist()
    match = match_genes(first, first.frame())
    there = match.position >= 0
    assert (match.position[there] == np.flatnonzero(there)).all()
