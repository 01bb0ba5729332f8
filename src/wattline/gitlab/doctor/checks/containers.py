"""Checks of the container registry and of what builds images."""

import json

from wattline.gitlab.asking import TELLS
from wattline.gitlab.doctor.facts import Facts
from wattline.gitlab.doctor.finding import Finding, Subject
from wattline.gitlab.doctor.probes.registry import repository

GROUP = "containers"
REGISTRY = Subject(GROUP, "container registry", "registry")
BUILDER = Subject(GROUP, "builder of images", "builder")
LOGIN = "set WATTLINE_REGISTRY_USER and WATTLINE_REGISTRY_PASSWORD, masked, under Settings > CI/CD > Variables"
ON = "Settings > General > Visibility, project features, permissions > Container registry, or WATTLINE_IMAGE_REPOSITORY"
CODES = {
    "address": ("is no HOST/PATH", "correct WATTLINE_IMAGE_REPOSITORY"),
    "no registry": ("is no container registry", "correct WATTLINE_IMAGE_REPOSITORY"),
    "no login": ("asks who we are", LOGIN),
    "realm": ("sends us for a token to an address that is not HTTPS", "ask who runs it"),
    "401": ("does not accept user and password (401)", LOGIN),
    "403": ("forbids us to push (403)", "give that user the right to push"),
    "404": ("has no such repository, or we may not push to it (404)", "correct WATTLINE_IMAGE_REPOSITORY"),
}


def registry(facts: Facts) -> Finding | None:
    """May images be pushed?"""
    place = repository(facts.known)
    if place is None:
        if facts.kind == "none":
            return REGISTRY.unknown("CI_REGISTRY_IMAGE is set in jobs only")
        return REGISTRY.missing(facts.needs, "CI_REGISTRY_IMAGE is not set: the project has none", f"turn it on: {ON}")
    host, outcome = place.partition("/")[0].rpartition("@")[2], facts.registry
    if outcome is None:
        return REGISTRY.unknown(f"{host} was not asked")
    if outcome.done:
        return REGISTRY.ok(f"{host} lets us push")
    if outcome.trouble:
        remedy = "set WATTLINE_REGISTRY_CA_FILE" if outcome.trouble == "certificate" else "check the runner's way to it"
        return REGISTRY.wrong(facts.needs, f"{host} {TELLS[outcome.trouble]}", remedy)
    said, remedy = CODES.get(outcome.code, (f"answers {outcome.code}", "look at its log"))
    return REGISTRY.wrong(facts.needs, f"{host} {said}", remedy)


def builder(facts: Facts) -> Finding | None:
    """Is there a program that builds images where images are built?"""
    if facts.place.builder:
        return BUILDER.ok(f"{facts.place.builder} is here")
    tag = facts.known.build_tag
    if tag and tag not in _tags(facts.known.ci_runner_tags):
        return BUILDER.unknown(f"images are built on the runner with the tag {tag}, which is another one")
    if facts.place.installs:
        return BUILDER.ok("none is here; ci/setup.sh installs one")
    return BUILDER.missing(
        facts.needs,
        "there is neither buildah nor podman nor docker here, and this user may install none",
        "install one on the runner or in WATTLINE_CI_IMAGE, or name a runner that has one in WATTLINE_BUILD_TAG",
    )


def _tags(text: str) -> list[str]:
    """Those of this job's runner, as GitLab writes them down."""
    try:
        found = json.loads(text)
    except ValueError:
        return text.replace(",", " ").split()
    return [str(tag) for tag in found] if isinstance(found, list) else []
