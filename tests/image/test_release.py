"""docker/release.py: an image is not built of what its server would refuse, or would be labelled wrongly."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from builders import write_keys

from image.conftest import COMMIT, digest
from image.containers import ROOT
from wattline import params

SCRIPT = ROOT / "docker" / "release.py"


@pytest.fixture
def app(project: Path, tmp_path: Path) -> Path:
    """What the build has copied when the script runs."""
    folder = tmp_path / "app"
    shutil.copytree(project / "champion", folder / "champion")
    (folder / "keys").mkdir()
    (folder / "keys" / "public.pem").write_bytes((project / ".wattline/keys/public.pem").read_bytes())
    overlay = (project / "docker" / "serving.yaml").read_text().replace("/app/", f"{folder}/")
    (tmp_path / "serving.yaml").write_text(overlay)
    (tmp_path / "params.yaml").write_bytes((project / "params.yaml").read_bytes())
    return folder


def release(app: Path, **given: str) -> "subprocess.CompletedProcess[str]":
    known = {"commit": COMMIT, "model-name": "anomaly", "model-version": "1"} | given
    if "model-digest" not in known:
        known["model-digest"] = digest(app)
    arguments = [f"--{name}={value}" for name, value in known.items()]
    command = [sys.executable, str(SCRIPT), f"--build={app.parent}", f"--app={app}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def refused(app: Path, **given: str) -> str:
    done = release(app, **given)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    return done.stderr


def test_the_images_params_are_the_projects_with_a_containers_places(app: Path):
    assert release(app).returncode == 0
    project, image = params.load(ROOT / "params.yaml"), params.load(app / "params.yaml")
    assert image.block == project.block
    found = image.serving
    assert (found.host, found.auth.mode, found.model.signature) == ("0.0.0.0", "keys", "required")
    assert found.limits == project.serving.limits
    assert found.auth.jwks_url == project.serving.auth.jwks_url


def test_everything_that_is_written_lies_in_the_one_place_that_can_be(app: Path):
    assert release(app).returncode == 0
    serving = params.load(app / "params.yaml").serving
    assert {Path(serving.log.folder).parent, Path(serving.observe.file).parent} == {Path("/var/lib/wattline")}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"commit": ""}, "the commit is not given"),
        ({"model-digest": "0" * 64}, f"MODEL_DIGEST is {'0' * 64}"),
        ({"model-digest": ""}, "MODEL_DIGEST is not given"),
        ({"model-version": "2"}, "MODEL_VERSION is 2"),
        ({"model-name": ""}, "MODEL_NAME is not given"),
    ],
)
def test_labels_that_would_be_empty_or_wrong(app: Path, given: dict[str, str], reason: str):
    assert reason in refused(app, **given)


def test_a_model_that_was_altered(app: Path):
    (app / "champion" / "model.onnx").write_bytes((app / "champion" / "model.onnx").read_bytes() + b" ")
    assert "model.onnx has SHA-256" in refused(app)


def test_a_model_that_nobody_signed(app: Path):
    (app / "champion" / "statement.dsse.json").unlink()
    assert "statement.dsse.json" in refused(app)


def test_a_model_that_somebody_else_signed(app: Path, tmp_path: Path):
    write_keys(tmp_path / "others", seed=1)
    (app / "keys" / "public.pem").write_bytes((tmp_path / "others" / "public.pem").read_bytes())
    assert "trusted" in refused(app)


def test_a_champion_that_was_never_promoted(app: Path):
    known = digest(app)
    for path in (app / "champion").iterdir():
        path.unlink()
    assert "is missing" in refused(app, **{"model-digest": known})


def test_a_key_that_params_yaml_does_not_know(app: Path):
    overlay = yaml.safe_load((app.parent / "serving.yaml").read_text())
    (app.parent / "serving.yaml").write_text(yaml.safe_dump(overlay | {"prot": 1}))
    assert "serving.prot is not a known key" in refused(app)
