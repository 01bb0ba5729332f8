"""Trainings that were logged without a network, sent to the store later: in order, each once."""

from wattline.errors import IntegrityError, WattlineError
from wattline.records import Record
from wattline.registry import spooled, store, tracking


class Sent(Record):
    """One training that is in the store now.

    record: the file that held it, now in sent/
    """

    record: str
    run_id: str


def sync() -> list[Sent]:
    """Send every waiting training, the oldest first; one that cannot be sent holds back those after it.

    It may run twice at once, or be killed and run again: a run that was begun is found by its tag and completed.

    returns: what was sent, in order; empty where nothing waited, and then no store was asked
    Raises IntegrityError naming a damaged file, WattlineError when the store cannot be reached or refuses one: what was
    not sent stays as it is.
    """
    if not spooled.waiting():
        return []
    sent: list[Sent] = []
    at = ""
    try:
        with store.session() as client:
            # Listed anew: another sync may have been at work until this one got the lock.
            for path in spooled.waiting():
                at = f"{path} was not sent and stays: "
                run_id = tracking.send(client, spooled.read(path))
                sent.append(Sent(record=str(spooled.mark_sent(path)), run_id=run_id))
    except IntegrityError:
        raise
    except WattlineError as error:
        raise WattlineError(f"{at}{error}") from None
    return sent
