"""Whatever stands in names and reasons is read as it stands, and the note is never too long."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from builders import decision, evaluation, measurement, training_energy, write_candidate
from markdown_it import MarkdownIt
from markdown_it.token import Token

from gitlab.standin.merge_requests import QUICK_ACTION
from wattline.gitlab.note.escape import code, commandless, link, plain
from wattline.gitlab.note.headline import short
from wattline.gitlab.note.jobs import Job, Jobs
from wattline.gitlab.note.known import Known, Picture, Places
from wattline.gitlab.note.render import render
from wattline.gitlab.note.reports import Ingested, Reports, Trained
from wattline.gitlab.note.repository import Base
from wattline.records import Verdict

EVIL = (
    "\n/merge",
    "@all and @group/sub",
    "a | b || c",
    "`code` ``more``",
    "<script>alert(1)</script><img src=x onerror=y>",
    "-->\n/close\n<!--",
    "[click](https://evil.example) ![x](https://evil.example/a.png)",
    "**bold** _it_ ~~no~~ # head",
    "#1 !2 ~bug %1.0 $3 &4 :tada: https://evil.example www.evil.example",
    "</details>\n\n| a |\n| - |",
    "\u202eright to left\u2066",
    "\\| \\` \\<b>",
    "x` @all | <b> `y",
)


@pytest.fixture
def known(tmp_path: Path) -> Known:
    candidate = write_candidate(tmp_path)
    now = Reports(
        ingested=Ingested(data="d" * 64, dataset="simulator", units=3, rows=10, span_days=1.0),
        trained=Trained(candidate=candidate.digest, model="pca", parameters=3),
        training=training_energy(),
        evaluation=evaluation(candidate),
        measurement=measurement(candidate),
        decision=decision(candidate),
    )
    pictures = (Picture("reports/evaluate/contenders.png", "Contenders", "/uploads/0/c.png"),)
    places = Places(commit="c" * 40, project="https://gitlab.example.org/p", card="model_cards/a.md")
    return Known(now=now, before=Reports(), base=Base("b" * 40, "main"), pictures=pictures, places=places)


def poisoned(known: Known, text: str) -> Known:
    """Every place that a person or a model can name holds `text`."""
    found = known.now.decision
    assert found is not None
    assert known.now.trained is not None
    assert known.now.ingested is not None
    verdict = Verdict(name=text, passed=False, value=1, limit=2, reason=f"{text} 1 < 2: {text}", unit=text)
    now = replace(
        known.now,
        decision=found.model_copy(update={"verdicts": (verdict, *found.verdicts)}),
        trained=known.now.trained.model_copy(update={"model": text}),
        ingested=known.now.ingested.model_copy(update={"dataset": text}),
        unreadable={"card": text},
    )
    jobs = Jobs((Job(name=text, stage=text, status="failed", place="javascript:alert(1)"),), known=True)
    return replace(known, now=now, jobs=jobs, base=Base("b" * 40, text), runs={text: "ran"})


@pytest.mark.parametrize("text", EVIL)
def test_foreign_text_does_nothing(known: Known, text: str):
    body = render(poisoned(known, text), marker="<!-- marker -->")
    assert not QUICK_ACTION.search(body)
    assert "\u202e" not in body
    clean, tokens = parsed(render(known, marker="<!-- marker -->")), parsed(body)
    assert addresses(tokens) <= addresses(clean)
    assert {one.content for one in tokens if one.type == "html_inline"} <= {"<code>", "</code>"}
    blocks = [one.content for one in tokens if one.type == "html_block"]
    assert all(re.match("<(details>|/details>|!-- marker)", one) for one in blocks), blocks
    assert not {one.tag for one in tokens if one.nesting == 1} - {one.tag for one in clean if one.nesting == 1}
    cells = [sum(one.type in ("th_open", "td_open") for one in row) for row in table_rows(tokens)]
    assert cells[:6] == [6] * 6, "gates"
    prose = "".join(one.content for one in tokens if one.type == "text")
    assert not re.search(r"@[A-Za-z]|[#!][0-9]|~bug|%1|&4|:tada|://evil|www\.evil", prose)


def parsed(body: str) -> list[Token]:
    """Of the note as a Markdown parser reads it, with what is inside of lines; without what stands in code."""
    found = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(body)
    flat = [inner for one in found for inner in (one, *(one.children or ()))]
    inside, kept = False, []
    for one in flat:
        inside = one.content == "<code>" or (inside and one.content != "</code>")
        if not (inside and one.type == "text"):
            kept.append(one)
    return kept


def addresses(tokens: list[Token]) -> set[str]:
    return {str(one.attrs[name]) for one in tokens for name in ("href", "src") if name in one.attrs}


def table_rows(tokens: list[Token]) -> Iterator[list[Token]]:
    row: list[Token] = []
    for one in tokens:
        row = [] if one.type == "tr_open" else [*row, one]
        if one.type == "tr_close":
            yield row


def test_a_line_is_no_command_even_where_we_begin_it_with_foreign_text():
    assert not QUICK_ACTION.search(commandless("a\n/close\n/merge"))


def test_names_with_slashes_and_spaces_stay_readable():
    assert code("topic/new scale") == "`topic/new scale`"
    assert plain("vus_pr 0.5 < 0.6") == "vus\\_pr 0.5 &lt; 0.6"
    assert link("Pipeline", "https://h/a b/(c)>") == "[Pipeline](<https://h/a%20b/%28c%29%3E>)"
    assert link("Pipeline", "javascript:x") == "Pipeline"


def test_the_reason_in_the_title_is_the_clause_that_decided():
    energy = "champion PASS: 1.05 < 1.1: upper bound of it; budget FAIL: 30 J > 20 J per 1,000 predictions: upper bound"
    assert short(energy) == "budget FAIL: 30 J > 20 J per 1,000 predictions"
    assert short("reports/measure.json is missing") == "reports/measure.json is missing"


def test_one_that_is_too_long_loses_details_first_and_says_so(known: Known):
    whole = render(known, marker="<!-- marker -->")
    for longest in (len(whole), len(whole) - 1, len(whole) * 2 // 3, len(whole) // 3, 400):
        body = render(known, marker="<!-- marker -->", longest=longest)
        assert len(body) <= longest
        assert body.startswith("## \u2705 Accepted")
        assert body.endswith("<!-- marker -->\n")
        assert (body == whole) is (longest == len(whole))
        assert ("no longer note" in body) is (longest < len(whole))
    assert "### Gates" in render(known, longest=len(whole) * 2 // 3)


def test_a_flood_of_reasons_still_fits(known: Known):
    found = known.now.decision
    assert found is not None
    verdicts = tuple(
        Verdict(name=f"gate {number}", passed=True, value=1, limit=1, reason="@x" * 1000) for number in range(300)
    )
    now = replace(known.now, decision=found.model_copy(update={"verdicts": verdicts}))
    body = render(replace(known, now=now))
    assert len(body) <= 1_000_000
    assert "Left out: " in body
