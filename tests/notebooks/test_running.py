"""wattline notebook: every cell runs or the command fails, and what came out is kept."""

import os
import signal
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest

from notebooks.conftest import SECONDS, printed

NASTY = 'a "quoted" \\ text with $HOME, {braces} and an\nend of line\''


class Page(HTMLParser):
    """What a browser would run or fetch, and the words for pictures."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.fetched: list[str] = []
        self.policies: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = {name: value or "" for name, value in attributes}
        self.scripts += [tag] if tag in ("script", "iframe", "object", "embed", "base") else []
        self.scripts += [name for name in found if name.startswith("on")]
        links = [found[name] for name in ("src", "srcset", "href", "data", "action") if name in found]
        self.fetched += [link for link in links if not link.startswith(("data:", "#"))]
        self.policies += [found["content"]] if found.get("http-equiv") == "Content-Security-Policy" else []
        self.words += [found.get("alt", "")] if tag == "img" else []


def test_exploration_gives_the_same_bytes_whatever_a_person_has_installed(project):
    """Two runs: the second one with a kernel, a start-up file and a secret of somebody's own."""
    first = {}
    home = project.folder / "home"
    kernel, start = home / "kernels" / "python3", home / "ipython" / "profile_default" / "startup"
    for folder in (kernel, start):
        folder.mkdir(parents=True)
    (kernel / "kernel.json").write_text('{"argv": ["false"], "language": "python", "display_name": "broken"}')
    (start / "first.py").write_text("raise SystemExit('a start-up file of a person was run')")
    for variables in ({}, {"JUPYTER_PATH": str(home), "IPYTHONDIR": str(home / "ipython"), "HOME": str(home)}):
        code, said = project.run("exploration", variables=variables)
        assert code == 0, said
        made = {path.name: path.read_bytes() for path in project.executed.iterdir()}
        first = first or made
    assert set(made) == {"exploration.ipynb", "exploration.html"}
    assert made == first
    copy = project.copy("exploration")
    pictures = [one for cell in copy.cells for one in cell.get("outputs", ()) if "image/png" in one.get("data", {})]
    assert len(pictures) == 3
    assert not [cell for cell in copy.cells if cell.cell_type == "code" and cell.execution_count is None]
    page = Page(made["exploration.html"].decode())
    assert (page.scripts, page.fetched) == ([], [])
    assert [policy.split(";")[0] for policy in page.policies] == ["default-src 'none'"]
    assert page.words == [one.data["text/plain"] for one in pictures]
    text = made["exploration.html"].decode()
    assert "@import" not in text
    assert "url(http" not in text
    assert not list(project.temporary.iterdir())


def test_parameters_arrive_as_they_were_given_and_secrets_do_not(project):
    project.write(
        "probe",
        "print([text, number, count, flag])",
        'import os; print(repr(os.environ.get("WATTLINE_SIGNING_KEY")))',
        'print(os.getcwd(), sep="")',
        parameters='text = ""\nnumber = 1.5\ncount = 1\nflag = False\nuntouched = 7',
    )
    given = [word for pair in (f"text={NASTY}", "number=2", "count=-3", "flag=true") for word in ("-p", pair)]
    code, said = project.run("probe", *given, variables={"WATTLINE_SIGNING_KEY": "not for cells"})
    assert code == 0, said
    assert printed(project.copy("probe")) == [str([NASTY, 2.0, -3, True]), "''", str(project.folder)]
    assert project.copy("probe").metadata["wattline"]["parameters"] == {
        "text": NASTY, "number": 2.0, "count": -3, "flag": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("print('so far')\nraise ValueError('no\\nsuch \\x1b[31mthing')", "ValueError: no such thing"),
        ("import time; time.sleep(3600)", "it took longer than notebooks.cell_seconds in params.yaml, 3 s"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("import os; os.kill(os.getpid(), 9)", "its Python died, as it does when memory runs out"),
    ],
    ids=["raises", "too slow", "leaves", "killed"],
)
def test_a_cell_that_fails_is_named_and_the_copy_is_kept(project, cell, reason):
    if "sleep" in cell:
        project.limit(cell_seconds=3)
    project.write("broken", "print('first')", cell, "print('never')", parameters="unit = ''")
    code, said = project.run("broken", "-p", "unit=x")
    assert code == 1
    copy = "reports/notebooks/broken.ipynb"
    assert said == f"wattline: notebooks/broken.ipynb: cell 3 of 4 failed: {reason}; the executed copy is {copy}"
    assert printed(project.copy("broken"))[0] == "first"
    assert "never" not in printed(project.copy("broken"))
    assert (project.executed / "broken.html").is_file()
    assert not list(project.temporary.iterdir())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_no_kernel_outlives_the_command(project, number):
    cell = "import os, pathlib, time\npathlib.Path('pid').write_text(f'{os.getpid()}\\n')\ntime.sleep(3600)"
    project.write("long", cell)
    with project.start("long") as process:
        try:
            path = project.folder / "pid"
            wait_until(lambda: process.poll() is not None or (path.is_file() and path.read_text().endswith("\n")))
            kernel = int(path.read_text())
            assert running(kernel)
            process.send_signal(number)
            process.communicate(timeout=SECONDS)
        finally:
            process.kill()
    assert process.returncode != 0
    wait_until(lambda: not running(kernel))
    assert number == signal.SIGKILL or not list(project.temporary.iterdir())


def wait_until(holds) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return ") Z " not in Path(f"/proc/{process}/stat").read_text()
