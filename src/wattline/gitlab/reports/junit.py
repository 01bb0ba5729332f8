"""JUnit XML as GitLab reads it: suites, cases with names of their own, and why a case does not pass as text."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from xml.etree import ElementTree

from wattline.gitlab.reports.cases import Case

FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, however it is escaped."""
ATTACHMENT = re.compile(r"\[\[(?=ATTACHMENT\|)")
"""GitLab takes this in a case's output for the path of a picture to show."""
LONGEST_NAME = 255
LONGEST_TEXT = 4000


def render(cases: Iterable[Case], *, name: str) -> str:
    """The cases as XML, one suite for each group. Cases of one name are numbered, since GitLab would show one of them."""
    ordered = list(cases)
    root = ElementTree.Element("testsuites", name=clean(name), **_counts(ordered))
    for group in dict.fromkeys(case.group for case in ordered):
        chosen = [case for case in ordered if case.group == group]
        suite = ElementTree.SubElement(root, "testsuite", name=clean(group), **_counts(chosen))
        for case, own in zip(chosen, _names(chosen), strict=True):
            _add(suite, case, own)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=False).join(
        ['<?xml version="1.0" encoding="UTF-8"?>\n', "\n"]
    )


def clean(text: str) -> str:
    """`text` without what XML cannot hold."""
    return FORBIDDEN.sub("\ufffd", text)


def _add(suite: ElementTree.Element, case: Case, name: str) -> None:
    classname = f"wattline.{clean(case.group)}"
    element = ElementTree.SubElement(suite, "testcase", classname=classname, name=name, time="0")
    if case.properties:
        properties = ElementTree.SubElement(element, "properties")
        for key, value in case.properties:
            ElementTree.SubElement(properties, "property", name=key, value=clean(value)[:LONGEST_TEXT])
    text = ATTACHMENT.sub("[ [", clean(case.text))[:LONGEST_TEXT]
    if case.kind == "passed":
        ElementTree.SubElement(element, "system-out").text = text
        return
    # GitLab shows the text and leaves the attributes out; other readers show the message.
    first = text.split("\n", maxsplit=1)[0]
    ElementTree.SubElement(element, case.kind, message=first, type=case.label).text = text


def _counts(cases: Sequence[Case]) -> dict[str, str]:
    kinds = Counter(case.kind for case in cases)
    return {"tests": str(len(cases)), "failures": str(kinds["failure"]), "errors": str(kinds["error"]), "time": "0"}


def _names(cases: Sequence[Case]) -> list[str]:
    """A name of its own for each case."""
    given: set[str] = set()
    found = []
    for case in cases:
        name = plain = " ".join(clean(case.name).split())[:LONGEST_NAME] or "without a name"
        number = 1
        while name in given:
            number += 1
            name = f"{plain} ({number})"
        given.add(name)
        found.append(name)
    return found
