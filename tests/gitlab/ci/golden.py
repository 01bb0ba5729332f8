"""The jobs of each event as text: python -m gitlab.ci.golden > tests/gitlab/golden.txt."""

from itertools import groupby

import yaml

from gitlab.ci.configuration import ROOT, Pipeline, read
from gitlab.ci.rules import Event, plan, started

PREDEFINED = {"CI_DEFAULT_BRANCH": "main", "CI_PROJECT_ID": "42", "CI_SERVER_URL": "https://gitlab.example.org"}


def events() -> dict[str, Event]:
    """The events of events.yml by name."""
    listed = yaml.safe_load((ROOT / "tests" / "gitlab" / "events.yml").read_text(encoding="utf-8"))
    return {name: Event(PREDEFINED | one["variables"], one.get("changed")) for name, one in listed.items()}


def text(pipeline: Pipeline) -> str:
    """A paragraph for each event: its kind, then a line for each GitLab stage."""
    return "\n".join(_paragraph(name, event, pipeline) for name, event in events().items())


def _paragraph(name: str, event: Event, pipeline: Pipeline) -> str:
    variables = started(pipeline, event)
    if variables is None:
        return f"{name}: no pipeline\n"
    lines = [f"{name}: {variables['PIPELINE_KIND']}"]
    for stage, planned in groupby(plan(pipeline, event), key=lambda one: one.stage):
        lines.append(f"    {stage:<10} {', '.join(map(str, planned))}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(text(read(ROOT / ".gitlab-ci.yml")), end="")
