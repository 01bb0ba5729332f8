"""A checkout as it stands before an image is built: sources, a signed champion, keys, and things to keep out."""

import shutil
from pathlib import Path

from builders import write_keys, write_served

from image.containers import ROOT

NEEDED = (".dockerignore", "docker", "params.yaml", "requirements/serve.lock", "src/wattline")
STRAY = ("src/project/task.py", "src/wattline/serving/__pycache__/stray.cpython-311.pyc", "data/raw.csv", ".git/config")
"""Files that a checkout has and an image must not have."""
STRAY_CONTENT = "this must not get into an image"


def write_project(folder: Path) -> Path:
    """Write the checkout to `folder`. Its private key lies beside the public one, as on a laptop."""
    for name in NEEDED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "secrets", ".env"))
        else:
            shutil.copyfile(ROOT / name, folder / name)
    key = write_keys(folder / ".wattline" / "keys")
    write_served(folder / "champion", key)
    for name in STRAY:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(STRAY_CONTENT)
    return folder
