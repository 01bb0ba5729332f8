"""The change beside the commit on the target branch that it started from."""

from collections.abc import Iterator

from wattline.gitlab.note.champion import costs, labelled, names
from wattline.gitlab.note.escape import code, plain
from wattline.gitlab.note.figures import number, overlap, relative, scored, turn
from wattline.gitlab.note.known import Known
from wattline.gitlab.note.tables import table
from wattline.records import Evaluation, Measurement


def target(known: Known) -> str:
    """A table of differences, or a sentence that says why there is none."""
    title = f"### Against the target branch {code(known.base.branch)}\n\n"
    now, before = known.now.evaluation, known.before.evaluation
    if not known.base.commit:
        reason = "git does not know where this change left it (the clone must be complete: `GIT_DEPTH: 0`)"
        return f"{title}Compared with nothing: {reason}."
    commit = code(known.base.commit[:8])
    if before is None:
        unreadable = known.before.unreadable.get("evaluate")
        why = f"cannot be read there ({plain(unreadable)})" if unreadable else "is not in git there"
        return f"{title}Compared with nothing: at {commit} {code('reports/evaluate.json')} {why}."
    if now is None:
        return f"{title}Compared with nothing: {code('reports/evaluate.json')} of this change is missing or unreadable."
    said = [*_caveats(known, now, before)]
    if now.candidate == before.candidate:
        said.insert(0, f"The candidate is the same model as at {commit}.")
    rows = [*_scores(known, now, before)]
    measured, earlier = known.now.measurement, known.before.measurement
    if measured is not None and earlier is not None and _comparable(measured, earlier):
        rows += costs(measured.candidate, earlier.candidate)
    head = ("Figure", "This change", f"At {commit}", "Difference", "Direction")
    return title + "\n\n".join([table(head, rows, right=(1, 2, 3)), *said])


def _scores(known: Known, now: Evaluation, before: Evaluation) -> Iterator[tuple[str, ...]]:
    earlier = before.contenders.get("candidate", {})
    for name in names(now):
        score, other, metric = now.contenders["candidate"][name], earlier.get(name), known.metric(name)
        unit = metric.unit if metric else "1"
        if other is None:
            yield labelled(known, name), scored(score, unit), scored(None, unit), "", "not there before"
            continue
        word = turn(score.value, other.value, higher_is_better=metric.higher_is_better if metric else None)
        near = word in ("better", "worse") and overlap((score.low, score.high), (other.low, other.high))
        yield (
            labelled(known, name),
            scored(score, unit),
            scored(other, unit),
            f"{number(score.value - other.value, signed=True)} ({relative(score.value, other.value)})",
            f"{word}, but the intervals overlap" if near else word,
        )


def _comparable(now: Measurement, before: Measurement) -> bool:
    """Whether time and joules were found out on the same kind of machine with the same sensor."""
    mine, other = now.candidate.energy_per_1000, before.candidate.energy_per_1000
    return now.machine == before.machine and (mine.provenance, mine.sensor) == (other.provenance, other.sensor)


def _caveats(known: Known, now: Evaluation, before: Evaluation) -> Iterator[str]:
    if now.rows_sha256 != before.rows_sha256:
        yield (
            f"**Other test rows** ({now.rows:,} here, {before.rows:,} there): "
            "the differences are those of the data, too."
        )
    if now.headline.name != before.headline.name:
        yield f"The headline metric was {code(before.headline.name)} there."
    measured, earlier = known.now.measurement, known.before.measurement
    if measured is None or earlier is None:
        yield "Time and energy are not compared: one side has no readable `reports/measure.json`."
    elif not _comparable(measured, earlier):
        yield (
            f"Time and energy are not compared: here {plain(measured.machine)} "
            f"with {plain(measured.candidate.energy_per_1000.sensor)}, there {plain(earlier.machine)} "
            f"with {plain(earlier.candidate.energy_per_1000.sensor)}."
        )
    if known.base.ahead:
        commits = f"{known.base.ahead:,} commit{'s' if known.base.ahead > 1 else ''}"
        yield f"{code(known.base.branch)} has gone on by {commits} since. Merge it to compare with what is there now."
