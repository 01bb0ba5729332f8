"""Checks of DVC's remote."""

from urllib.parse import urlsplit

from wattline.gitlab.asking import TELLS
from wattline.gitlab.doctor.facts import Facts
from wattline.gitlab.doctor.finding import Finding, Subject

GROUP = "data"
REMOTE = Subject(GROUP, "WATTLINE_DVC_REMOTE", "data works")
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
        return REMOTE.warning(
            "is not set: jobs share nothing but GitLab's cache, and nobody can pull what dvc.lock names",
            f"set it to s3://BUCKET/FOLDER, or to a folder that all runners mount, {PLACE}",
        )
    if facts.remote is None:
        return REMOTE.unknown(f"a remote of kind {urlsplit(url).scheme} is tried by DVC only")
    place = f"s3://{urlsplit(url).hostname}" if url.startswith("s3:") else "the folder"
    outcome = facts.remote
    if outcome.done:
        return REMOTE.ok(f"{place} can be read and written")
    if outcome.trouble:
        remedy = (
            "set AWS_CA_BUNDLE" if outcome.trouble == "certificate" else "correct AWS_ENDPOINT_URL, or start the server"
        )
        return REMOTE.wrong(facts.needs, f"the server of {place} {TELLS[outcome.trouble]}", remedy)
    reason, remedy = CODES.get(outcome.code, (f"the server says {outcome.code}", KEYS))
    return REMOTE.wrong(facts.needs, f"{place} cannot be {_participle(outcome.step)}: {reason}", remedy)


def _participle(step: str) -> str:
    return {"connect": "opened", "read": "read", "write": "written"}[step]
