"""The report site: it says what the run said, stands alone, and shows nothing that a name wants it to do."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as some

from gitlab.left import TASK, lock, run_of
from wattline import files
from wattline.errors import InputError
from wattline.gitlab.site import Origin, html, markdown, write
from wattline.records import Decision, Verdict

ADDRESS = "https://gitlab.example.org/hpc/anomaly"
ORIGIN = Origin(
    project="hpc/anomaly",
    address=ADDRESS,
    commit="a" * 40,
    branch="topic/new scale",
    pipeline="812",
    pipeline_address=f"{ADDRESS}/-/pipelines/812",
)
PUBLIC = Path("public")
HOSTILE = "<script>alert(1)</script> \"onerror='x' javascript:alert(1) & | ]]> \u202e"
EMPTY = ("meta", "link", "img", "br", "hr", "wbr", "input")


class Page(HTMLParser):
    """What a browser sees of a page: balanced elements, their attributes and the text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text, self._open = "", list[str]()
        self.feed(path.read_text())
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self._open.append(tag)

    def handle_endtag(self, tag):
        if tag not in EMPTY:
            assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made(**options) -> Page:
    write(PUBLIC, task=TASK, origin=ORIGIN, **options)
    pages = [check(path) for path in sorted(PUBLIC.glob("*.html"))]
    return next(page for page in pages if (page.all("main") and "What was found out" in page.text) or len(pages) == 1)


def check(path: Path) -> Page:
    """A page stands alone, for every reader: nothing is fetched from elsewhere, no link is dead, no picture is mute."""
    page = Page(path)
    assert page.all("html") == [{"lang": "en"}]
    assert not {"script", "iframe", "object", "embed", "form", "link", "base"} & {tag for tag, _ in page.elements}
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert "width=device-width" in str(page.all("meta"))
    assert "default-src 'none'" in str(page.all("meta"))
    assert "://" not in path.read_text().split("</style>")[0]
    for image in page.all("img"):
        assert image["alt"]
        assert (PUBLIC / str(image["src"])).is_file(), image
    for link in page.all("a"):
        parts = urlsplit(str(link["href"]))
        assert parts.scheme in ("", "https"), link
        assert parts.scheme or not parts.path or (PUBLIC / parts.path).is_file(), link
    for table in page.all("th"):
        assert table["scope"] in ("col", "row") if "scope" in table else True
    return page


def test_the_site_tells_the_decision_its_figures_and_where_they_come_from(root):
    run_of(root)
    page = made(units={"vus_pr": "1"})
    for said in (
        "the candidate was accepted",
        "Accepted: all 4 gates passed",
        "the energy is what it is",
        "12 J",
        "300 J",
        "estimated: CPU time x 12.5 W/core",
        "0.2 ms",
        "1,000 test rows",
        "hpc/anomaly",
        "a" * 12,
    ):
        assert said in page.text
    links = {str(one["href"]) for one in page.all("a")}
    wanted = {"energy.html", f"card-{TASK}.html", "bom.cdx.json", "software.cdx.json", "reports/validate/index.html"}
    assert links >= wanted | {"reports/profile/index.html", "reports/decide.json", f"{ADDRESS}/-/pipelines/812"}
    assert f"{ADDRESS}/-/tree/topic/new%20scale" in links
    assert "vus_pr with intervals: candidate 0.53 [0.4, 0.6]; random 0.07 [0.05, 0.09]" in str(page.all("img"))
    assert "the card" in Page(PUBLIC / f"card-{TASK}.html").text
    assert "training, lost attempts included" in Page(PUBLIC / "energy.html").text


def test_a_rejection_is_the_first_thing_that_is_said(root):
    run_of(root, failed=["quality"])
    page = made()
    assert "Rejected: quality did not pass" in page.text
    assert page.text.index("Rejected") < page.text.index("What was found out")


def test_after_a_failed_run_the_site_says_so_and_shows_nothing_old(root):
    run_of(root)
    write(PUBLIC, task=TASK, origin=ORIGIN)
    files.report_path("train").unlink()
    page = made()
    assert "No decision: the run failed before there was one" in page.text
    assert "reports/train.json is missing: stage train did not write it" in page.text
    assert "the run did not end well" in page.text
    assert "accepted" not in page.text.lower()
    for gone in (f"card-{TASK}.html", "energy.html", "bom.cdx.json", "reports/decide.json", "reports/evaluate"):
        assert not (PUBLIC / gone).exists()
    assert (PUBLIC / "reports/validate/index.html").is_file()


def test_hostile_names_and_reasons_are_text(root):
    run_of(root)
    verdict = Verdict(name=HOSTILE, passed=False, value=1, limit=2, reason=HOSTILE, unit=HOSTILE)
    files.write_report("decide", Decision(candidate=HOSTILE, data=HOSTILE, verdicts=(verdict,)))
    card = f"# {HOSTILE}\n\n[x](javascript:alert(1)) ![far](https://evil.example/p.png) ![up](../../x.png)\n"
    files.write_text(files.CARDS / f"{TASK}.md", card + "<iframe src=https://evil.example></iframe>\n")
    lock()
    write(
        PUBLIC,
        task=TASK,
        origin=Origin(project=HOSTILE, address="javascript:alert(1)//", commit=HOSTILE, branch=HOSTILE),
    )
    for path in PUBLIC.glob("*.html"):
        page = Page(path)
        tags = {tag for tag, _ in page.elements}
        assert not {"script", "iframe"} & tags
        assert "evil.example/p.png" not in str(page.all("img"))
        assert not [one for one in page.all("a") if str(one["href"]).lower().startswith("javascript")]
    assert "<script>alert(1)</script>" in Page(PUBLIC / "index.html").text


@given(some.text())
def test_whatever_a_card_holds_no_element_is_made_of_it(text):
    shown = markdown.render(text, folder="model_cards").lower()
    assert "<script" not in shown
    assert "<iframe" not in shown
    assert html.text(text).html.count("<") == 0


def test_links_of_a_card_lead_to_where_its_pictures_lie():
    assert markdown.placed("../reports/evaluate/own.png", folder="model_cards") == "reports/evaluate/own.png"
    assert markdown.placed("node.md#x", folder="model_cards") == "card-node.html#x"
    assert markdown.placed("index.md", folder="model_cards") == "zoo.html"
    assert markdown.placed("../../etc/passwd", folder="model_cards") == "#"


@pytest.mark.parametrize("folder", [".", "..", "reports", "params.yaml"])
def test_a_folder_that_is_no_site_is_not_replaced(root, folder):
    run_of(root)
    before = files.digests(root)
    with pytest.raises(InputError, match="name "):
        write(Path(folder), task=TASK, origin=ORIGIN)
    assert files.digests(root) == before


def test_two_runs_write_the_same_bytes(root):
    run_of(root)
    write(PUBLIC, task=TASK, origin=ORIGIN)
    before = files.digests(PUBLIC)
    files.write_text(PUBLIC / "left-over.html", "old")
    write(PUBLIC, task=TASK, origin=ORIGIN)
    assert files.digests(PUBLIC) == before
