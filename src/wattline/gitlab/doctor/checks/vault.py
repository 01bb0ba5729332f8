"""Checks of the login to Vault or OpenBao."""

from wattline.errors import InputError
from wattline.gitlab.asking import TELLS, is_safe, shown
from wattline.gitlab.doctor.facts import Facts
from wattline.gitlab.doctor.finding import Finding, Subject
from wattline.gitlab.vault import claims

GROUP = "Vault"
PATH = Subject(GROUP, "WATTLINE_VAULT_PATH", "vault")
LOGIN = Subject(GROUP, "VAULT_ID_TOKEN", "vault")
SERVER = Subject(GROUP, "VAULT_ADDR", "vault")
STATES = {501: "is not initialised", 503: "is sealed", 472: "is a standby of another region", 473: "is a standby"}


def login(facts: Facts) -> Finding | None:
    """Can this job prove to Vault who it is?"""
    known = facts.known
    if not known.vault_role or facts.kind == "fork":
        return None
    if not known.vault_path:
        remedy = "set it to PATH@MOUNT under Settings > CI/CD > Variables"
        return PATH.missing(facts.needs, "is not set beside WATTLINE_VAULT_ROLE", remedy)
    if known.vault_id_token is None:
        return LOGIN.unknown("is given to the jobs that log in, by their `id_tokens`")
    try:
        claims.check(claims.read(known.vault_id_token), now=facts.now.timestamp())
    except InputError as error:
        return LOGIN.wrong(facts.needs, str(error), "see docs/gitlab.md")
    return LOGIN.ok("has not expired, and is that of a protected ref")


def server(facts: Facts) -> Finding | None:
    """Is Vault there, and open?"""
    address = facts.known.vault_address
    if not facts.known.vault_role:
        return SERVER.ok("is not used, as WATTLINE_VAULT_ROLE is not set: secrets are CI/CD variables")
    if not address:
        remedy = "set it to https://... under Settings > CI/CD > Variables, or unset WATTLINE_VAULT_ROLE"
        return SERVER.missing(facts.needs, "is not set", remedy)
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
