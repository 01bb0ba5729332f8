"""Two hosts whose clocks are an hour apart change one model, in one PostgreSQL."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from backends.clocks import shifted

from tests.registry.backends.stack import changed, fetch, new_candidate
from tests.registry.project import NAME
from wattline.registry import lookup, model, promotion, registration
from wattline.settings import settings

ROOT = Path(__file__).parents[3]
HOUR = 3600
SECONDS = 60
# A process of another machine: it is not told from here whether it still runs.
HOST = """
import sys
from pathlib import Path
from tests.registry.project import opened
from wattline.errors import WattlineError
from wattline.registry import model, promotion
from wattline.registry.ledger import clocks, ledger
name, argument = sys.argv[1:]
clocks.host = lambda: f"{name} {name}"
take = ledger.Ledger._take
"""
PROMOTE = """
def waiting(*arguments):
    Path(f"wattline-{name}").touch()
    return take(*arguments)
ledger.Ledger._take = waiting
try:
    with opened(wait_seconds=60) as found:
        print(promotion.promote(found, argument))
except WattlineError as error:
    print(type(error).__name__, error)
"""
HOLD = """
import time
try:
    with opened(lock_seconds=float(argument)) as found, model.changing(found) as change:
        Path(f"wattline-{name}").touch()
        while not Path("wattline-go").exists():
            time.sleep(0.05)
        change.append("refuse", None, reason="was asleep")
    print("written")
except WattlineError as error:
    print(type(error).__name__, error)
"""


@pytest.fixture
def site(project: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A champion and two versions that were compared with it."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", database)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (ROOT / "src", ROOT / "tests", ROOT))))
    settings.cache_clear()
    new_candidate()
    with changed(NAME) as found:
        registration.register(found)
        promotion.promote(found)
        champion = fetch(NAME)
        for _ in range(2):
            new_candidate(champion=champion)
            registration.register(found)
    return project


def host(code: str, name: str, argument: str, *, ahead: float) -> "subprocess.Popen[str]":
    """A process on the host `name`, whose clock is `ahead` of ours [s]."""
    command: Sequence[str] = [sys.executable, "-c", HOST + code, name, argument]
    return subprocess.Popen(
        command, env=shifted(ahead), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def wait_for(*names: str) -> None:
    until = time.monotonic() + SECONDS
    while not all(Path(f"wattline-{name}").exists() for name in names):
        assert time.monotonic() < until, f"{names} did not come"
        time.sleep(0.02)


def test_of_two_hosts_that_promote_at_once_one_is_superseded(site: Path):
    with changed(NAME) as found:
        with model.changing(found):
            hosts = {
                version: host(PROMOTE, name, version, ahead=ahead)
                for name, version, ahead in (("fast", "2", HOUR / 2), ("slow", "3", -HOUR / 2))
            }
            wait_for("fast", "slow")
        said = {version: process.communicate(timeout=SECONDS)[0].strip() for version, process in hosts.items()}
        (winner,) = (version for version, text in said.items() if text == version)
        (loser,) = set(said) - {winner}
        assert said[loser].startswith("SupersededError superseded:"), said
        assert f"made version {winner} champion" in said[loser]
        assert [move.version for move in found.moves()] == ["1", winner]
        alias = lookup.by_alias(found.client, NAME, "champion")
        assert alias is not None
        assert str(alias.version) == winner
        assert fetch(NAME).version == winner
        times = [move.at for move in found.moves()]
        assert (times[1] - times[0]).total_seconds() < HOUR / 4, "the time of an entry is the database's"


@pytest.mark.parametrize("ahead", [HOUR, -HOUR])
def test_a_host_that_sleeps_with_the_lock_is_overtaken_after_the_time_of_the_lock(site: Path, ahead: float):
    lasts = 4.0
    holder = host(HOLD, "sleeper", str(lasts), ahead=ahead)
    try:
        wait_for("sleeper")
        os.killpg(holder.pid, signal.SIGSTOP)
        before = time.monotonic()
        with changed(NAME, wait_seconds=SECONDS) as found, model.changing(found) as change:
            waited = time.monotonic() - before
            change.append("refuse", None, reason="was awake")
        assert lasts / 2 < waited < SECONDS, "not at once, and not an hour later"
        Path("wattline-go").touch()
        os.killpg(holder.pid, signal.SIGCONT)
        assert holder.communicate(timeout=SECONDS)[0].startswith("SupersededError this process was too slow")
    finally:
        holder.kill()
        holder.communicate()
    with changed(NAME) as found:
        reasons = [found.verified(envelope).reason for envelope in found.ledger.envelopes()]
    assert "was awake" in reasons
    assert "was asleep" not in reasons
