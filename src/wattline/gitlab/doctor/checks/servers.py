"""Checks of MLflow and of the database of the audit log."""

from pathlib import Path

from wattline.gitlab.asking import TELLS, Answer, shown
from wattline.gitlab.doctor.facts import Facts
from wattline.gitlab.doctor.finding import Finding, Subject

GROUP = "MLflow and audit log"
TRACKING = Subject(GROUP, "MLFLOW_TRACKING_URI", "tracking")
BROKEN = Subject(GROUP, "MLFLOW_TRACKING_URI", "tracking works")
LEDGER = Subject(GROUP, "WATTLINE_LEDGER_URI", "ledger")
BROKEN_LEDGER = Subject(GROUP, "WATTLINE_LEDGER_URI", "ledger works")
PLACE = "under Settings > CI/CD > Variables"
VOUCH = "set MLFLOW_TRACKING_SERVER_CERT_PATH to a file with the certificate of who vouches for it"
WHO = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
URI = "postgresql://USER@HOST/DATABASE"
FAILURES = {
    "password": ("the database does not accept user and password", f"correct it {PLACE}, masked and protected"),
    "absent": ("the database or its user is not there", f"make it, or correct the name {PLACE}"),
    "host": ("the database does not let this machine in (pg_hba.conf)", "ask who runs it"),
    "certificate": ("the database shows a certificate that nobody here vouches for", "set PGSSLROOTCERT"),
    "tls": ("the database does not speak TLS", "turn TLS on there"),
    "name": ("the database's host has a name that cannot be resolved from here", f"correct it {PLACE}"),
    "refused": ("the database refuses the connection: nothing listens there", f"correct host and port {PLACE}"),
    "silent": ("the database does not answer in time", "check the runner's way to it"),
    "privilege": ("the audit log may be read and not be written", "GRANT INSERT ON wattline_audit to its user"),
    "damaged": ("the file is no database", "name another one"),
    "unwritable": ("the file or its folder may not be written", "give the user of this job the right"),
    "kind": ("is neither PostgreSQL nor an SQLite file", f"set it to {URI} {PLACE}"),
}

OTHER = ("the database cannot be opened", "try it with psql from the runner")


def tracking(facts: Facts) -> Finding | None:
    """Does MLflow answer, and does it know us?"""
    uri = facts.known.mlflow_tracking_uri
    if not uri and facts.in_vault:
        return TRACKING.unknown("is not set here; Vault may hold it")
    if not uri:
        return TRACKING.missing(
            facts.needs,
            "is not set: runs and versions stay here, and nothing is compared",
            f"set it {PLACE}",
        )
    if uri.startswith("sqlite:"):
        return _file(facts, Path(uri.removeprefix("sqlite:///")))
    if uri.startswith("postgresql"):
        return TRACKING.unknown("is a database itself; it is not asked with MLflow")
    if facts.tracking is None or facts.health is None:
        return BROKEN.wrong(facts.needs, "is neither an address nor a database", f"set it to https://... {PLACE}")
    return _server(facts, shown(uri), facts.health, facts.tracking)


def _server(facts: Facts, place: str, health: Answer, answer: Answer) -> Finding:
    if answer.trouble:
        remedy = VOUCH if answer.trouble in ("certificate", "authority") else f"correct it {PLACE}, or start the server"
        return BROKEN.wrong(facts.needs, f"{place} {TELLS[answer.trouble]}", remedy)
    if answer.status in (401, 403):
        return _refused(facts, place, answer)
    if answer.status >= 500:
        return BROKEN.wrong(facts.needs, f"{place} answers {answer.status}", "look at the server's log")
    if "/ml/mlflow" in (facts.known.mlflow_tracking_uri or ""):
        return BROKEN.wrong(
            facts.needs,
            f"{place} is GitLab's own model registry, which has no aliases",
            f"set it to an MLflow server {PLACE}; `wattline mirror` pushes versions to GitLab's",
        )
    if not answer.done or not isinstance(answer.body, dict) or not health.done:
        return BROKEN.wrong(facts.needs, f"{place} is no MLflow server ({answer.status})", f"correct it {PLACE}")
    return TRACKING.ok(f"{place} answers and lets us read")


def _refused(facts: Facts, place: str, answer: Answer) -> Finding:
    if answer.status == 403 and "host header" in str(answer.body).lower():
        return BROKEN.wrong(
            facts.needs, f"{place} refuses the name by which it is called (403)", "start MLflow with --allowed-hosts"
        )
    if facts.in_vault:
        return TRACKING.unknown(f"{place} answers {answer.status}; Vault may hold {WHO}")
    if answer.status == 403:
        return BROKEN.wrong(facts.needs, f"{place} forbids us to read (403)", f"give the owner of {WHO} the right to")
    return BROKEN.wrong(facts.needs, f"{place} does not know who we are (401)", f"set {WHO} {PLACE}, masked")


def _file(facts: Facts, path: Path) -> Finding:
    project = facts.known.ci_project_dir or Path.cwd()
    if facts.kind != "none" and path.absolute().is_relative_to(project.absolute()):
        return TRACKING.wrong(
            facts.needs, "is a file in the checkout, which goes with the job", f"set it to an MLflow server {PLACE}"
        )
    return TRACKING.ok("is a file; only runners of one machine share it")


def ledger(facts: Facts) -> Finding | None:
    """Can the audit log be written?"""
    if not facts.known.has_ledger and facts.in_vault:
        return LEDGER.unknown("is not set here; Vault may hold it")
    if not facts.known.has_ledger:
        return LEDGER.missing(
            facts.needs,
            "is not set: a tracking server does not tell its database",
            f"set it to {URI} {PLACE}",
        )
    if facts.ledger is None:
        return None
    if facts.ledger.done:
        return LEDGER.ok("the database answers and may be written")
    said, remedy = FAILURES.get(facts.ledger.code or facts.ledger.trouble, OTHER)
    return BROKEN_LEDGER.wrong(facts.needs, said, remedy)
