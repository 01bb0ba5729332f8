"""Shifts the clock of the Python process that starts with this folder on its path: see backends/clocks.py."""

import ctypes
import datetime
import gc
import os
import time

SHIFT = float(os.environ["TEST_CLOCK_SHIFT_SECONDS"])
_time, _time_ns, _clock_gettime = time.time, time.time_ns, time.clock_gettime
_gmtime, _localtime, _strftime = time.gmtime, time.localtime, time.strftime
_now, _utcnow = datetime.datetime.now, datetime.datetime.utcnow


def _replace(kind, **methods):
    """Change methods of a built-in class in place, so that everybody who holds the class has the changed one."""
    gc.get_referents(kind.__dict__)[0].update({name: classmethod(method) for name, method in methods.items()})
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(kind))


def _shifted(moment):
    return moment + datetime.timedelta(seconds=SHIFT)


time.time = lambda: _time() + SHIFT
time.time_ns = lambda: _time_ns() + int(SHIFT * 1e9)
time.clock_gettime = lambda clock: _clock_gettime(clock) + SHIFT * (clock == time.CLOCK_REALTIME)
time.gmtime = lambda seconds=None: _gmtime(time.time() if seconds is None else seconds)
time.localtime = lambda seconds=None: _localtime(time.time() if seconds is None else seconds)
time.strftime = lambda form, moment=None: _strftime(form, time.localtime() if moment is None else moment)
_replace(
    datetime.datetime,
    now=lambda cls, tz=None: cls.fromtimestamp(time.time(), tz),
    utcnow=lambda cls: _shifted(_utcnow()),
    today=lambda cls: cls.fromtimestamp(time.time()),
)
_replace(datetime.date, today=lambda cls: cls.fromtimestamp(time.time()))
