"""The one rule for what a velocity is worth."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splicedvae.evaluation import VelocityFacts, judge_velocity

GOOD = VelocityFacts(
    origin="predicted",
    evidence_p=0.02,
    evidence_within_p=0.02,
    skill=0.01,
    agreement_genes=0.7,
    agreement_genes_p=0.01,
    agreement_genes_chance=0.3,
    agreement_map=0.8,
    agreement_map_p=0.01,
    agreement_map_chance=0.4,
    halves_genes=0.4,
    halves_map=0.7,
    direction=0.5,
    direction_chance=0.1,
    effective_genes=70.0,
    n_judged=118,
    novelty=0.05,
    trained="trust",
    depth=2000.0,
)
ANSWERS = ("do not show", "look closer", "trust")


def test_a_velocity_that_everything_speaks_for_is_to_be_trusted() -> None:
    found = judge_velocity(GOOD)
    assert found.answer == "trust"
    assert {reason.weight for reason in found.reasons} == {"for"}
    assert found.short == "trust: cosine 0.70, chance up to 0.30"
    for said in ("0.70 among 118 held-out cells", "p = 0.01", "novelty 0.05", "skill 0.0100"):
        assert said in found.sentence


@pytest.mark.parametrize(
    ("change", "answer", "short"),
    [
        ({"novelty": 0.59}, "do not show", "out-of-distribution cells"),
        ({"evidence_p": 0.3}, "do not show", "no velocity in the measured counts"),
        ({"evidence_p": 0.04}, "look closer", "weak evidence in measured counts"),
        ({"evidence_within_p": 0.3}, "look closer", "ratios differ only between groups"),
        ({"skill": -0.001}, "do not show", "no better than one ratio per gene"),
        ({"agreement_genes_p": 0.2}, "do not show", "no better than chance in gene space"),
        (
            {"agreement_genes_p": 0.2, "halves_genes": 0.25},
            "look closer",
            "too few cells for gene space",
        ),
        ({"agreement_genes": 0.19}, "look closer", "agrees with measured only in part"),
        (
            {"halves_genes": 0.02, "agreement_genes_chance": 0.01},
            "look closer",
            "measured velocity is mostly noise",
        ),
        ({"agreement_map_p": 0.2}, "look closer", "no better than chance in embedding"),
        ({"effective_genes": 7.0}, "look closer", "few genes behind the arrows"),
        ({"n_judged": 60}, "look closer", "few cells for evaluation"),
        ({"direction": -0.2}, "do not show", "against the known transitions"),
        ({"direction": 0.05}, "look closer", "known transitions not followed"),
        ({"trained": "do not show"}, "do not show", "the model failed on its own data"),
        ({"depth": 30.0}, "look closer", "few counts per cell"),
        ({"agreement_genes_p": np.nan}, "look closer", "not tested against chance"),
        (
            {"agreement_genes_p": np.nan, "agreement_genes": np.nan, "evidence_p": np.nan},
            "look closer",
            "nothing measured to compare with",
        ),
    ],
)
def test_each_ground_decides_alone(change: dict[str, float], answer: str, short: str) -> None:
    found = judge_velocity(replace(GOOD, **change))
    assert (found.answer, found.short) == (answer, f"{answer}: {short}")
    assert len(found.short) <= 48
    assert found.reasons[0].short == short


def test_a_map_that_nothing_could_be_judged_on_is_no_ground_against() -> None:
    found = judge_velocity(replace(GOOD, agreement_map_p=0.2, halves_map=0.35))
    assert found.answer == "trust"
    assert found.short == "trust in gene space; embedding not evaluated"
    assert "0.80 (95% limit by chance 0.40, p = 0.2; two halves 0.35)" in found.sentence


def test_the_measured_velocity_is_judged_by_its_halves_and_its_evidence() -> None:
    measured = replace(GOOD, origin="measured", novelty=np.nan, trained=None)
    assert judge_velocity(measured).short == "trust: split-half cosine 0.70 (gene space 0.40)"
    assert judge_velocity(replace(measured, halves_genes=0.01)).answer == "look closer"
    assert judge_velocity(replace(measured, evidence_p=0.5)).answer == "do not show"
    assert judge_velocity(replace(measured, evidence_p=np.nan)).answer == "look closer"


unknown = st.just(float("nan"))
numbers = {
    field.name: st.one_of(unknown, st.floats(-1, 1))
    for field in fields(VelocityFacts)
    if field.name not in ("origin", "n_judged", "trained", "depth", "effective_genes")
    and not field.name.endswith("_p")
}
p_values = {
    name: st.one_of(unknown, st.floats(0.01, 1))
    for name in ("evidence_p", "evidence_within_p", "agreement_genes_p", "agreement_map_p")
}


@given(
    facts=st.builds(
        VelocityFacts,
        origin=st.sampled_from(["measured", "predicted"]),
        n_judged=st.integers(0, 3000),
        trained=st.sampled_from([None, *ANSWERS]),
        depth=st.one_of(unknown, st.floats(0, 1e5)),
        **numbers,
        **p_values,
    ),
    worse=st.sampled_from(
        ["evidence_p", "evidence_within_p", "agreement_genes_p", "agreement_map_p", "novelty"]
    ),
)
def test_weaker_evidence_never_makes_an_answer_better(facts: VelocityFacts, worse: str) -> None:
    # A p-value comes with what it belongs to.
    for where in ("genes", "map"):
        if np.isfinite(getattr(facts, f"agreement_{where}_p")):
            names = (f"agreement_{where}", f"agreement_{where}_chance")
            known = {name: np.nan_to_num(getattr(facts, name)) for name in names}
            facts = replace(facts, **known)
    before = judge_velocity(facts)
    assert before.answer in ANSWERS
    assert "nan" not in before.sentence
    assert (before.answer == "do not show") == any(r.weight == "against" for r in before.reasons)
    if np.isfinite(getattr(facts, worse)):
        after = judge_velocity(replace(facts, **{worse: 1.0}))
        assert ANSWERS.index(after.answer) <= ANSWERS.index(before.answer)


@given(st.sampled_from(["measured", "predicted"]))
def test_nothing_known_is_never_trusted(origin: str) -> None:
    assert judge_velocity(VelocityFacts(origin=origin)).answer == "look closer"
