"""Work on each unit: here, or by the Dask workers that the profile of the site names. Results are the same."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from wattline import sites
from wattline.settings import settings
from wattline.sites import Profile

__all__ = ["each"]

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def each(
    function: Callable[[Item], Result], items: Iterable[tuple[str, Item]], *, title: str, site: str | None = None
) -> Iterator[Iterator[Result]]:
    """Give the results of `function` for each item, in the order of the items.

    items: name, as messages call it, and what is worked on. They are taken one by one, never more than twice as many
        as there are workers before the first result is fetched: that bounds the memory
    title: what the work is called
    site: whose profile is meant; that of WATTLINE_SITE by default
    Raises what `function` raises for the first item that fails, InputError where no workers can be had, WattlineError
    where they die again and again. When the block ends, however it does, no worker is left.
    """
    name = site or settings().site
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
