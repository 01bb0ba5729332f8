"""What `wattline site` prints."""

from collections.abc import Callable, Iterator

from wattline import params, sites
from wattline.errors import InputError
from wattline.hpc import checks


def listed() -> Iterator[str]:
    """One line for each site; a broken profile says so."""
    width = max(map(len, sites.names()), default=0)
    for name in sites.names():
        try:
            profile = sites.load(name)
        except InputError as error:
            yield f"{name:<{width}}  broken: {error}"
            continue
        jobs = f"jobs: {', '.join(profile.stages) or 'none'}" if profile.scheduler != "local" else "no jobs"
        yield f"{name:<{width}}  {profile.scheduler:<5}  {jobs}  {profile.description}"


def check(site: str, *, say: Callable[[str], object]) -> int:
    """Print what is missing and the scripts; 1 if something is. Raises InputError for a profile that is not valid."""
    profile, hpc = sites.load(site), params.load().hpc
    say(f"site {site}: {profile.description}")
    found = list(checks.findings(profile, hpc, site=site, stages=sites.stages()))
    for one in found:
        say(f"{'missing' if one.missing else 'unseen':<8} {one.about}: {one.says}")
    missing = sum(one.missing for one in found)
    if profile.scheduler == "local":
        say("every stage runs on this machine; nothing is submitted")
    else:
        say(f"missing: {missing}" if missing else "nothing is missing that can be seen from here")
        _show(site, profile, hpc, say=say)
    return 1 if missing else 0


def _show(site: str, profile: sites.Profile, hpc: params.HpcParams, *, say: Callable[[str], object]) -> None:
    try:
        scripts = checks.scripts(profile, hpc, site=site)
    except InputError:
        return  # said before
    for stage, script in scripts.items():
        say(f"\nstage {stage} would be submitted as:\n\n{script.rstrip()}")
