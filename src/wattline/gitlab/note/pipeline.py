"""What the change touches, what ran, and which reports are not there."""

from collections.abc import Iterable, Iterator

from wattline.gitlab.note.escape import code, link, plain
from wattline.gitlab.note.inputs import Touched
from wattline.gitlab.note.known import HOW, Known
from wattline.gitlab.note.tables import folded, table

KNOBS = 40
"""Rows of the table of changed parameters."""


def missing(known: Known) -> str:
    """Reports that are not there or cannot be read, and jobs that failed; empty where all is well."""
    if known.needs_no_candidate:
        return ""
    said = []
    for title, stages in (
        ("Missing", [stage for stage in known.now.absent if stage not in known.leftover]),
        ("Left over from an earlier run, so not shown", list(known.leftover)),
    ):
        if stages:
            said.append(f"- {title}: {_reports(stages)}")
    said += [f"- {code(f'reports/{stage}.json')} cannot be read: {plain(why)}" for stage, why in _unreadable(known)]
    for job in known.jobs.failed:
        said.append(f"- Job {link(code(job.name), job.place)} of stage {code(job.stage)}: {plain(job.status)}")
    return "### What is missing\n\n" + "\n".join(said) if said else ""


def inputs(known: Known) -> str:
    """Stages that the change touches, what ran and what came from the cache, and which knobs were turned."""
    said = [*_touched(known.touched), *_runs(known)]
    if known.touched is not None and known.touched.knobs:
        knobs = known.touched.knobs
        rows = [(code(key), code(before), code(now)) for key, (before, now) in list(knobs.items())[:KNOBS]]
        more = f"\n\nAnd {len(knobs) - KNOBS:,} more." if len(knobs) > KNOBS else ""
        changed = f"{len(knobs):,} parameter{'s' if len(knobs) > 1 else ''} changed in params.yaml"
        said.append(folded(changed, table(("Parameter", "Target branch", "Now"), rows) + more))
    return "### Pipeline\n\n" + "\n\n".join(said)


def _touched(touched: Touched | None) -> Iterator[str]:
    if touched is None:
        yield "Which stages the change touches is not known: the target branch or `dvc.yaml` cannot be read."
    elif not touched.any:
        yield "No stage's inputs changed: every stage has the files and parameters of the target branch."
    else:
        yield f"Inputs changed of {_names(touched.direct)}" + (
            f"; {_names(touched.later)} depend{'s' if len(touched.later) == 1 else ''} on them."
            if touched.later
            else "."
        )


def _runs(known: Known) -> Iterator[str]:
    if not known.runs:
        if not known.needs_no_candidate:
            yield "Which stages ran and which came from the cache was not recorded."
        return
    titles = {"ran": "Ran", "cache": "From the run cache", "unchanged": "As dvc.lock says already"}
    lists = {titles[how]: [stage for stage, found in known.runs.items() if found == how] for how in HOW}
    yield "; ".join(f"{title}: {_names(stages)}" for title, stages in lists.items() if stages) + "."


def _names(stages: Iterable[str]) -> str:
    return ", ".join(code(stage) for stage in stages)


def _reports(stages: Iterable[str]) -> str:
    return ", ".join(code(f"reports/{stage}.json") for stage in stages)


def _unreadable(known: Known) -> list[tuple[str, str]]:
    return list(known.now.unreadable.items())
