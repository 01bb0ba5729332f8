"""One registered model, opened: MLflow's side, the ledger, and the keys that sign and vouch for it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wattline.errors import InputError, IntegrityError
from wattline.params import Params, RegistryParams
from wattline.registry import store
from wattline.registry.actors import actor
from wattline.registry.former import FormerKeys
from wattline.settings import settings
from wattline.signing import keys
from wattline.signing.entry import MOVES, REGISTERED, Action, Actor, Entry
from wattline.signing.keys import PrivateKey, PublicKey

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from wattline.registry.ledger import Ledger
    from wattline.registry.ledger.locking import Lock

CHALLENGER = "challenger"
CHAMPION = "champion"
LONGEST_REASON = 2000


@dataclass(frozen=True)
class Model:
    """What every change of a registered model needs.

    key: signs what is done; None for who only reads
    trusted: whose signatures count, the key's own among them
    former: whose signatures count in the log only
    """

    name: str
    client: "MlflowClient"
    ledger: "Ledger"
    key: PrivateKey | None
    trusted: tuple[PublicKey, ...]
    former: FormerKeys
    params: RegistryParams

    @property
    def signer(self) -> PrivateKey:
        """The key that signs. Raises InputError for who opened the model to read it."""
        if self.key is None:
            raise InputError(f"{self.name} was opened to be read; open it with a signing key to change it")
        return self.key

    def champion(self) -> Entry | None:
        """The entry that made the champion what it is. Raises IntegrityError when no trusted key signed it."""
        envelope = self.ledger.champion(self.name)
        return None if envelope is None else self.verified(envelope, MOVES)

    def moves(self) -> list[Entry]:
        """The entries that made versions champion, in order. Raises IntegrityError as `champion` does."""
        return [self.verified(envelope, MOVES) for envelope in self.ledger.moves(self.name)]

    def about(self, version: str) -> list[Entry]:
        """The entries about one version, in order. Raises IntegrityError as `champion` does."""
        return [self.verified(envelope) for envelope in self.ledger.about(self.name, version)]

    def registered(self, digest: str) -> str | None:
        """The version that a candidate is; None where it is none. Raises IntegrityError as `champion` does."""
        envelope = self.ledger.registered(self.name, digest)
        if envelope is None:
            return None
        entry = self.verified(envelope, REGISTERED)
        if entry.digest != digest:
            raise self._edited(entry)
        return entry.version

    def registrations(self) -> dict[str, str]:
        """Candidate -> its last version, of all that was registered. Raises IntegrityError as `champion` does."""
        found: dict[str, str] = {}
        for envelope in self.ledger.registrations(self.name):
            entry = self.verified(envelope, REGISTERED)
            if entry.digest is not None and entry.version is not None:
                found[entry.digest] = entry.version
        return found

    def verified(self, envelope: bytes, actions: Collection[str] = ()) -> Entry:
        """The entry in `envelope`, about this model and one of `actions`: columns of the table are not signed."""
        try:
            entry = self.former.unseal(envelope, self.trusted)
        except (InputError, IntegrityError) as error:
            raise IntegrityError(
                f"an entry of the audit log about {self.name} does not hold: {error}; run `wattline audit verify`, and "
                "name keys that signed it and do not sign any more in registry.former_keys"
            ) from None
        if entry.model != self.name or (actions and entry.action not in actions):
            raise self._edited(entry)
        return entry

    def _edited(self, entry: Entry) -> IntegrityError:
        return IntegrityError(
            f"entry {entry.sequence} of the audit log does not stand where it was signed for: somebody edited the "
            "table; run `wattline audit verify` and restore the database"
        )


@dataclass(frozen=True)
class Change:
    """A model that only this process may change, as long as it has the lock."""

    model: Model
    _lock: "Lock"

    def append(
        self,
        action: Action,
        version: str | None,
        *,
        digest: str | None = None,
        former: str | None = None,
        reason: str = "",
        evidence: Mapping[str, str] | None = None,
        who: Actor | None = None,
    ) -> bytes:
        """Write an entry into the log and give its envelope; the arguments are its fields.

        who: by default who runs this process
        Raises SupersededError, and writes nothing, when the lock is somebody else's by now.
        """
        return self.model.ledger.append(
            self._lock,
            action,
            key=self.model.signer,
            actor=who or actor(),
            version=version,
            digest=digest,
            former=former,
            reason=reason[:LONGEST_REASON],
            evidence=evidence,
        )


@contextmanager
def changing(model: Model) -> Iterator[Change]:
    """Wait for the lock of `model` and keep it while the block runs. Raises WattlineError when it takes too long."""
    with model.ledger.locked(model.name) as lock:
        yield Change(model, lock)


@contextmanager
def opened(
    name: str, *, params: RegistryParams, trusted: Sequence[PublicKey], reading: bool = False
) -> Iterator[Model]:
    """Open the model `name` to change it, or only to read it, which needs no signing key.

    Raises InputError without a signing key that is trusted, or when the audit log has no place; WattlineError when the
    store cannot be reached.
    """
    key = None if reading else _signing_key(trusted)
    former = FormerKeys.load(params.former_keys)
    with store.connected() as client, ledger(params) as log:
        yield Model(name, client, log, key, tuple(trusted), former, params)


def of_project(loaded: Params, *, reading: bool = False) -> AbstractContextManager[Model]:
    """Open the model that params.yaml names, as `opened` does."""
    trusted = keys.load_public(loaded.serving.model.trusted_keys)
    return opened(loaded.model, params=loaded.registry, trusted=trusted, reading=reading)


def _signing_key(trusted: Sequence[PublicKey]) -> PrivateKey:
    key = keys.load_private()
    if key.public not in trusted:
        raise InputError(
            f"the signing key {key.public.id[:12]} is none of serving.model.trusted_keys, so that no server would load "
            "what it signs; add its public half there, or sign with a trusted key"
        )
    return key


@contextmanager
def ledger(params: RegistryParams) -> Iterator["Ledger"]:
    """Open the ledger alone. Raises InputError when it has no place, WattlineError when it cannot be reached."""
    from wattline.registry.ledger import connect

    with store.translated():
        found = connect(settings().ledger_uri, lock_seconds=params.lock_seconds, wait_seconds=params.wait_seconds)
        try:
            yield found
        finally:
            found.close()
