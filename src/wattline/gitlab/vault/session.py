"""Log in at the beginning of a job, log out at its end."""

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from wattline.errors import InputError, WattlineError
from wattline.gitlab import fork
from wattline.gitlab.vault import claims, folder, paths
from wattline.gitlab.vault.server import Lent, Vault
from wattline.settings import Settings

NOTHING = Path(os.devnull)
"""What is sourced where no Vault is used."""


@dataclass(frozen=True)
class Login:
    """What a job got.

    script: what its shell sources
    names: of the variables that the script exports
    seconds: how long Vault's token lasts; 0 where it has no end
    """

    script: Path
    names: tuple[str, ...] = ()
    seconds: int = 0


def login(known: Settings) -> Login:
    """Fetch the secrets of WATTLINE_VAULT_PATH into files; without WATTLINE_VAULT_ROLE there are none to fetch.

    Raises InputError saying what is missing or what Vault refuses, WattlineError where it is sealed. Then nothing is
    left behind, and the token, if there was one, is revoked.
    """
    if not known.vault_role:
        return Login(NOTHING)
    fork.refuse("ci login")
    if known.ci_debug_trace:
        raise InputError(
            "CI_DEBUG_TRACE is on, so the log would show each secret of Vault; unset it and run the job again"
        )
    jwt, role, places = _given(known)
    claims.check(claims.read(jwt), now=time.time())
    vault = Vault(known)
    lent = vault.login(jwt, role)
    place = folder.place(known)
    try:
        return _fetched(vault, lent, places, place)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        _revoke_quietly(vault, lent.token)
        raise


def logout(known: Settings) -> bool:
    """Revoke the token of this job and remove its files; whether there was anything. Safe to repeat.

    Raises InputError or WattlineError where Vault cannot be told; the files are gone then, too.
    """
    place = folder.place(known)
    if not place.is_dir():
        return False
    token = place / folder.TOKEN
    secret = SecretStr(token.read_text()) if token.is_file() else None
    shutil.rmtree(place)
    if secret is not None and known.vault_address:
        Vault(known).revoke(secret)
    return True


def _given(known: Settings) -> tuple[SecretStr, str, tuple[paths.Place, ...]]:
    wanted = {
        "VAULT_ADDR": known.vault_address,
        "WATTLINE_VAULT_PATH": known.vault_path,
        "VAULT_ID_TOKEN": known.vault_id_token,
    }
    absent = [name for name, value in wanted.items() if not value]
    if absent or known.vault_id_token is None or known.vault_role is None or known.vault_path is None:
        raise InputError(
            f"with WATTLINE_VAULT_ROLE goes {', '.join(absent)}; set variables under Settings > CI/CD > Variables, "
            "and VAULT_ID_TOKEN by `id_tokens` of the job"
        )
    return known.vault_id_token, known.vault_role, paths.places(known.vault_path)


def _fetched(vault: Vault, lent: Lent, places: tuple[paths.Place, ...], place: Path) -> Login:
    values: dict[str, str] = {}
    for one in places:
        found = folder.checked(vault.read(lent, one), where=str(one))
        twice = sorted(values.keys() & found.keys())
        if twice:
            raise InputError(f"{one} and a secret before it both hold {', '.join(twice)}; keep one of them")
        values |= found
    folder.create(place)
    folder.write_file(place / folder.TOKEN, lent.token.get_secret_value())
    return Login(folder.write(place, values), tuple(sorted(values)), lent.seconds)


def _revoke_quietly(vault: Vault, token: SecretStr) -> None:
    try:
        vault.revoke(token)
    except WattlineError:
        return  # what went wrong before is what a person wants to hear of; the lease ends by itself
