"""Writes templates/ from ci/: the same files as GitLab CI/CD components, with typed inputs.

Run: python ci/components.py. ci/ is the one place. A component includes its file from there, in the version that was
asked for, and hands its inputs on.
`pipeline` is all of .gitlab-ci.yml; its inputs are those of ci/base.yml.
"""

import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
HEAD = "# Written by ci/components.py; docs/gitlab.md says how to include it.\n"


class Loader(yaml.SafeLoader):
    """YAML whose `!reference` is of no interest here."""


Loader.add_constructor("!reference", Loader.construct_sequence)


def components() -> dict[str, str]:
    """Name of the file in templates/ -> text, for the whole and for each stage."""
    inputs, base = _read("ci/base.yml")
    filled = {name: value for name, value in base["variables"].items() if str(value).startswith("$[[ inputs.")}
    made = {"pipeline.yml": _text(inputs, {"include": [{"local": "/.gitlab-ci.yml"}], "variables": filled})}
    for stage in _read(".gitlab-ci.yml")[1]["stages"]:
        inputs, _ = _read(f"ci/{stage}.yml")
        handed_on = {name: f"$[[ inputs.{name} ]]" for name in inputs}
        include = [{"local": "/ci/base.yml"}, {"local": f"/ci/{stage}.yml", "inputs": handed_on}]
        made[f"{stage}.yml"] = _text(inputs, {"include": include})
    return made


def _read(path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs that the file declares, and what it says."""
    found = list(yaml.load_all((ROOT / path).read_text(encoding="utf-8"), Loader))
    return (found[0]["spec"]["inputs"] if len(found) > 1 else {}), found[-1]


def _text(inputs: dict[str, Any], content: dict[str, Any]) -> str:
    parts = ({"spec": {"inputs": inputs}}, content)
    return HEAD + "---\n".join(yaml.safe_dump(part, sort_keys=False, width=1000) for part in parts)


if __name__ == "__main__":
    for name, text in components().items():
        (ROOT / "templates" / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"templates/{name}\n")
