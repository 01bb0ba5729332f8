"""Checks of the key that signs what is promoted."""

from wattline.gitlab.doctor.facts import Facts
from wattline.gitlab.doctor.finding import Finding, Subject

GROUP = "signing"
KEY = Subject(GROUP, "WATTLINE_SIGNING_KEY", "key")
TRUSTED = Subject(GROUP, "serving.model.trusted_keys", "key")
MAKE = "run `wattline keys new`, and set private.pem under Settings > CI/CD > Variables, protected and of type File"
UMASK = "Docker's runners write File variables for everybody, so the job must do that first"


def key(facts: Facts) -> Finding | None:
    """Can the key be read, and decrypted?"""
    if facts.keys.id is not None:
        return KEY.ok(f"can be read; its id is {facts.keys.id[:12]}")
    if facts.known.signing_key is not None:
        return KEY.wrong(facts.needs, facts.keys.trouble, UMASK if "chmod" in facts.keys.trouble else "")
    if facts.in_vault:
        return KEY.unknown("is not set here; Vault may hold it")
    if KEY.need not in facts.needs:
        return KEY.ok("is not set, and no job of this pipeline signs")
    refused = "" if facts.known.ci_commit_ref_protected else ": this ref is not protected, so it gets no protected one"
    return KEY.missing(facts.needs, f"is not set{refused}", MAKE)


def trusted(facts: Facts) -> Finding | None:
    """Will servers believe what this key signs?"""
    remedy = "commit the public half and name its file in params.yaml"
    if facts.keys.trusted_trouble:
        return TRUSTED.wrong(facts.needs, facts.keys.trusted_trouble, remedy)
    if facts.keys.id is None:
        return TRUSTED.unknown("the signing key is not here, to hold them against")
    if facts.keys.id not in facts.keys.trusted:
        said = f"none of the {len(facts.keys.trusted)} belongs to WATTLINE_SIGNING_KEY: no server loads what it signs"
        return TRUSTED.wrong(facts.needs, said, remedy)
    return TRUSTED.ok("the signing key is one of them")
