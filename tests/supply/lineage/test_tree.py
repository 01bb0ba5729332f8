"""The tree names everything once in full, fits a terminal, and is the same every time."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.supply.lineage.samples import (
    CANDIDATE,
    FEEDBACK,
    LINEAGE,
    NODES,
    PREDICTION,
    SITE,
    chain,
    edge,
    node,
)
from wattline.supply.lineage import tree
from wattline.supply.lineage.graph import Lineage


@pytest.mark.parametrize("root", NODES, ids=lambda one: one.id[:24])
def test_every_node_is_there_once_in_full_from_any_root(root):
    lines = tree.render(LINEAGE, root.id).splitlines()
    full = [match[1] for line in lines if (match := re.search(r"id: (\S+)$", line))]
    assert sorted(full) == sorted(one.id for one in NODES)
    assert lines[0] == f"{root.kind}: {root.label}"
    assert max(map(cell_len, lines)) <= 120


def test_later_mentions_refer_to_the_first():
    text = tree.render(LINEAGE, PREDICTION.id)
    mentions = re.findall(r"site: CINECA, Bologna(.*)", text)
    assert mentions == ["", " (above)", " (above)"]


def test_the_chain_is_nested():
    lines = tree.render(LINEAGE, PREDICTION.id).splitlines()
    chain_of_kinds = ["prediction", "version", "candidate", "run", "prepared data", "stage", "dataset", "stage"]
    places = [next(i for i, line in enumerate(lines) if f"{kind}: " in line) for kind in chain_of_kinds[:5]]
    assert places == sorted(places)
    depths = [len(re.match(r"[│├└─ ]*", lines[place])[0]) for place in places]
    assert depths == [0, 3, 6, 9, 12]


def test_what_rests_on_one_node_alone_stands_below_it_and_other_effects_after_the_tree():
    text = tree.render(LINEAGE, CANDIDATE.id)
    assert "source of version: anomaly version 7" in text
    assert f"\n\nfeedback: {FEEDBACK.label}\n" in text
    assert "\n\npromotion: promotion to champion\n" in text


def test_what_is_not_connected_is_shown_too():
    lonely = Lineage(nodes=(PREDICTION, SITE))
    assert "\n\nsite: CINECA, Bologna\n" in tree.render(lonely, PREDICTION.id)


def test_a_deep_history_keeps_its_width():
    lines = tree.render(chain(300), "stage:0").splitlines()
    assert max(map(cell_len, lines)) <= 120
    assert sum("id: stage:" in line for line in lines) == 300
    assert sum("(below)" in line for line in lines) == 300 // 19


def test_long_and_wide_words_are_broken():
    long = node("dataset", "1", "界" * 200, facts={"note": "x" * 500, "text": "one two " * 60})
    lines = tree.render(Lineage(nodes=(long,)), long.id).splitlines()
    assert max(map(cell_len, lines)) <= 120
    assert "".join(lines).count("界") == 200
    assert "".join(lines).count("x") == 500 + 1


def test_equal_lineages_have_equal_trees():
    assert tree.render(Lineage.from_json(LINEAGE.to_json()), PREDICTION.id) == tree.render(LINEAGE, PREDICTION.id)


def test_an_unknown_root_is_refused():
    with pytest.raises(ValueError, match="has no node 'version:8'"):
        tree.render(LINEAGE, "version:8")


@st.composite
def lineages(draw: st.DrawFn) -> Lineage:
    """Any lineage of stages: each may be informed by any later one."""
    nodes = [node("stage", str(place), facts={"n": "v"}) for place in range(draw(st.integers(1, 14)))]
    pairs = [(one, other) for one in range(len(nodes)) for other in range(one + 1, len(nodes))]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    edges = tuple(edge(nodes[one], "wasInformedBy", nodes[other]) for one, other in chosen)
    return Lineage(nodes=tuple(draw(st.permutations(nodes))), edges=edges)


@given(lineages(), st.data())
def test_any_lineage_has_every_node_once(lineage: Lineage, data: st.DataObject):
    root = data.draw(st.sampled_from(lineage.nodes))
    text = tree.render(lineage, root.id)
    assert sorted(re.findall(r"id: (\S+)", text)) == sorted(one.id for one in lineage.nodes)
    for one in lineage.edges:
        assert re.search(rf"stage: {one.target.partition(':')[2]}\b", text)
