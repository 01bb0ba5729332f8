"""What the jobs type: shellcheck has nothing to say, commands exist, images are pinned, no secret is an argument."""

import re
import shutil
import subprocess

import yaml

from gitlab.ci.configuration import ROOT, read
from gitlab.ci.graph import findings
from gitlab.ci.scripts import commands, lines, script, targets, unknown

PIPELINE = read(ROOT / ".gitlab-ci.yml")


def test_shellcheck_has_nothing_to_say(tmp_path):
    written = [tmp_path / f"{name}.sh" for name, job in PIPELINE.jobs.items() if lines(job)]
    for path in written:
        path.write_text(script(PIPELINE.jobs[path.stem]), encoding="utf-8")
    # SC1090: what a job sources is the file that `wattline ci login` has just written.
    command = ["shellcheck", "--severity=style", "--exclude=SC1090", *written, *sorted((ROOT / "ci").glob("*.sh"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_shellcheck_finds_what_is_wrong_in_a_job(tmp_path):
    path = tmp_path / "job.sh"
    path.write_text(script({"before_script": ["code=0"], "script": ["exit $cod"]}), encoding="utf-8")
    done = subprocess.run(["shellcheck", path], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "SC2154" in done.stdout


def test_every_command_of_wattline_and_make_exists():
    asked = list(commands(PIPELINE))
    ours = [(name, words) for name, words in asked if words[0] == "wattline"]
    assert len(ours) > 10
    assert [f"{name}: {' '.join(words)}" for name, words in ours if unknown(words[1:])] == []
    verbs = {word for _, words in asked if words[0] == "make" for word in words[1:] if "=" not in word}
    assert verbs <= targets()


def test_a_command_that_does_not_exist_is_found():
    assert unknown(["run", "train"]) is None
    assert unknown(["regster"]) == "regster"
    assert unknown(["keys", "old"]) == "old"
    assert unknown(["card", "--chek"]) == "--chek"


def test_the_templates_of_the_child_pipeline_are_checked_alike(tmp_path):
    names = ("dvc-stage", "dvc-stage-hpc", "dvc-collect")
    jobs = {name: {"extends": f".{name}", "variables": {"DVC_STAGE": "train"}} for name in names}
    child = tmp_path / "child.yml"
    child.write_text(yaml.safe_dump({"include": [{"local": "/ci/dvc-stage.yml"}], "stages": ["test"], **jobs}))
    found = read(child)
    assert findings(found) == []
    assert [words for _, words in commands(found) if words[0] == "wattline" and unknown(words[1:])] == []
    for name, job in found.jobs.items():
        (tmp_path / f"{name}.sh").write_text(script(job), encoding="utf-8")
    command = ["shellcheck", "--exclude=SC2154", *tmp_path.glob("*.sh")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert "SITE_ID_TOKEN" in found.jobs["dvc-stage-hpc"]["id_tokens"]
    assert found.jobs["dvc-stage-hpc"]["variables"].keys() == {"DVC_STAGE", "SCHEDULER_PARAMETERS"}


def test_jobs_type_one_line_and_leave_logic_to_python():
    for name, job in PIPELINE.jobs.items():
        for line in lines(job):
            assert "\n" not in line, name
            assert not re.search(r"\b(if|for|while|case|curl|python -c)\b", line), f"{name}: {line}"


def test_jobs_whose_commands_need_the_environment_set_it_up_first():
    for name, job in PIPELINE.jobs.items():
        if any(line.startswith(("wattline", "make", "ruff")) for line in lines(job)):
            assert lines(job)[0].startswith("ci/setup.sh"), name


def test_images_are_pinned_by_digest():
    for name, job in PIPELINE.jobs.items():
        if "trigger" not in job:
            assert job["image"] == "$WATTLINE_CI_IMAGE", name
    assert re.search(r"@sha256:[0-9a-f]{64}$", PIPELINE.variables["WATTLINE_CI_IMAGE"])
    pinned = PIPELINE.variables["WATTLINE_CI_IMAGE"]
    assert pinned in (ROOT / "docker" / "build.sh").read_text(encoding="utf-8"), "jobs and the server's image differ"


def test_no_secret_is_an_argument_of_a_command():
    secret = re.compile(r"\$\{?\w*(TOKEN|PASSWORD|SECRET|KEY)\w*")
    assert [line for job in PIPELINE.jobs.values() for line in lines(job) if secret.search(line)] == []


def test_the_schema_of_gitlab_accepts_the_pipeline(tmp_path):
    """As it is once inputs are put in and references are resolved; a header has no schema of its own there."""
    top = {name: PIPELINE.raw[name] for name in ("variables", "workflow", "stages")}
    (tmp_path / "resolved.yml").write_text(yaml.safe_dump(top | PIPELINE.jobs), encoding="utf-8")
    done = schema(tmp_path / "resolved.yml")
    assert done.returncode == 0, done.stdout


def test_the_schema_refuses_what_gitlab_refuses(tmp_path):
    path = tmp_path / "wrong.yml"
    path.write_text("job: {script: [echo], when: sometimes}\n", encoding="utf-8")
    assert schema(path).returncode == 1


def schema(path):
    """check-jsonschema on the file; variables in the URL of an environment are no URI yet, and GitLab takes them."""
    options = ["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci", "--disable-formats", "uri"]
    command = [shutil.which("check-jsonschema") or "check-jsonschema", *options, path]
    return subprocess.run(command, capture_output=True, text=True, check=False)
