"""A lineage that does not hang together is refused, with the reason."""

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from tests.supply.lineage.samples import (
    CANDIDATE,
    DATASET,
    FILE_1,
    INGEST,
    LINEAGE,
    PREDICTION,
    PROMOTION,
    RUN,
    SITE,
    VERSION,
    at,
    chain,
    edge,
    node,
)
from wattline.supply.lineage.graph import Edge, Lineage, Node, address


def test_it_carries_the_whole_chain_of_a_prediction():
    kinds = [LINEAGE.node(name).kind for name in LINEAGE.causes(PREDICTION.id)]
    expected = {"version", "candidate", "run", "commit", "params", "prepared data", "dataset", "source file", "site"}
    assert expected <= set(kinds)
    assert not {"promotion", "feedback", "prediction"} & set(kinds)


def test_effects_stand_before_their_causes():
    order = LINEAGE.effects_first
    assert sorted(order) == sorted(one.id for one in LINEAGE.nodes)
    assert all(order.index(one.origin) < order.index(one.target) for one in LINEAGE.edges)


def test_it_survives_json():
    again = Lineage.from_json(LINEAGE.to_json())
    assert again == LINEAGE
    assert list(again.nodes[0].facts) == list(LINEAGE.nodes[0].facts)


def test_an_edge_to_an_unknown_node_is_refused():
    with pytest.raises(
        ValueError, match=r"run:a1b2.* used dataset:nowhere: there is no node 'dataset:nowhere'; add it"
    ):
        Lineage(nodes=(RUN,), edges=(Edge(origin=RUN.id, relation="used", target="dataset:nowhere"),))


def test_an_edge_from_an_unknown_node_is_refused():
    with pytest.raises(ValueError, match="there is no node 'run:nowhere'"):
        Lineage(nodes=(DATASET,), edges=(Edge(origin="run:nowhere", relation="used", target=DATASET.id),))


def test_two_nodes_of_one_id_are_refused():
    with pytest.raises(ValueError, match="2 nodes have the id 'site:cineca'"):
        Lineage(nodes=(SITE, DATASET, SITE))


def test_an_edge_that_is_said_twice_is_refused():
    with pytest.raises(ValueError, match="is said 2 times"):
        Lineage(nodes=(RUN, DATASET), edges=(edge(RUN, "used", DATASET),) * 2)


def test_a_cycle_is_refused_and_named():
    edges = (
        edge(VERSION, "wasDerivedFrom", CANDIDATE),
        edge(CANDIDATE, "wasGeneratedBy", RUN),
        edge(RUN, "used", VERSION),
    )
    with pytest.raises(ValueError, match="nothing is its own cause, but here: ") as caught:
        Lineage(nodes=(VERSION, CANDIDATE, RUN), edges=edges)
    assert f"{RUN.id} -> {VERSION.id}" in str(caught.value)


def test_a_node_is_not_its_own_cause():
    with pytest.raises(ValueError, match="nothing is its own cause"):
        Lineage(nodes=(VERSION,), edges=(edge(VERSION, "wasDerivedFrom", VERSION),))


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (edge(DATASET, "used", FILE_1), "leads from activity to entity, these are entity and entity"),
        (edge(INGEST, "wasAttributedTo", SITE), "leads from entity to agent, these are activity and agent"),
        (edge(PROMOTION, "actedOnBehalfOf", SITE), "leads from agent to agent"),
    ],
)
def test_a_relation_that_does_not_fit_its_ends_is_refused(wrong: Edge, reason: str):
    with pytest.raises(ValueError, match=reason):
        Lineage(nodes=LINEAGE.nodes, edges=(wrong,))


def test_an_empty_lineage_is_refused():
    with pytest.raises(ValueError, match="nodes"):
        Lineage(nodes=())


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"id": "version:7", "kind": "dataset"}, "the id of a dataset starts with 'dataset:', got 'version:7'"),
        ({"id": "dataset:a b"}, "should match pattern"),
        ({"id": 'dataset:a"><script>'}, "should match pattern"),
        ({"label": ""}, "at least 1"),
        ({"label": " \n "}, "at least 1"),
        ({"label": "\x1b"}, None),
        ({"sha256": "abc"}, "should match pattern"),
        ({"began": at(9)}, "is no activity and has no beginning"),
        ({"id": "run:1", "kind": "run", "began": at(9), "ended": at(8)}, "before it began"),
        ({"id": "run:1", "kind": "run", "began": "2026-03-14T09:00:00"}, "timezone"),
        ({"kind": "model"}, "Input should be"),
        ({"colour": "blue"}, "Extra inputs"),
    ],
)
def test_a_node_is_what_it_says(fields: Mapping[str, Any], reason: str | None):
    whole = {"id": "dataset:1", "kind": "dataset", "label": "rows"} | fields
    if reason is None:
        Node.model_validate(whole)
        return
    with pytest.raises(ValidationError, match=reason):
        Node.model_validate(whole)


def test_an_address_holds_any_name():
    name = address("source file", 'a b/ü"<#?>.parquet')
    assert name == "source-file:a%20b/%C3%BC%22%3C%23%3F%3E.parquet"
    assert node("source file", 'a b/ü"<#?>.parquet').id == name


def test_what_people_typed_stays_text_on_one_line():
    typed = "looks\nfine \x1b[31mred\x1b[0m \u202ereversed\u0000"
    found = node("feedback", "1", typed, facts={"a\tnote": typed})
    assert found.label == "looks fine \ufffd[31mred\ufffd[0m \ufffdreversed\ufffd"
    assert found.facts == {"a note": found.label}


def test_an_unknown_node_is_asked_for():
    with pytest.raises(ValueError, match="the lineage has no node 'version:8'"):
        LINEAGE.node("version:8")


def test_a_long_history_is_no_problem():
    assert len(chain(5000).causes("stage:0")) == 4999
