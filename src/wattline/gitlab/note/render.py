"""The whole note as Markdown: a pure function of what is known, never longer than GitLab takes."""

from dataclasses import dataclass

from wattline.gitlab.note import champion, costs, data, gates, headline, pipeline, target
from wattline.gitlab.note.escape import code, commandless, link
from wattline.gitlab.note.known import Known, Picture
from wattline.gitlab.note.tables import folded

LONGEST = 1_000_000
"""Characters that GitLab takes."""
LEAD = ("reports/evaluate/contenders.png", "reports/decide/pareto.png")
"""Pictures that are shown without a click."""


@dataclass(frozen=True)
class Part:
    """A part of the note.

    order: what has the greatest goes first where the note is too long; 0 stays
    """

    name: str
    text: str
    order: int


def render(known: Known, *, marker: str = "", longest: int = LONGEST) -> str:
    """The note. The answer is its first line, `marker` its last one.

    longest: characters; parts are left out until it is kept, and the note says which
    """
    parts = [part for part in _parts(known) if part.text]
    left_out: list[str] = []
    while True:
        body = _joined(parts, left_out, marker)
        last = max(parts, key=lambda part: part.order)
        if len(body) <= longest:
            return body
        if last.order == 0:
            return _cut(body, marker, longest)
        parts.remove(last)
        left_out.append(last.name)


def _parts(known: Known) -> list[Part]:
    compared = not known.needs_no_candidate
    decision = known.now.decision
    lead = [picture for picture in known.pictures if picture.path in LEAD]
    more = [picture for picture in known.pictures if picture.path not in LEAD]
    return [
        Part("answer", headline.headline(known), 0),
        Part("what is missing", pipeline.missing(known), 1),
        Part("gates", gates.gates(decision) if decision and decision.verdicts else "", 2),
        Part("pictures", "\n\n".join(_shown(picture) for picture in lead), 4),
        Part("differences to the champion", champion.champion(known) if compared else "", 3),
        Part("differences to the target branch", target.target(known) if compared else "", 5),
        Part("energy", costs.energy(known) if compared or known.now.measurement else "", 6),
        Part("data", data.data(known) if compared or known.now.ingested else "", 7),
        Part("pipeline", pipeline.inputs(known), 8),
        Part("more pictures", folded("More pictures", "\n\n".join(map(_shown, more))) if more else "", 9),
        Part("links", _links(known), 0),
    ]


def _joined(parts: list[Part], left_out: list[str], marker: str) -> str:
    texts = [part.text for part in parts]
    if left_out:
        shortened = f"**Shortened:** GitLab takes no longer note. Left out: {', '.join(left_out)}; see the reports."
        texts.insert(1, shortened)
    return "\n\n".join([commandless("\n\n".join(texts)), *([marker] if marker else [])]) + "\n"


def _cut(body: str, marker: str, longest: int) -> str:
    """The beginning of the body, with the marker, without which nobody would find the note again."""
    end = f"\n\n**Cut here:** GitLab takes no longer note.\n\n{marker}\n"
    return body[: max(0, longest - len(end))] + end


def _shown(picture: Picture) -> str:
    if not picture.address:
        return f"{picture.title}: {code(picture.path)}"
    return f"![{picture.title}]({picture.address})"


def _links(known: Known) -> str:
    places = known.places
    commit = code((places.commit or "")[:8]) if places.commit else ""
    browse = f"{places.artifacts}/browse" if places.artifacts else None
    card = f"{places.artifacts}/file/{places.card}" if places.artifacts and places.card else None
    at = f"{places.project}/-/commit/{places.commit}" if places.project and places.commit else None
    said = [
        link("Model card", card) if card else f"Model card: {code(places.card)}" if places.card else "",
        link("Reports", f"{browse}/reports") if browse else f"Reports: {code('reports/')}",
        link("Pipeline", places.pipeline) if places.pipeline else "",
        link("Job", places.job) if places.job else "",
        f"Commit {link(commit, at)}" if commit else "",
    ]
    line = " \u00b7 ".join(one for one in said if one)
    return f"---\n\n{line}\n\nThis note is written anew by every pipeline of this merge request."
