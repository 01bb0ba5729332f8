"""What came out of a reproduction."""

from typing import Literal

from wattline.records import Record

Outcome = Literal["identical", "different", "measured", "not compared"]
DataOrigin = Literal["cache", "remote", "ingested again"]
ChampionUse = Literal["none", "compared", "files not given"]


class Difference(Record):
    """A property that is not what was recorded; an empty text says that there is none."""

    name: str
    recorded: str
    used: str

    def __str__(self) -> str:
        return f"{self.name}: {self.used or 'absent'}, recorded was {self.recorded or 'none'}"


class Compared(Record):
    """One output of a stage beside the one that was registered.

    outcome: "measured" differs as measurements do; "not compared" says why in `details`
    registered, found: MD5 as in dvc.lock, that of a folder ends in ".dir"; `found` is empty where there is no output
    details: by how much it differs, a sentence each
    """

    stage: str
    path: str
    outcome: Outcome
    registered: str
    found: str
    details: tuple[str, ...] = ()


class Result(Record):
    """Outcome of one reproduction.

    identical: every computed output was compared and has the registered bytes
    first: the first stage with a computed output that differs
    data: where the raw rows came from; in any case they have the registered id
    interpreter: "current", or "fresh" for an environment that was installed for this
    environment: in what the environment differs from the recorded one
    sources: dependencies in the commit that are not those dvc.lock recorded
    """

    name: str
    version: str
    commit: str
    identical: bool
    first: str | None
    data: DataOrigin
    interpreter: Literal["current", "fresh"]
    environment: tuple[Difference, ...]
    sources: tuple[str, ...]
    champion: ChampionUse
    outputs: tuple[Compared, ...]

    @property
    def exit_code(self) -> int:
        return 0 if self.identical else 1


def first_difference(outputs: tuple[Compared, ...]) -> str | None:
    """The first stage of which a computed output differs; `outputs` are in the order of the pipeline."""
    return next((output.stage for output in outputs if output.outcome == "different"), None)


def all_identical(outputs: tuple[Compared, ...]) -> bool:
    """Whether nothing but measurements differs and nothing was left out."""
    return bool(outputs) and all(output.outcome in ("identical", "measured") for output in outputs)
