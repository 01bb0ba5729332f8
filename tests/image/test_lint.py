"""The Dockerfile and the scripts around it, as linters read them."""

import re
import shutil
import subprocess

from image.containers import ROOT
from wattline.deployment import building

DOCKERFILE = ROOT / "docker" / "server.Dockerfile"
TEXT = DOCKERFILE.read_text(encoding="utf-8")


def test_hadolint_has_nothing_to_say():
    command = shutil.which("hadolint")
    assert command, "hadolint is missing; make setup"
    files = sorted(map(str, DOCKERFILE.parent.glob("*.Dockerfile")))
    done = subprocess.run([command, "--no-color", *files], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_an_ignored_rule_has_its_reason_beside_it():
    for match in re.finditer(r"# hadolint ignore=\S+(.*)", TEXT):
        assert match[1].strip(), match[0]


def test_it_needs_no_frontend_from_a_registry_and_adds_nothing_from_outside():
    assert not re.search(r"^#\s*syntax\s*=", TEXT, flags=re.MULTILINE)
    assert not re.search(r"^(ADD|RUN.*(curl|wget|apt-get))", TEXT, flags=re.MULTILINE)


def test_only_what_is_named_enters_the_build():
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert rules[0] == "*"
    assert not [rule for rule in rules if rule.startswith("!") and ("private" in rule or rule.endswith("keys"))]
    defaults = dict(re.findall(r"^ARG (\w+)=(\S+)$", TEXT, flags=re.MULTILINE))
    for given in (defaults, {"KEY": str(building.KEY), "MODEL": str(building.MODEL)}):
        for name in re.findall(r"^COPY (?!--from)(.*) \S+$", TEXT, flags=re.MULTILINE):
            paths = [re.sub(r"\$\{(\w+)\}", lambda found: given[found[1]], path) for path in name.split()]  # noqa: B023
            assert all(f"!{path}" in rules for path in paths), paths


def test_each_stage_starts_from_the_same_base():
    assert re.findall(r"^FROM (\S+)", TEXT, flags=re.MULTILINE) == ["${BASE}", "packages", "${BASE}"]
