"""progress: a bar on a terminal, a line now and then in a log, nothing on standard output."""

import io
import math

import pytest

from wattline import progress as module
from wattline.progress import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets; starts at 0."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_a_log_gets_a_line_every_few_seconds_and_one_at_the_end(capsys, clock):
    with progress("train") as report:
        for second in range(12):
            clock[0] = float(second)
            report(f"epoch {second}", second / 20, {"loss": 0.123456})
        report("epoch 20", 1.0, {"loss": 0.1})
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [
        "train: epoch 5  25% loss=0.1235",
        "train: epoch 10  50% loss=0.1235",
        "train: epoch 20 100% loss=0.1",
    ]
    assert captured.out == ""


def test_a_line_needs_no_figures_and_no_known_end(capsys, clock):
    with progress("ingest") as report:
        clock[0] = 6.0
        report("n0", 1 / math.inf, {})
    assert capsys.readouterr().err == "ingest: n0   0%\n"


def test_work_without_reports_is_silent(capsys):
    with progress("train"):
        pass
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar_that_vanishes(monkeypatch, capsys):
    terminal = Terminal()
    monkeypatch.setattr(module.sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress("train") as report:
        report("epoch 1", 0.5, {"loss": 0.25})
        report("epoch 2", 1.0, {"loss": 0.125})
    shown = terminal.getvalue()
    assert "train: epoch 2" in shown
    assert "loss=0.125" in shown
    assert "\x1b[2K" in shown, "the line is erased at the end"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("terminal", [True, False])
def test_an_error_inside_comes_out(monkeypatch, terminal):
    monkeypatch.setattr(module.sys, "stderr", Terminal() if terminal else io.StringIO())
    with pytest.raises(ZeroDivisionError), progress("train"):
        raise ZeroDivisionError
