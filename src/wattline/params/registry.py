"""Knobs of the registry: who must agree, what may be overridden, how long a lock lasts."""

from pydantic import Field

from wattline.params.section import Positive, Section


class FormerKey(Section):
    """A key that signs no more.

    file: PEM file of its public half
    until: sequence of the last entry that it may have signed; what it signs after that counts for nothing
    """

    file: str
    until: int = Field(ge=1)


class RegistryParams(Section):
    """How versions are registered and promoted. Whose signatures count is in serving.model.trusted_keys.

    approvals: how many people must have approved a version before it is promoted; 0: none
    overridable: gates whose answer a person may override with `--override`, on the record
    import_keys: PEM files of public keys of other sites, whose archives may be imported
    site: what this site calls itself in archives that it exports
    former_keys: public keys that sign no more, and whose entries in the audit log still count
    lock_seconds: how long a process that died on another machine, or sleeps, keeps others waiting [s]
    wait_seconds: how long a command waits for another one that changes the same model [s]
    """

    approvals: int = Field(ge=0, le=20)
    overridable: tuple[str, ...]
    former_keys: tuple[FormerKey, ...]
    import_keys: tuple[str, ...]
    site: str = Field(min_length=1, max_length=200)
    lock_seconds: Positive
    wait_seconds: Positive
