"""The API keys that are valid now, and whose they are."""

from hashlib import sha256
from hmac import compare_digest
from pathlib import Path

from wattline.errors import InputError
from wattline.serving.access.keys import IDENTIFIER, PREFIX, TAIL, entries, read
from wattline.serving.access.log import LOGGER, line
from wattline.serving.call import Principal

NOBODY = (bytes(32), Principal("nobody", frozenset()))
NAMESPACE = "key:"
"""What the name of a key's caller begins with, so that no token's subject can pass for it."""


class Keyring:
    """What the file of keys says, as of the last look at it.

    Raises InputError when the file is missing, open to everyone, or does not hold what it should.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._content = read(path)
        self._holders = _holders(self._content, path)
        self._fault = ""

    def principal(self, key: str) -> Principal | None:
        """Whose key this is; None when it is nobody's. An unknown identifier takes as long as a wrong key."""
        if not key.isascii():
            return None
        expected, principal = self._holders.get(key[len(PREFIX) : -TAIL], NOBODY)
        found = compare_digest(sha256(key.encode()).digest(), expected)
        return principal if found else None

    def reread(self) -> None:
        """Take over what changed in the file. A file that cannot be used is logged once and leaves the former keys."""
        try:
            content = read(self._path)
            if content != self._content:
                self._content = content
                self._holders = _holders(content, self._path)
                LOGGER.info("%s", line("keys file", why=f"{len(self._holders)} keys are valid now"))
            self._fault = ""
        except InputError as error:
            if str(error) != self._fault:
                LOGGER.error("%s", line("keys file", why=f"the former keys stay valid: {error}"))
            self._fault = str(error)


def claimed_identifier(key: str) -> str:
    """The identifier in what looks like a key, or nothing. It ends before the underscore, so no secret is in it."""
    identifier = key[len(PREFIX) : -TAIL]
    looks_right = key.startswith(PREFIX) and key[-TAIL:][:1] == "_" and IDENTIFIER.fullmatch(identifier)
    return identifier if looks_right else ""


def _holders(content: bytes, path: Path) -> dict[str, tuple[bytes, Principal]]:
    return {
        one.id: (bytes.fromhex(one.sha256), Principal(f"{NAMESPACE}{one.id}", frozenset(one.roles)))
        for one in entries(content, path)
    }
