"""Checks of DVC's remote."""

from urllib.parse import urlsplit

from wattline.gitlab.asking import TELLS
from wattline.gitlab.doctor.facts import Facts, Outcome
from wattline.gitlab.doctor.finding import Finding, Subject

GROUP = "data"
REMOTE = Subject(GROUP, "WATTLINE_DVC_REMOTE", "data works")
ABSENT = Subject(GROUP, "WATTLINE_DVC_REMOTE")
PLACE = "under Settings > CI/CD > Variables"
KEYS = f"set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, masked, {PLACE}"
CODES = {
    "NoCredentials": ("there are no credentials for it", KEYS),
    "SignatureDoesNotMatch": ("AWS_SECRET_ACCESS_KEY is not that of AWS_ACCESS_KEY_ID", KEYS),
    "InvalidAccessKeyId": ("nobody there knows AWS_ACCESS_KEY_ID", KEYS),
    "ExpiredToken": ("AWS_SESSION_TOKEN has expired", KEYS),
    "RequestTimeTooSkewed": ("the clock of this machine is wrong", "set it by NTP"),
    "NoSuchBucket": ("the bucket is not there", f"make it, or correct the name {PLACE}"),
    "AccessDenied": ("the credentials may not", "give their user the right to list, read and write"),
    "configuration": ("the AWS_* variables contradict each other", f"correct them {PLACE}"),
    "absent": ("the folder is not there", "make it, or mount it on the runner"),
    "denied": ("the user of this job may not", "give it the right on the runner"),
    "full": ("the disk is full", "make room there"),
}


def remote(facts: Facts) -> Finding | None:
    """Can outputs be read and written?"""
    url = facts.known.dvc_remote
    if not url:
        return ABSENT.missing(
            facts.needs,
            "is not set: jobs share nothing but GitLab's cache, and nobody can pull what dvc.lock names",
            f"set it to s3://BUCKET/FOLDER, or to a folder that all runners mount, {PLACE}",
        )
    if facts.remote is None:
        return REMOTE.unknown(f"a remote of kind {urlsplit(url).scheme} is tried by DVC only")
    place = f"s3://{urlsplit(url).hostname}" if url.startswith("s3:") else "the folder"
    if facts.remote.done:
        return REMOTE.ok(f"{place} can be read and written")
    return REMOTE.wrong(facts.needs, *_sentence(place, facts.remote))


def _sentence(place: str, outcome: Outcome) -> tuple[str, str]:
    """What is wrong, and what to do."""
    if outcome.trouble:
        remedy = "correct AWS_ENDPOINT_URL, or start the server"
        if outcome.trouble == "certificate":
            remedy = "set AWS_CA_BUNDLE to a file with the certificate of who vouches for it"
        return f"the server of {place} {TELLS[outcome.trouble]}", remedy
    reason, remedy = CODES.get(outcome.code, (f"the server says {outcome.code}", KEYS))
    done = {"connect": "opened", "read": "read", "write": "written"}[outcome.step]
    return f"{place} cannot be {done}: {reason}", remedy
