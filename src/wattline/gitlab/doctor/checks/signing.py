"""Checks of the key that signs what is promoted."""

from wattline.gitlab.doctor.facts import Facts
from wattline.gitlab.doctor.finding import Finding, Subject

GROUP = "signing"
KEY = Subject(GROUP, "WATTLINE_SIGNING_KEY", "key")
TRUSTED = Subject(GROUP, "serving.model.trusted_keys", "key")
MAKE = "run `wattline keys new`, and set private.pem under Settings > CI/CD > Variables, protected and of type File"


def key(facts: Facts) -> Finding | None:
    """Can the key be read, and decrypted?"""
    if facts.keys.id is not None:
        return KEY.ok(f"can be read; its id is {facts.keys.id[:12]}")
    if facts.known.signing_key is None and facts.in_vault:
        return KEY.unknown("is not set here; Vault may hold it")
    if facts.known.signing_key is None:
        if not facts.known.ci_commit_ref_protected and facts.kind not in ("branch", "release"):
            return KEY.ok("is not given to this ref, as it must be")
        more = (
            ""
            if facts.known.ci_commit_ref_protected
            else " (this ref is not protected, so a protected one is not given)"
        )
        return KEY.missing(facts.needs, f"is not set{more}", MAKE)
    return KEY.wrong(
        facts.needs, facts.keys.trouble, "a File variable needs `chmod 600` first where the runner's umask is 0"
    )


def trusted(facts: Facts) -> Finding | None:
    """Will servers believe what this key signs?"""
    if facts.keys.trusted_trouble:
        return TRUSTED.wrong(
            facts.needs, facts.keys.trusted_trouble, "commit the public half and name its file in params.yaml"
        )
    if facts.keys.id is None:
        return TRUSTED.unknown("the signing key is not here, to hold them against")
    if facts.keys.id not in facts.keys.trusted:
        return TRUSTED.wrong(
            facts.needs,
            f"none of the {len(facts.keys.trusted)} keys there belongs to WATTLINE_SIGNING_KEY: no server would load it",
            "commit its public half and name the file in params.yaml",
        )
    return TRUSTED.ok("the signing key is one of them")
