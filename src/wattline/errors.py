"""What can go wrong, as one small tree: the command line turns each into one line and an exit code."""


class WattlineError(Exception):
    """A failure that a person can act on. The message names the thing, its value and the remedy.

    exit_code: what the command line exits with
    """

    exit_code = 1


class InputError(WattlineError):
    """Something that was handed in is wrong: params, rows, a file, a name."""

    exit_code = 2


class IntegrityError(WattlineError):
    """Bytes are not what their record says they are."""

    exit_code = 2


class RejectedError(WattlineError):
    """A gate said no, and something that needs its yes was asked for."""

    exit_code = 1


class SupersededError(WattlineError):
    """Somebody else was first: what was asked for rests on a state that is not the last one any more."""

    exit_code = 4


class PausedError(WattlineError):
    """A training was told to end before it was done, and kept a checkpoint: started again, it goes on from there."""

    exit_code = 75
    """EX_TEMPFAIL of sysexits.h: nothing is wrong, try again."""


class EndedError(PausedError):
    """A training was ended by a signal, and kept a checkpoint. Whether it begins again is for the sender to say.

    signal_number: the exit code is 128 more, as of a process that died of it
    """

    def __init__(self, message: str, *, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


class UnreachableError(WattlineError):
    """Somebody who has to be asked does not answer just now."""
