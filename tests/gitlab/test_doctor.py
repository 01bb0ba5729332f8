"""`wattline ci doctor` in a job: what a pipeline lacks stops it with a sentence that says what to set and where."""

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from backends.processes import free_port

from gitlab import registries, standin
from gitlab.authority import tls
from gitlab.jobs import BRANCH, FORK, MERGE_REQUEST, MONITOR, Job
from gitlab.registries import PASSWORD, USER
from gitlab.standin import API, GUEST, JOB, MAINTAINER, PROJECT, READER, Fault, Server
from gitlab.standin.state import runner
from wattline import cli
from wattline.gitlab.doctor import Report, examine
from wattline.signing import keys as pairs

ROOT = Path(__file__).resolve().parents[2]
WATTLINE = Path(sys.executable).with_name("wattline")
WRONG = "glpat-" + "of-nobody"
Variables = dict[str, str]


@pytest.fixture(scope="module")
def host(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registries.bearer(cache, tmp_path_factory.mktemp("images") / "registry") as found:
        yield found


@pytest.fixture
def server() -> Iterator[Server]:
    with standin.running() as found:
        found.state.runners = [runner(1, "hpc"), runner(2, "serving")]
        found.state.project["ci_allow_fork_pipelines_to_run_in_parent_project"] = False
        yield found


@pytest.fixture
def variables(job: Job, server: Server, host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Variables:
    """Those of a pipeline that lacks nothing, in a project of its own."""
    checkout, shared = tmp_path / "checkout", tmp_path / "shared"
    for folder in (checkout, shared / "remote", shared / "keys"):
        folder.mkdir(parents=True)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.chdir(checkout)
    shutil.copy(ROOT / "params.yaml", checkout)
    subprocess.run(["git", "init", "-q"], check=True)
    job()
    pairs.new(checkout / ".wattline" / "keys")
    (checkout / ".wattline" / "keys" / "private.pem").rename(shared / "keys" / "private.pem")
    return {
        "CI_API_V4_URL": server.root,
        "CI_PROJECT_ID": PROJECT,
        "CI_PROJECT_DIR": str(checkout),
        "CI_JOB_TOKEN": JOB,
        "CI_SERVER_VERSION": "18.6.0",
        "CI_PAGES_URL": "https://energy.pages.example.org",
        "CI_REGISTRY_IMAGE": f"{host}/energy/models",
        "CI_REGISTRY": host,
        "CI_REGISTRY_USER": USER,
        "CI_REGISTRY_PASSWORD": PASSWORD,
        "WATTLINE_GITLAB_TOKEN": MAINTAINER,
        "WATTLINE_HPC_TAG": "hpc",
        "WATTLINE_DEPLOY_TAG": "serving",
        "WATTLINE_DVC_REMOTE": str(shared / "remote"),
        "WATTLINE_LEDGER_URI": f"sqlite:///{shared}/ledger.db",
        "WATTLINE_SIGNING_KEY": str(shared / "keys" / "private.pem"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{shared}/mlflow.db",
    }


def told(report: Report, subject: str) -> str:
    """The findings on one subject, as they are printed; the report must stop the pipeline."""
    assert report.exit_code == 2
    lines = [
        line for line in report.lines() if line.strip().startswith(("MISSING", "WRONG")) and f" {subject}: " in line
    ]
    assert lines, report.lines()
    assert subject in report.lines()[-1]
    return "\n".join(lines)


@pytest.mark.parametrize("kind", [BRANCH, MERGE_REQUEST])
def test_a_pipeline_that_lacks_nothing_goes_on(job: Job, server, variables, kind):
    report = examine(job(kind | variables))
    assert [one for one in report.findings if one.blocks] == []
    assert report.exit_code == 0
    assert server.state.writes == [], "the doctor changes nothing"
    assert server.state.unmounted == []


DEAD, NOWHERE = "nothing listens there", "http://127.0.0.1:{dead}"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_ENDPOINT_URL": NOWHERE}
LACKS = [
    (
        "missing token",
        MONITOR,
        {"WATTLINE_GITLAB_TOKEN": ""},
        "WATTLINE_GITLAB_TOKEN",
        "Settings > Access tokens",
    ),
    ("token of nobody", MONITOR, {"WATTLINE_GITLAB_TOKEN": WRONG}, "WATTLINE_GITLAB_TOKEN", "is not accepted"),
    (
        "wrong scope",
        MONITOR,
        {"WATTLINE_GITLAB_TOKEN": READER},
        "WATTLINE_GITLAB_TOKEN",
        "read_api and needs `api`",
    ),
    ("guest", MONITOR, {"WATTLINE_GITLAB_TOKEN": GUEST}, "role of WATTLINE_GITLAB_TOKEN", "must be Developer"),
    ("no MLflow", BRANCH, {"MLFLOW_TRACKING_URI": ""}, "MLFLOW_TRACKING_URI", "Settings > CI/CD > Variables"),
    ("dead MLflow", BRANCH, {"MLFLOW_TRACKING_URI": NOWHERE}, "MLFLOW_TRACKING_URI", DEAD),
    ("dead MLflow", MERGE_REQUEST, {"MLFLOW_TRACKING_URI": NOWHERE}, "MLFLOW_TRACKING_URI", DEAD),
    (
        "GitLab for MLflow",
        BRANCH,
        {"MLFLOW_TRACKING_URI": "{gitlab}"},
        "MLFLOW_TRACKING_URI",
        "does not know who we are",
    ),
    (
        "no audit log",
        BRANCH,
        {"MLFLOW_TRACKING_URI": NOWHERE, "WATTLINE_LEDGER_URI": ""},
        "WATTLINE_LEDGER_URI",
        "postgresql://USER@HOST/DATABASE",
    ),
    (
        "dead audit log",
        BRANCH,
        {"WATTLINE_LEDGER_URI": "postgresql://u@127.0.0.1:{dead}/x"},
        "WATTLINE_LEDGER_URI",
        DEAD,
    ),
    ("dead registry", BRANCH, {"CI_REGISTRY_IMAGE": "127.0.0.1:{dead}/x"}, "container registry", DEAD),
    (
        "password of registry",
        BRANCH,
        {"CI_REGISTRY_PASSWORD": WRONG},
        "container registry",
        "does not accept user and pass",
    ),
    ("no registry", BRANCH, {"CI_REGISTRY_IMAGE": ""}, "container registry", "Container registry"),
    (
        "no remote",
        MERGE_REQUEST,
        {"WATTLINE_DVC_REMOTE": "/nowhere/at/all"},
        "WATTLINE_DVC_REMOTE",
        "mount it on the runner",
    ),
    ("dead remote", MERGE_REQUEST, {"WATTLINE_DVC_REMOTE": "s3://x"} | CREDENTIALS, "WATTLINE_DVC_REMOTE", DEAD),
    ("no HPC runner", MERGE_REQUEST, {"WATTLINE_HPC_TAG": "gpu"}, "WATTLINE_HPC_TAG", "Settings > CI/CD > Runners"),
    ("no deploy runner", BRANCH, {"WATTLINE_DEPLOY_TAG": "gone"}, "WATTLINE_DEPLOY_TAG", "no runner with the tag gone"),
    ("no key", BRANCH, {"WATTLINE_SIGNING_KEY": ""}, "WATTLINE_SIGNING_KEY", "protected and of type File"),
    (
        "no Vault",
        BRANCH,
        {"WATTLINE_VAULT_ROLE": "x", "WATTLINE_VAULT_PATH": "x", "VAULT_ADDR": NOWHERE},
        "VAULT_ADDR",
        DEAD,
    ),
]


@pytest.mark.parametrize(
    ("kind", "changed", "subject", "said"), [one[1:] for one in LACKS], ids=[one[0] for one in LACKS]
)
def test_what_is_missing_wrong_or_out_of_reach_stops_the_pipeline(job, variables, server, kind, changed, subject, said):
    filled = {name: value.format(dead=free_port(), gitlab=server.root) for name, value in changed.items()}
    assert said in told(examine(job(kind | variables | filled)), subject)


class TestWhatAProjectIsSetTo:
    def test_what_lock_alone_needs_is_said_and_training_goes_on(self, job, variables, server):
        server.state.project["ci_push_repository_for_job_token_allowed"] = False
        report = examine(job(MERGE_REQUEST | variables | {"CI_JOB_TOKEN": WRONG, "CI_SERVER_VERSION": "18.3.1"}))
        wrong = {one.subject: f"{one.said}; {one.remedy}" for one in report.findings if one.state == "wrong"}
        assert "tick Settings > CI/CD > Job token permissions" in wrong["push with CI_JOB_TOKEN"]
        assert "is not accepted (401)" in wrong["CI_JOB_TOKEN"]
        assert "from 18.4 on" in wrong["GitLab's version"]
        assert report.exit_code == 0

    def test_no_protected_branch(self, job, variables, server):
        server.state.protected_branches = []
        report = examine(job(BRANCH | variables))
        assert "Protected branches" in told(report, "default branch")
        assert "anybody who may push may promote" in told(report, "environment production")

    def test_a_runner_that_takes_no_merge_request(self, job, variables, server):
        server.state.runners = [runner(1, "hpc", protected=True), runner(2, "serving", protected=True)]
        assert "is protected, and this ref is not" in told(examine(job(MERGE_REQUEST | variables)), "WATTLINE_HPC_TAG")
        assert examine(job(BRANCH | variables)).exit_code == 0

    def test_a_runner_that_is_off(self, job, variables, server):
        server.state.runners = [runner(1, "hpc", status="offline")]
        assert "no runner with the tag hpc is online" in told(
            examine(job(MERGE_REQUEST | variables)), "WATTLINE_HPC_TAG"
        )

    def test_a_token_that_ends_soon_is_a_warning(self, job, variables, server):
        server.state.tokens[MAINTAINER].expires_at = "2000-01-01"
        assert "has expired on 2000-01-01" in told(examine(job(MONITOR | variables)), "WATTLINE_GITLAB_TOKEN")

    def test_a_secret_that_everybody_may_read_is_a_warning(self, job, variables, server):
        server.state.variables = [{"key": "WATTLINE_SIGNING_KEY", "value": "x" * 20}]
        report = examine(job(BRANCH | variables))
        assert any("must be of type File, protected; edit it under Settings" in line for line in report.lines())
        assert report.exit_code == 0

    def test_a_developer_hears_what_cannot_be_known(self, job, variables):
        report = examine(job(MERGE_REQUEST | variables, WATTLINE_GITLAB_TOKEN=API))
        unknown = {one.subject for one in report.findings if one.state == "unknown"}
        assert unknown >= {"how secrets are set", "environment production", "WATTLINE_HPC_TAG", "WATTLINE_DEPLOY_TAG"}
        assert report.exit_code == 0

    def test_a_gitlab_that_is_ill_is_not_a_wrong_token(self, job, variables, server):
        server.state.faults = [Fault("", 502, times=1000)]
        report = examine(job(MERGE_REQUEST | variables))
        assert not [one for one in report.findings if "not accepted" in one.said]


def test_a_private_authority_is_named_or_nothing_is_asked(job, variables, tmp_path):
    context, authority = tls(tmp_path / "tls")
    with standin.running(tls=context) as server:
        place = variables | {"CI_API_V4_URL": server.root}
        assert "set CI_SERVER_TLS_CA_FILE" in told(examine(job(MONITOR | place)), "CI_API_V4_URL")
        assert server.state.calls == []
        server.state.runners = [runner(1, "hpc"), runner(2, "serving")]
        assert examine(job(MERGE_REQUEST | place | {"CI_SERVER_TLS_CA_FILE": str(authority)})).exit_code == 0


def test_a_fork_needs_nothing_that_it_is_not_given(job, variables):
    public = (
        "CI_API_V4_URL",
        "CI_PROJECT_ID",
        "CI_PROJECT_DIR",
        "CI_JOB_TOKEN",
        "CI_SERVER_VERSION",
        "WATTLINE_HPC_TAG",
    )
    report = examine(job(FORK | {name: variables[name] for name in public}))
    assert report.exit_code == 0
    assert "none is given" in {one.said for one in report.findings}
    assert told(examine(job(FORK | variables)), "secrets in a fork's merge request")


class TestTheCommand:
    @pytest.fixture
    def run(self, monkeypatch, capsys) -> Callable[..., tuple[int, str, str]]:
        def command(*arguments: str) -> tuple[int, str, str]:
            monkeypatch.setattr(sys, "argv", ["wattline", "ci", "doctor", *arguments])
            with pytest.raises(SystemExit) as ended:
                cli.main()
            said = capsys.readouterr()
            return int(ended.value.code or 0), said.out, said.err

        return command

    def test_ends_although_five_servers_never_answer(self, job, variables):
        with ExitStack() as stack:
            listeners = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(4)]
            gitlab, mlflow, vault, images = [f"127.0.0.1:{one.getsockname()[1]}" for one in listeners]
            job(
                BRANCH | variables,
                CI_API_V4_URL=f"http://{gitlab}/api/v4",
                MLFLOW_TRACKING_URI=f"http://{mlflow}",
                VAULT_ADDR=f"http://{vault}",
                WATTLINE_VAULT_ROLE="x",
                WATTLINE_VAULT_PATH="x",
                CI_REGISTRY_IMAGE=f"{images}/x",
                WATTLINE_LEDGER_URI=f"postgresql://u@{images}/x",
            )
            # A process of its own: it must end although threads of it still wait.
            command = [WATTLINE, "ci", "doctor"]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        assert (done.returncode, done.stderr) == (2, "")
        silent = [line for line in done.stdout.splitlines() if "does not answer in time" in line]
        assert len(silent) == 5, done.stdout

    def test_prints_json_for_machines(self, job, variables, run):
        job(MERGE_REQUEST | variables)
        code, out, _ = run("--json")
        assert (code, json.loads(out)["pipeline"]) == (0, "merge-request")
        assert Report.from_json(out).exit_code == 0

    def test_on_a_laptop_says_what_cannot_be_known_there(self, job, variables, run):
        job()
        code, out, _ = run()
        assert code == 0
        assert "  ?        CI_JOB_TOKEN: there is none outside of a GitLab job" in out
        assert run("--pipeline", "branch")[0] == 2

    def test_of_a_kind_that_nobody_knows_names_those_that_are(self, job, variables, run):
        job()
        code, out, said = run("--pipeline", "wishful")
        assert (code, out) == (2, "")
        assert said.startswith("wattline: --pipeline is 'wishful', which no pipeline is; known: merge-request")

    def test_without_params_says_so_among_the_rest(self, job, variables):
        Path("params.yaml").unlink()
        report = examine(job(MERGE_REQUEST | variables))
        assert "does not exist" in told(report, "params.yaml")
