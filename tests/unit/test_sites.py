"""Profiles of sites: what is wrong in one is refused by its file, its key and a remedy, before anything is rendered."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from wattline import sites
from wattline.errors import InputError
from wattline.sites.quoting import expanded

ROOT = Path(__file__).parents[2]
UNSAID = "hunter2x"
GOOD = {"description": "a site", "scheduler": "slurm", "stages": ["train"]}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with no profile yet."""
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / sites.FOLDER).mkdir(parents=True)
    return tmp_path / sites.FOLDER


def load(folder: Path, **changes: object) -> sites.Profile:
    (folder / "here.yaml").write_text(yaml.safe_dump(GOOD | changes))
    return sites.load("here")


@pytest.mark.parametrize("site", sites.names(ROOT / sites.FOLDER))
def test_a_shipped_profile_is_valid_and_says_where_it_was_not_run(site: str):
    profile = sites.load(site, ROOT / sites.FOLDER)
    real = site in ("leonardo", "meluxina", "jureca", "flux-generic")
    assert ("not run there" in profile.description) == real
    text = (ROOT / sites.FOLDER / f"{site}.yaml").read_text()
    assert not real or ("read 2026-" in text), "facts have a date"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"partitions": "gpu"}, ("partitions", "is not a known key", "partition")),
        ({"resources": {"minutes": -5}}, ("resources.minutes", ">= 1", "-5")),
        ({"resources": {"nodes": 0}}, ("resources.nodes", ">= 1")),
        ({"resources": {"memory": 3}}, ("resources.memory", "is not a known key")),
        ({"scheduler": "pbs"}, ("scheduler", "'slurm'", "pbs")),
        ({"stages": ["trian"]}, ("stages", "'trian'", "train")),
        ({"description": ""}, ("description",)),
        ({"environment": {"kind": "docker"}}, ("environment.kind", "charliecloud")),
        ({"partition": "gpu\n#SBATCH --wrap=id"}, ("partition", "letters, digits")),
        ({"account": "a; touch x"}, ("account", "letters, digits")),
        ({"qos": "$(id)"}, ("qos", "letters, digits")),
        ({"partition": "--help"}, ("partition", "letters, digits")),
        ({"modules": ["GCC; id"]}, ("modules.0", "one module")),
        ({"modules": ["-f"]}, ("modules.0", "one module")),
        ({"flags": ["--constraint=a\n#SBATCH --uid=0"]}, ("flags.0", "without blanks and quotes")),
        ({"flags": ["--comment=$(id)"]}, ("flags.0", "without blanks and quotes")),
        ({"flags": ["-p gpu"]}, ("flags.0", "--constraint=gpu")),
        ({"flags": ["--output=/etc/passwd"]}, ("flags.0", "--output")),
        ({"flags": ["--outp=/x"]}, ("flags.0", "--output")),
        ({"flags": ["--array=1-9"]}, ("flags.0", "--array")),
        ({"flags": ["--clusters=other"]}, ("flags.0", "--cluster")),
        ({"flags": ["--no-requeue"]}, ("flags.0", "--no-requeue")),
        ({"flags": ["--hold"]}, ("flags.0", "--hold")),
        ({"variables": {"private": "/home/me"}}, ("variables", "by the script")),
        ({"variables": {"UID": "7"}}, ("variables", "by bash")),
        ({"variables": {"A B": "x"}}, ("variables", "letters, digits and _")),
        ({"variables": {"SLURM_JOB_ID": "1"}}, ("variables", "set by the scheduler")),
        ({"variables": {"A": "x\ny"}}, ("variables.A", "one line")),
        ({"variables": {"A": 1}}, ("variables.A", "string")),
        ({"scratch": "/a\nb"}, ("scratch", "one line")),
        ({"proxy": "proxy:3128"}, ("proxy", "http://HOST:PORT")),
        ({"dask": {"workers": -1}}, ("dask.workers", ">= 0")),
        ({"gpu_option": "gpus"}, ("gpu_option", "gres")),
    ],
)
def test_a_mistake_is_named_with_its_key_and_the_rule(folder: Path, changes: dict, words: tuple[str, ...]):
    with pytest.raises(InputError) as error:
        load(folder, **changes)
    said = str(error.value)
    assert said.startswith("deploy/sites/here.yaml")
    assert "\n" not in said
    assert all(word in said for word in words), said


@pytest.mark.parametrize(
    "changes",
    [
        {"variables": {"WATTLINE_" + "SIGNING_KEY": UNSAID}},
        {"variables": {"WATTLINE_" + "LEDGER_URI": UNSAID}},
        {"variables": {"MLFLOW_TRACKING_" + "PASSWORD": UNSAID}},
        {"variables": {"HF_" + "TOKEN": UNSAID}},
        {"variables": {"STORE": "https://me" + f":{UNSAID}@store"}},
        {"proxy": "http://me" + f":{UNSAID}@proxy:3128"},
        {"variables": {"X": "glpat" + f"-{UNSAID * 3}"}},
    ],
)
def test_a_secret_is_refused_and_not_shown(folder: Path, changes: dict):
    with pytest.raises(InputError) as error:
        load(folder, **changes)
    assert "looks like a secret" in str(error.value)
    assert UNSAID not in str(error.value)


def test_what_only_sounds_like_a_secret_is_allowed(folder: Path):
    assert load(folder, variables={"TOKENIZERS_PARALLELISM": "false", "KEYBOARD": "us"}).variables["KEYBOARD"] == "us"


def test_a_key_that_stands_twice_and_a_site_that_is_none_are_refused(folder: Path):
    (folder / "here.yaml").write_text("description: a\nscheduler: slurm\nscheduler: local\n")
    with pytest.raises(InputError, match="stands twice"):
        sites.load("here")
    with pytest.raises(InputError, match="there is no site 'there'; write deploy/sites/there"):
        sites.load("there")
    with pytest.raises(InputError, match="there is no site"):
        sites.load("../sites/here")


@settings(max_examples=40)
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40))
def test_text_comes_out_of_a_shell_as_it_went_in_apart_from_variables(text: str):
    plain = text.replace("$", "")  # what follows a $ may be the name of a variable
    values = (plain, f"{plain}$HERE", f"{plain}${{HERE}}{plain}", f"$ {plain}", f"$({plain})", f"`{plain}`")
    script = "HERE=there; printf '%s\\0' " + " ".join(map(expanded, values))
    done = subprocess.run(["bash", "-c", script], check=True, capture_output=True)
    wanted = [value.replace("${HERE}", "there").replace("$HERE", "there") for value in values]
    assert done.stdout.decode().split("\0")[:-1] == wanted


def test_a_profile_of_itself_is_refused(folder: Path):
    (folder / "here.yaml").write_text("description: a site\nscheduler: slurm\nflags: &all [*all]\n")
    with pytest.raises(InputError, match="holds an alias of itself"):
        sites.load("here")


@pytest.mark.parametrize(
    ("text", "words"), [("stages: [", "not valid YAML"), ("- a", "no stage"), ("stages: 3", "no stage")]
)
def test_a_pipeline_that_cannot_be_read_is_told(folder: Path, text: str, words: str):
    Path("dvc.yaml").write_text(text)
    with pytest.raises(InputError, match=words):
        load(folder)
