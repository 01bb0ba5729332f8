"""Which nodes ExaMon's database has samples of."""

import difflib
from collections.abc import Sequence

from wattline.errors import InputError
from wattline.sources.examon import answer, query
from wattline.sources.examon.database import Database
from wattline.sources.examon.options import Options
from wattline.sources.examon.query import Page


def nodes(database: Database, options: Options, page: Page) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Nodes that the tags of `page` name, by number or name; and metrics that have no tag there, hence no sample.

    Raises InputError for a metric that the database does not know, or that is of no unit.
    """
    if page.start >= page.end:
        return (), ()
    body = query.tags(
        page, options.asked(), time_zone=options.time_zone, unit_tag=options.unit_tag, units=options.nodes
    )
    found: dict[str, None] = {}
    absent = []
    for metric, tags in answer.tags(database.post("datapoints/query/tags", body), options.asked()):
        if tags and options.unit_tag not in tags:
            raise InputError(
                f"metric {metric.name!r} has no tag {options.unit_tag!r}, which would name its unit; it has "
                f"{', '.join(sorted(tags))}: leave it out, or choose another `unit_tag`"
            )
        found.update(dict.fromkeys(tags.get(options.unit_tag, ())))
        if not tags:
            absent.append(metric.name)
    if absent:
        _check_known(database, absent)
    wanted = {node for node in found if node in options.nodes or not options.nodes}
    return tuple(sorted(wanted, key=lambda node: (int(node) if node.isdecimal() else -1, node))), tuple(absent)


def _check_known(database: Database, names: Sequence[str]) -> None:
    """A metric that was never written is misspelt; one that has no sample just now is not."""
    listed = database.get("metricnames")
    known = listed.get("results") if isinstance(listed, dict) else None
    if not isinstance(known, list):
        raise InputError(
            f"{database.place} does not list its metrics as KairosDB does; check ingest.options.examon.url"
        )
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, [one for one in known if isinstance(one, str)], n=3)
            hint = f"; it has {', '.join(close)}" if close else ""
            raise InputError(f"{database.place} has no metric {name!r}{hint}; correct `metrics`")
