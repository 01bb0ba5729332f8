"""The picture shows every node and relation, overlaps nothing, stands alone, and runs nothing."""

from collections.abc import Iterator
from itertools import combinations
from xml.etree import ElementTree

import pytest
from hypothesis import given

from tests.supply.lineage.samples import LINEAGE, NODES, PREDICTION, VERSION, chain, node
from tests.supply.lineage.test_tree import lineages
from wattline.supply.lineage import picture
from wattline.supply.lineage.drawing import boxes, lettering
from wattline.supply.lineage.drawing.canvas import BOX, FAMILIES, Canvas
from wattline.supply.lineage.graph import Lineage

SVG = "{http://www.w3.org/2000/svg}"


def parsed(lineage: Lineage, root: str) -> ElementTree.Element:
    return ElementTree.fromstring(picture.render(lineage, root))


def texts(root: ElementTree.Element) -> list[str]:
    return [str(one.text) for one in root.iter(f"{SVG}text")]


def rectangles(lineage: Lineage) -> Iterator[tuple[str, float, float, float, float]]:
    canvas = Canvas.of(lineage, {one.id: boxes.height(one) for one in lineage.nodes})
    for one in lineage.nodes:
        half = canvas.heights[one.id] / 2
        left, middle = canvas.left(one.id), canvas.middle(one.id)
        yield one.id, left, left + BOX, middle - half, middle + half


def test_it_shows_every_node_and_relation():
    svg = parsed(LINEAGE, PREDICTION.id)
    found = {str(title.text).rpartition("id: ")[2] for title in svg.iter(f"{SVG}title")}
    assert {one.id for one in NODES} <= found
    lines = [path for path in svg.iter(f"{SVG}path") if path.get("marker-end")]
    assert len(lines) == len(LINEAGE.edges)


def test_its_title_says_what_it_shows():
    svg = parsed(LINEAGE, VERSION.id)
    assert texts(svg)[0] == "What version anomaly version 7 rests on"
    assert "25 nodes, 31 relations" in texts(svg)[1]


def test_its_legend_names_the_kinds_that_are_there_and_no_others():
    assert "model: version" in texts(parsed(Lineage(nodes=(VERSION,)), VERSION.id))
    whole = texts(parsed(LINEAGE, VERSION.id))
    assert [text for text in whole if text.partition(":")[0] in FAMILIES] != []
    for family, (_, kinds) in FAMILIES.items():
        assert f"{family}: {', '.join(kinds)}" in whole


def test_every_kind_has_a_colour():
    assert {one.kind for one in NODES} == set(boxes.COLOURS)
    assert len({colour for colour, _ in FAMILIES.values()}) == len(FAMILIES)


def test_it_stands_alone_and_runs_nothing():
    text = picture.render(LINEAGE, PREDICTION.id)
    svg = ElementTree.fromstring(text)
    assert {one.tag.removeprefix(SVG) for one in svg.iter()} == {
        "svg", "title", "defs", "marker", "path", "rect", "text", "g",
    }  # fmt: skip
    assert not [name for one in svg.iter() for name in one.keys() if name.startswith("on") or "href" in name]  # noqa: SIM118
    assert text.count("http") == 1


def test_what_people_typed_stays_text():
    evil = node("feedback", "1", '</text><script>alert("1")</script>&amp;', facts={"<b>": "]]>\x00'\""})
    svg = parsed(Lineage(nodes=(evil,)), evil.id)
    assert not list(svg.iter(f"{SVG}script"))
    assert any("</text>" in text for text in texts(svg))


def test_boxes_do_not_overlap():
    assert_apart(LINEAGE)


@given(lineages())
def test_boxes_of_any_lineage_do_not_overlap_and_lines_lead_to_the_right(lineage: Lineage):
    assert_apart(lineage)
    lefts = {name: left for name, left, *_ in rectangles(lineage)}
    assert all(lefts[one.origin] < lefts[one.target] for one in lineage.edges)


def assert_apart(lineage: Lineage) -> None:
    for one, other in combinations(rectangles(lineage), 2):
        beside = one[2] < other[1] or other[2] < one[1]
        above = one[4] < other[3] or other[4] < one[3]
        assert beside or above, f"{one[0]} lies on {other[0]}"


def test_everything_lies_within_the_page():
    svg = parsed(LINEAGE, PREDICTION.id)
    wide, high = float(svg.get("width") or 0), float(svg.get("height") or 0)
    *_, drawn = [one for one in svg if one.tag == f"{SVG}g"]
    left, top = (float(part) for part in str(drawn.get("transform")).removeprefix("translate(")[:-1].split())
    for _, start, end, above, below in rectangles(LINEAGE):
        assert left + start >= 0
        assert left + end <= wide
        assert top + above >= 90
        assert top + below <= high


@pytest.mark.parametrize("size", [1, 30])
def test_a_single_node_and_a_long_chain_can_be_drawn(size):
    lineage = chain(size)
    assert len(list(rectangles(lineage))) == size
    assert picture.render(lineage, "stage:0").startswith("<svg ")


def test_equal_lineages_have_equal_pictures():
    again = Lineage.from_json(LINEAGE.to_json())
    assert picture.render(again, PREDICTION.id) == picture.render(LINEAGE, PREDICTION.id)


def test_an_unknown_root_is_refused():
    with pytest.raises(ValueError, match="has no node 'version:8'"):
        picture.render(LINEAGE, "version:8")


class TestLettering:
    def test_text_is_cut_to_its_room(self):
        assert lettering.fit("short", 10, 200) == "short"
        cut = lettering.fit("a very long text indeed", 10, 80)
        assert cut.endswith("…")
        assert lettering.width(cut, 10) <= 80

    def test_lines_are_broken_at_spaces_and_the_last_one_is_cut(self):
        found = lettering.lines("one two three four five six seven eight nine", 10, 70, most=2)
        assert len(found) == 2
        assert found[0] == "one two"
        assert found[1].endswith("…")

    @pytest.mark.parametrize(
        "text", ["energy: 18.4 kJ [17.9, 18.9]", "Grace Hopper", "WWWW @@@ mmm", "0123456789abcdef"]
    )
    @pytest.mark.parametrize("bold", [False, True])
    def test_widths_are_enough_for_a_wide_font(self, text, bold):
        from matplotlib.font_manager import FontProperties
        from matplotlib.textpath import TextPath

        font = FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal")
        path = TextPath((0, 0), text, size=100, prop=font)
        assert path.get_extents().width <= lettering.width(text, 100, bold=bold)
