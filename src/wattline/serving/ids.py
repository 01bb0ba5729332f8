"""Names of requests and of what is written down: no two alike, in whatever process and whenever they are made."""

import itertools
import os
import secrets
import time
from collections.abc import Iterator


class _Source:
    """Counts within one process. What its names begin with says when that process started, and is random besides."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Begin anew."""
        self.prefix = f"{time.time_ns() // 1_000_000:011x}{secrets.token_hex(5)}"
        self.numbers: Iterator[int] = itertools.count()


_source = _Source()
# A forked process must not go on with the names of its parent.
os.register_at_fork(after_in_child=_source.renew)


def new_id() -> str:
    """A new name: 32 characters out of 0-9, a-f and "-". Those of one process sort in the order they were made."""
    return f"{_source.prefix}-{next(_source.numbers):010x}"
