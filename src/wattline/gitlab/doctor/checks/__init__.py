"""The checks: each a small function from facts to a finding, or to None where it is about nothing that is used."""

from collections.abc import Callable

from wattline.gitlab.doctor.checks import (
    access,
    containers,
    data,
    place,
    runners,
    secrecy,
    servers,
    signing,
    site,
    vault,
)
from wattline.gitlab.doctor.facts import Facts
from wattline.gitlab.doctor.finding import Finding

Check = Callable[[Facts], Finding | None]

CHECKS: tuple[Check, ...] = (
    access.address,
    access.token,
    access.role,
    access.job_token,
    access.push,
    access.fork,
    site.version,
    site.default_branch,
    site.production,
    site.pages,
    site.pipeline_variables,
    site.fork_pipelines,
    *secrecy.CHECKS,
    *runners.CHECKS,
    servers.tracking,
    servers.ledger,
    data.remote,
    containers.registry,
    containers.builder,
    signing.key,
    signing.trusted,
    vault.login,
    vault.server,
    place.parameters,
    place.history,
    place.room,
    place.clock,
)
"""In the order in which they are told."""
