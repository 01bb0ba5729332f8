"""requirements/serve.lock: all that the server imports, and nothing that it does not."""

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from image.containers import ROOT

LOCK = (ROOT / "requirements" / "serve.lock").read_text(encoding="utf-8")
PINNED = dict(re.findall(r"^([\w.-]+)==([\w.]+)", LOCK, flags=re.MULTILINE))
IMPORT_ALL = """
import importlib, pkgutil, sys
sys.path[:0] = sys.argv[1:]
import wattline.cli, wattline.serving
for found in pkgutil.walk_packages(wattline.serving.__path__, "wattline.serving."):
    importlib.import_module(found.name)
for name in ("arro3.core", "arro3.io", "httpx", "jwt", "uvloop"):  # imported inside functions
    importlib.import_module(name)
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with the packages of the lock, in its versions, and no others."""
    folder = tmp_path / "site"
    folder.mkdir()
    for name, version in PINNED.items():
        found = metadata.distribution(name)
        assert found.version == version, f"{name} {found.version} is installed, serve.lock says {version}"
        assert found.files is not None
        for top in {path.parts[0] for path in found.files if ".." not in path.parts}:
            link = folder / top
            if not link.exists():
                link.symlink_to(Path(str(found.locate_file(top))))
    return folder


def test_every_module_of_the_server_can_be_imported_with_the_locked_packages_alone(site: Path):
    command = [sys.executable, "-I", "-S", "-c", IMPORT_ALL, str(site), str(ROOT / "src")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_of_training_tracking_or_validation_is_in_it():
    heavy = {"torch", "mlflow", "pandas", "pyarrow", "scikit-learn", "matplotlib", "great-expectations", "onnx"}
    assert not heavy & PINNED.keys()


def test_every_package_is_pinned_with_hashes_as_the_image_demands():
    hashed = re.findall(r"^[\w.-]+==.* \\\n(?:    --hash=sha256:[0-9a-f]{64}.*\n)+", LOCK, flags=re.MULTILINE)
    assert len(hashed) == len(PINNED) > 20
