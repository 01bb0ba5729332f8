"""PROV-JSON that other tools read: every node and relation in PROV's terms, equal when read back, equal bytes."""

import json
import subprocess
import sys

import pytest
from prov.model import (
    ProvActivity,
    ProvAgent,
    ProvAssociation,
    ProvAttribution,
    ProvDelegation,
    ProvDerivation,
    ProvDocument,
    ProvEntity,
    ProvGeneration,
    ProvRelation,
    ProvUsage,
)

from tests.supply.lineage.samples import LINEAGE, LOCK, NODES, PREDICTION, RUN, SITE, VERSION, edge, node
from wattline.supply.lineage import prov_json
from wattline.supply.lineage.graph import Lineage
from wattline.supply.lineage.kinds import ENDS


@pytest.fixture
def document() -> ProvDocument:
    return ProvDocument.deserialize(content=prov_json.render(LINEAGE), format="json")


def of(document: ProvDocument, name: str) -> dict[str, str]:
    (record,) = document.get_record(f"wattline:{name}")
    return {str(key): str(value) for key, value in record.attributes}


def test_every_node_is_what_prov_calls_it(document):
    classes = {"entity": ProvEntity, "activity": ProvActivity, "agent": ProvAgent}
    for one in NODES:
        (record,) = document.get_record(f"wattline:{one.id}")
        assert type(record) is classes[one.nature]
        assert record.identifier.uri == f"urn:wattline:{one.id}"
        assert record.label == one.label


def test_every_relation_is_there(document):
    relations = list(document.get_records(ProvRelation))
    assert len(relations) == len(LINEAGE.edges)
    counts = {
        ProvUsage: "used",
        ProvGeneration: "wasGeneratedBy",
        ProvDerivation: "wasDerivedFrom",
        ProvAssociation: "wasAssociatedWith",
        ProvAttribution: "wasAttributedTo",
        ProvDelegation: "actedOnBehalfOf",
    }
    for kind, name in counts.items():
        found = {
            tuple(value.uri for _, value in one.formal_attributes[:2] if value) for one in document.get_records(kind)
        }
        wanted = {
            (f"urn:wattline:{one.origin}", f"urn:wattline:{one.target}")
            for one in LINEAGE.edges
            if one.relation == name
        }
        assert found == wanted


def test_facts_types_times_and_digests_are_attributes(document):
    prediction = of(document, PREDICTION.id)
    assert prediction["fact:score"] == "7.31 (threshold 4.2)"
    assert prediction["prov:type"] == "wattline:Prediction"
    assert of(document, "prepared-data:" + next(one.id for one in NODES if one.kind == "prepared data")[14:])[
        "prov:type"
    ] == ("wattline:PreparedData")
    assert of(document, LOCK.id)["wattline:sha256"] == LOCK.sha256
    (run,) = document.get_record(f"wattline:{RUN.id}")
    assert (run.get_startTime(), run.get_endTime()) == (RUN.began, RUN.ended)
    site = of(document, SITE.id)
    assert (site["prov:type"], site["foaf:name"]) == ("prov:Organization", "CINECA, Bologna")


def test_namespaces_are_declared():
    assert json.loads(prov_json.render(LINEAGE))["prefix"] == prov_json.NAMESPACES


def test_facts_with_odd_or_equal_names_are_all_kept():
    odd = node("energy", "1", facts={"a b": "1", "a-b": "2", "A/b": "3", "ü": "4", "": "5"})
    document = ProvDocument.deserialize(content=prov_json.render(Lineage(nodes=(odd,))), format="json")
    found = {name: value for name, value in of(document, odd.id).items() if name.startswith("fact:")}
    assert found == {"fact:a-b": "1", "fact:a-b-2": "2", "fact:A-b": "3", "fact:fact": "4", "fact:fact-2": "5"}


@pytest.mark.parametrize("relation", ENDS)
def test_prov_knows_every_relation(relation):
    assert callable(getattr(ProvDocument, relation))


def test_an_influence_is_kept():
    lineage = Lineage(nodes=(VERSION, PREDICTION), edges=(edge(PREDICTION, "wasInfluencedBy", VERSION),))
    assert json.loads(prov_json.render(lineage))["wasInfluencedBy"]


def test_text_of_people_and_odd_ids_survive():
    odd = node("source file", 'a b/ü"\\<#?>.parquet', 'a "b" \\ \U0001f525', facts={"note": '\x00"}],'})
    document = ProvDocument.deserialize(content=prov_json.render(Lineage(nodes=(odd,))), format="json")
    (record,) = document.get_record(f"wattline:{odd.id}")
    assert record.label == odd.label
    assert of(document, odd.id)["fact:note"] == odd.facts["note"]


def test_bytes_do_not_depend_on_the_seed_of_hashes():
    script = (
        "from tests.supply.lineage.samples import LINEAGE; from wattline.supply.lineage import prov_json; "
        "print(prov_json.render(LINEAGE), end='')"
    )
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", script],
            check=True,
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        )
        assert done.stdout == prov_json.render(LINEAGE)
