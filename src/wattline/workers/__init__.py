"""Work on each unit: here, or by the Dask workers that the profile of the site names. Results are the same."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from wattline import sites
from wattline.settings import settings
from wattline.sites import Profile

__all__ = ["at", "each"]

Item = TypeVar("Item")
Result = TypeVar("Result")
CHOSEN: ContextVar[str | None] = ContextVar("CHOSEN", default=None)
"""The site whose workers a block uses; None where it is that of WATTLINE_SITE."""


@contextmanager
def at(site: str) -> Iterator[None]:
    """Within the block, work is shared out as the profile of `site` says."""
    former = CHOSEN.set(site)
    try:
        yield
    finally:
        CHOSEN.reset(former)


@contextmanager
def each(
    function: Callable[[Item], Result], items: Iterable[tuple[str, Item]], *, title: str, site: str | None = None
) -> Iterator[Iterator[Result]]:
    """Give the results of `function` for each item, in the order of the items.

    items: name, as messages call it, and what is worked on. They are taken one by one, never more than twice as many
        as there are workers before the first result is fetched: that bounds the memory
    title: what the work is called
    site: whose profile is meant; by default that of a surrounding `at`, or else of WATTLINE_SITE
    Raises what `function` raises for the first item that fails, InputError where no workers can be had, WattlineError
    where they die again and again. When the block ends, however it does, no worker is left.
    """
    name = site or CHOSEN.get() or settings().site
    profile = _profile(name)
    if profile is None or not profile.dask.workers:
        yield (function(item) for _, item in items)
        return
    # Dask takes a second to import, which who works alone does not pay.
    from wattline.workers import cluster, pool

    pool.check(function, title=title, site=name)
    with cluster.workers(name, profile, title=title) as opened:
        yield opened.each(function, items)


def _profile(site: str) -> Profile | None:
    """None for this machine, where nobody has written a profile of it."""
    if site == sites.LOCAL and site not in sites.names():
        return None
    return sites.load(site)
