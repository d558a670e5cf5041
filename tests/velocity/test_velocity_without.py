"""Velocities that few genes carry: said in the account, drawn again without them."""

from __future__ import annotations

import numpy as np
import pytest
from anndata import AnnData
from scipy import sparse

from splicedvae import velocity as vl
from splicedvae._core.errors import DataError, VelocityError
from splicedvae._core.graph_states import compared_states
from splicedvae._core.keys import Layers, Obs, Uns, Var
from splicedvae.velocity._scvelo import quiet_scvelo

SETTINGS = vl.VelocitySettings(n_top_genes=None, min_shared_counts=5, n_pcs=10, n_neighbors=15)
LOUD = "gene3"


@pytest.fixture(scope="module")
def loud(make_cells) -> AnnData:
    """Cells one of whose genes has a thousand times the counts of the others."""
    cells = make_cells(n_genes=60)
    place = cells.var_names.get_loc(LOUD)
    for name in (Layers.SPLICED, Layers.UNSPLICED):
        counts = cells.layers[name].toarray()
        counts[:, place] *= 1000
        cells.layers[name] = sparse.csr_matrix(counts)
    cells.X = sparse.csr_matrix(cells.layers[Layers.SPLICED] + cells.layers[Layers.UNSPLICED])
    return vl.compute_velocity(cells, settings=SETTINGS)


def test_a_velocity_that_one_gene_carries_says_so(loud: AnnData) -> None:
    assert vl.carrying_genes(loud) == (LOUD,)
    (note,) = [note for note in vl.VelocityAccount.from_adata(loud).notes if LOUD in note]
    assert "effective number" in note
    effective = loud.obs[Obs.EFFECTIVE_GENES]
    assert effective.min() >= 1
    assert effective.mean() < 20
    share = vl.driver_genes(loud)[0][Var.VELOCITY_SHARE]
    assert share.idxmax() == LOUD


def test_it_is_drawn_without_them_as_scvelo_draws_the_others(loud: AnnData) -> None:
    other = vl.without_genes(loud, [LOUD])
    assert not other.var.loc[LOUD, Var.VELOCITY_GENES]
    assert loud.var.loc[LOUD, Var.VELOCITY_GENES]
    assert other.var[Var.VELOCITY_GENES].sum() == loud.var[Var.VELOCITY_GENES].sum() - 1
    np.testing.assert_array_equal(other.layers[Layers.VELOCITY], loud.layers[Layers.VELOCITY])
    again = other.copy()
    with quiet_scvelo() as scvelo:
        again.layers[Layers.MS_EXPECTED] = compared_states(again)
        scvelo.tl.velocity_graph(
            again,
            xkey=Layers.MS_EXPECTED,
            sqrt_transform=True,
            n_jobs=1,
            show_progress_bar=False,
        )
    difference = abs(
        sparse.csr_matrix(again.uns[Uns.VELOCITY_GRAPH]) - other.uns[Uns.VELOCITY_GRAPH]
    )
    assert difference.max() < 1e-5
    assert abs(other.uns[Uns.VELOCITY_GRAPH] - loud.uns[Uns.VELOCITY_GRAPH]).max() > 0.1


def test_what_cannot_be_left_out_is_refused(loud: AnnData) -> None:
    with pytest.raises(DataError, match="no gene 'nothing'"):
        vl.without_genes(loud, ["nothing"])
    with pytest.raises(VelocityError, match="velocity genes are left"):
        vl.without_genes(loud, list(loud.var_names[:-2]))


def test_enough_genes_of_like_size_are_not_said_to_carry(make_cells) -> None:
    result = vl.compute_velocity(make_cells(n_genes=80), settings=SETTINGS)
    assert result.obs[Obs.EFFECTIVE_GENES].mean() > 20
    assert vl.carrying_genes(result) == ()
    notes = vl.VelocityAccount.from_adata(result).notes
    assert not any("effective number" in note for note in notes)
