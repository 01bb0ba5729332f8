"""Keys that sign no more: what they signed in the audit log counts, as far as they were trusted then."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from wattline.params.registry import FormerKey
from wattline.signing import entry as entries
from wattline.signing import keys
from wattline.signing.entry import Entry
from wattline.signing.keys import PublicKey


@dataclass(frozen=True)
class FormerKeys:
    """Each with the sequence of the last entry that it may have signed."""

    known: tuple[tuple[PublicKey, int], ...] = ()

    @classmethod
    def load(cls, params: Sequence[FormerKey]) -> Self:
        """Read them. Raises InputError naming the first file that holds no public key."""
        return cls(tuple((keys.load_public([one.file])[0], one.until) for one in params))

    def unseal(self, envelope: bytes, trusted: Sequence[PublicKey]) -> Entry:
        """The entry in `envelope`, by a trusted key, or by a former one in its time.

        Raises InputError when it is no entry, IntegrityError when nobody who counts signed it: who got hold of a former
        key cannot add to the log.
        """
        said = entries.peek(envelope)
        return entries.unseal(envelope, (*trusted, *(key for key, until in self.known if said.sequence <= until)))
