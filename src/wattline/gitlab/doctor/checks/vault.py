"""Checks of the login to Vault or OpenBao."""

from wattline.errors import InputError
from wattline.gitlab.asking import TELLS, is_safe, shown
from wattline.gitlab.doctor.facts import Facts
from wattline.gitlab.doctor.finding import Finding, Subject
from wattline.gitlab.vault import claims

GROUP = "Vault"
LOGIN = Subject(GROUP, "VAULT_ID_TOKEN", "vault")
SERVER = Subject(GROUP, "VAULT_ADDR", "vault")
STATES = {501: "is not initialised", 503: "is sealed", 472: "is a standby of another region", 473: "is a standby"}


def login(facts: Facts) -> Finding | None:
    """Can this job prove to Vault who it is?"""
    known = facts.known
    if not known.vault_address or facts.kind == "fork":
        return None
    absent = [
        name
        for name, value in {"WATTLINE_VAULT_ROLE": known.vault_role, "WATTLINE_VAULT_PATH": known.vault_path}.items()
        if not value
    ]
    if absent:
        remedy = "set it under Settings > CI/CD > Variables; docs/gitlab.md says how"
        return LOGIN.missing(facts.needs, f"{' and '.join(absent)} not set beside VAULT_ADDR", remedy)
    if known.vault_id_token is None:
        return LOGIN.unknown("is given to the jobs that log in, by `id_tokens` of the job")
    try:
        found = claims.read(known.vault_id_token)
        claims.check(found, now=facts.now.timestamp())
    except InputError as error:
        return LOGIN.wrong(facts.needs, str(error), "see docs/gitlab.md")
    return LOGIN.ok("has not expired, and is that of a protected ref")


def server(facts: Facts) -> Finding | None:
    """Is Vault there, and open?"""
    address = facts.known.vault_address
    if not address:
        return SERVER.ok("is not set: secrets are CI/CD variables")
    if not is_safe(address):
        return SERVER.wrong(facts.needs, f"{shown(address)} is not HTTPS", "set it to https://...")
    answer = facts.sealed
    if answer is None or answer.trouble:
        said = TELLS[answer.trouble] if answer else "was not asked"
        vouch = answer is not None and answer.trouble in ("certificate", "authority")
        remedy = "set VAULT_CACERT to a file with who vouches for it" if vouch else "check the runner's way to it"
        return SERVER.wrong(facts.needs, f"{shown(address)} {said}", remedy)
    if answer.status in (200, 429):  # 429: a standby, which passes requests on
        return SERVER.ok(f"{shown(address)} is open")
    return SERVER.wrong(
        facts.needs,
        f"{shown(address)} {STATES.get(answer.status, f'is no Vault ({answer.status})')}",
        "ask who runs it" if answer.status in STATES else "correct VAULT_ADDR",
    )
