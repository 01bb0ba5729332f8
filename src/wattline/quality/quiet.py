"""Libraries that call home and warn about their own imports, kept silent."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from wattline import settings


@contextmanager
def quiet() -> Iterator[None]:
    """Import and call a library in here: no telemetry, and none of its warnings, which nobody here can act on."""
    settings.silence_telemetry()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
