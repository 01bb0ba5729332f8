"""What a pipeline that lacks nothing is like, and one case for everything that a check can say."""

from datetime import UTC, datetime, timedelta
from typing import Any

from gitlab.jobs import FORK, MERGE_REQUEST
from gitlab.vault import id_token
from wattline.gitlab.asking import TELLS, Answer
from wattline.gitlab.doctor.checks import containers, servers
from wattline.gitlab.doctor.checks import data as remotes
from wattline.gitlab.doctor.facts import Keys, Outcome, Place

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
SECRET = "-".join(("planted", "in", "a", "test"))
VARIABLES = {
    "CI_API_V4_URL": "https://gitlab.example.org/api/v4",
    "CI_PROJECT_ID": "42",
    "CI_JOB_TOKEN": SECRET,
    "CI_SERVER_VERSION": "18.6.1-ee",
    "CI_PAGES_URL": "https://energy.pages.example.org/models",
    "CI_REGISTRY_IMAGE": "registry.example.org/energy/models",
    "WATTLINE_GITLAB_TOKEN": SECRET,
    "WATTLINE_HPC_TAG": "hpc",
    "WATTLINE_DATA_TAG": "data",
    "WATTLINE_VALIDATE_TAG": "meter",
    "WATTLINE_BUILD_TAG": "build",
    "WATTLINE_DEPLOY_TAG": "serving",
    "WATTLINE_DVC_REMOTE": "s3://data/wattline",
    "WATTLINE_LEDGER_URI": "postgresql://ledger:" + SECRET + "@db.example.org/audit",
    "WATTLINE_SIGNING_KEY": "/builds/energy/models.tmp/WATTLINE_SIGNING_KEY",
    "MLFLOW_TRACKING_URI": "https://user:" + SECRET + "@mlflow.example.org/tracking",
    "VAULT_ADDR": "https://vault.example.org",
    "WATTLINE_VAULT_ROLE": "wattline",
    "WATTLINE_VAULT_PATH": "wattline/ci@kv",
    "WATTLINE_SECRETS": "/builds/energy/models.tmp/wattline-secrets-1",
}
TOKEN = {"scopes": ["api"], "expires_at": "2027-06-01", "active": True, "revoked": False}
PROJECT = {
    "ci_push_repository_for_job_token_allowed": True,
    "ci_allow_fork_pipelines_to_run_in_parent_project": False,
    "ci_pipeline_variables_minimum_override_role": "developer",
    "pages_access_level": "private",
    "permissions": {"project_access": {"access_level": 40}, "group_access": None},
}
RUNNERS = (
    "WATTLINE_HPC_TAG",
    "WATTLINE_DATA_TAG",
    "WATTLINE_VALIDATE_TAG",
    "WATTLINE_BUILD_TAG",
    "WATTLINE_DEPLOY_TAG",
)
ONLINE = Answer(200, [{"id": 1, "paused": False, "access_level": "not_protected"}])
FACTS: dict[str, Any] = {
    "token": Answer(200, TOKEN, {"date": "Fri, 27 Nov 2026 12:00:01 GMT"}),
    "project": Answer(200, PROJECT),
    "branch": Answer(200, {"name": "main", "protected": True}),
    "variables": Answer(200, []),
    "environments": Answer(200, [{"name": "production"}]),
    "version": Answer(200, {"version": "18.6.1-ee"}),
    "job": Answer(200, {"id": 1}),
    "runners": dict.fromkeys(RUNNERS, ONLINE),
    "health": Answer(200, "OK"),
    "tracking": Answer(200, {"experiments": []}),
    "ledger": Outcome(),
    "remote": Outcome(),
    "registry": Outcome(),
    "sealed": Answer(200, {"sealed": False}),
    "keys": Keys(id="a" * 64, trusted=("b" * 64, "a" * 64)),
    "place": Place(shallow=False, free_bytes=10**10, outputs_bytes=10**8, builder="buildah"),
}
Case = tuple[str, dict[str, Any], str, str]
"""Subject, what is changed in a pipeline of the default branch or in the `kind`, state, what is said."""


def of_role(level: int, way: str) -> Answer:
    both = {"project_access": None, "group_access": None}
    return Answer(200, {"permissions": both | {way: {"access_level": level}}})


def variables(key: str, **changed: Any) -> Answer:
    return Answer(200, [{"key": key, "masked": True, "protected": True, "variable_type": "file"} | changed])


CASES: list[tuple[str, dict[str, Any], str, str]] = [
    ("CI_API_V4_URL", {"CI_API_V4_URL": ""}, "unknown", "outside of a GitLab job"),
    ("CI_API_V4_URL", {"CI_API_V4_URL": "http://gitlab.example.org"}, "wrong", "is not HTTPS, so no token is sent"),
    ("CI_API_V4_URL", {"token": Answer(trouble="refused"), "job": None}, "wrong", "nothing listens there"),
    ("CI_API_V4_URL", {"token": Answer(trouble="certificate"), "job": None}, "wrong", "set CI_SERVER_TLS_CA_FILE"),
    ("WATTLINE_GITLAB_TOKEN", {"WATTLINE_GITLAB_TOKEN": ""}, "missing", "Settings > Access tokens"),
    ("WATTLINE_GITLAB_TOKEN", {"token": Answer(401)}, "wrong", "revoked, expired, or of another GitLab"),
    ("WATTLINE_GITLAB_TOKEN", {"token": Answer(403)}, "wrong", "a scope that may not even ask"),
    (
        "WATTLINE_GITLAB_TOKEN",
        {"token": Answer(200, TOKEN | {"scopes": ["read_api"]})},
        "wrong",
        "read_api and needs `api`",
    ),
    (
        "WATTLINE_GITLAB_TOKEN",
        {"token": Answer(200, TOKEN | {"expires_at": "2026-12-11"})},
        "wrong",
        "expires on 2026-12-11",
    ),
    ("WATTLINE_GITLAB_TOKEN", {"token": Answer(200, TOKEN | {"expires_at": "2026-12-12"})}, "ok", "until 2026-12-12"),
    ("WATTLINE_GITLAB_TOKEN", {"token": Answer(200, TOKEN | {"expires_at": "2026-11-27"})}, "wrong", "has expired"),
    ("WATTLINE_GITLAB_TOKEN", {"token": Answer(200, TOKEN | {"active": False})}, "wrong", "is revoked"),
    ("WATTLINE_GITLAB_TOKEN", {"token": Answer(trouble="silent")}, "unknown", "was not reached"),
    ("WATTLINE_GITLAB_TOKEN", {"token": Answer(500)}, "unknown", "answered 500"),
    ("role of WATTLINE_GITLAB_TOKEN", {"project": Answer(404)}, "wrong", "may not see this project"),
    (
        "role of WATTLINE_GITLAB_TOKEN",
        {"project": of_role(20, "project_access")},
        "wrong",
        "is Reporter and must be Developer",
    ),
    ("role of WATTLINE_GITLAB_TOKEN", {"project": of_role(30, "group_access")}, "ok", "Developer; variables"),
    ("role of WATTLINE_GITLAB_TOKEN", {"project": Answer(200, {})}, "unknown", "without it"),
    ("CI_JOB_TOKEN", {"CI_JOB_TOKEN": ""}, "missing", "GitLab sets it"),
    ("CI_JOB_TOKEN", {"job": Answer(401)}, "wrong", "not accepted (401)"),
    (
        "push with CI_JOB_TOKEN",
        {"project": Answer(200, PROJECT | {"ci_push_repository_for_job_token_allowed": False})},
        "wrong",
        "Job token permissions",
    ),
    ("push with CI_JOB_TOKEN", {"project": Answer(200, {})}, "unknown", "does not show this setting"),
    ("secrets in a fork's merge request", {"kind": FORK}, "wrong", "stranger/models is given WATTLINE_GITLAB_TOKEN"),
    ("GitLab's version", {"CI_SERVER_VERSION": "18.3.9"}, "wrong", "from 18.4 on"),
    (
        "GitLab's version",
        {"CI_SERVER_VERSION": "", "version": Answer(200, {"version": "17.11.0"})},
        "wrong",
        "is 17.11.0",
    ),
    ("GitLab's version", {"CI_SERVER_VERSION": "", "version": None}, "unknown", "not asked"),
    ("default branch", {"branch": Answer(200, {"protected": False})}, "wrong", "Protected branches"),
    ("default branch", {"branch": Answer(404)}, "wrong", "is not there"),
    ("default branch", {"branch": Answer(403)}, "unknown", "cannot be seen"),
    ("environment production", {"environments": Answer(200, [])}, "wrong", "Protected environments"),
    ("environment production", {"environments": Answer(404)}, "ok", "(Premium); who may merge to main"),
    ("environment production", {"environments": Answer(403)}, "unknown", "only a Maintainer's token"),
    (
        "environment production",
        {"environments": Answer(404), "branch": Answer(200, {"protected": False})},
        "wrong",
        "anybody who may push may promote",
    ),
    ("Pages", {"project": Answer(200, PROJECT | {"pages_access_level": "disabled"})}, "wrong", "are off"),
    (
        "variables of pipelines",
        {"project": Answer(200, PROJECT | {"ci_pipeline_variables_minimum_override_role": "no_one_allowed"})},
        "wrong",
        "no one allowed",
    ),
    ("Pages", {"CI_PAGES_URL": ""}, "wrong", "this GitLab has no Pages"),
    (
        "pipelines of forks in this project",
        {"project": Answer(200, PROJECT | {"ci_allow_fork_pipelines_to_run_in_parent_project": True})},
        "wrong",
        "a member can run a fork's code",
    ),
    ("how secrets are set", {"variables": Answer(403)}, "unknown", "a Maintainer's may"),
    ("how secrets are set", {"variables": Answer(trouble="silent")}, "unknown", "not asked"),
    *(
        (name, {"variables": variables(name, masked=False)}, "wrong", "masked")
        for name in (
            "WATTLINE_GITLAB_TOKEN",
            "MLFLOW_TRACKING_PASSWORD",
            "MLFLOW_TRACKING_TOKEN",
            "WATTLINE_LEDGER_URI",
            "WATTLINE_SIGNING_PASSPHRASE",
            "AWS_SECRET_ACCESS_KEY",
            "WATTLINE_REGISTRY_PASSWORD",
            "WATTLINE_API_KEY",
            "AWS_SESSION_TOKEN",
            "WATTLINE_REDFISH_PASSWORD",
            "WATTLINE_PROMETHEUS_TOKEN",
            "WATTLINE_PROMETHEUS_PASSWORD",
        )
    ),
    *(
        (name, {"variables": variables(name, variable_type="env_var")}, "wrong", "of type File")
        for name in ("WATTLINE_SIGNING_KEY", "WATTLINE_MODEL_SIGNING_KEY")
    ),
    *(
        (name, {"variables": variables(name, protected=False)}, "wrong", "must be protected")
        for name in ("WATTLINE_LEDGER_URI", "WATTLINE_SIGNING_KEY")
    ),
    (
        "WATTLINE_GITLAB_TOKEN",
        {"variables": variables("WATTLINE_GITLAB_TOKEN")},
        "wrong",
        "not protected (merge requests need it)",
    ),
    *((tag, {"runners": {tag: Answer(200, [])}}, "wrong", "no runner with the tag") for tag in RUNNERS),
    *(
        (tag, {"runners": {tag: Answer(200, [{"paused": True}])}}, "wrong", "no runner with the tag")
        for tag in RUNNERS[:1]
    ),
    *(
        (
            tag,
            {"runners": {tag: Answer(200, [{"access_level": "ref_protected"}])}, "kind": MERGE_REQUEST},
            "wrong",
            "is protected, and this ref is not",
        )
        for tag in RUNNERS[:1]
    ),
    ("WATTLINE_HPC_TAG", {"runners": {}}, "unknown", "was not asked"),
    ("WATTLINE_HPC_TAG", {"runners": {"WATTLINE_HPC_TAG": Answer(403)}}, "unknown", "may not see runners"),
    (
        "WATTLINE_HPC_TAG",
        {"runners": {"WATTLINE_HPC_TAG": Answer(200, [{"access_level": "ref_protected"}])}},
        "ok",
        "1 runner",
    ),
    ("MLFLOW_TRACKING_URI", {"MLFLOW_TRACKING_URI": ""}, "missing", "Settings > CI/CD > Variables"),
    *(("MLFLOW_TRACKING_URI", {"tracking": Answer(trouble=word)}, "wrong", TELLS[word]) for word in TELLS if word),
    ("MLFLOW_TRACKING_URI", {"tracking": Answer(401)}, "wrong", "does not know who we are (401)"),
    ("MLFLOW_TRACKING_URI", {"tracking": Answer(403)}, "wrong", "forbids us to read (403)"),
    (
        "MLFLOW_TRACKING_URI",
        {"tracking": Answer(403, "Invalid Host header - possible DNS rebinding attack detected")},
        "wrong",
        "--allowed-hosts",
    ),
    ("MLFLOW_TRACKING_URI", {"tracking": Answer(502)}, "wrong", "answers 502"),
    ("MLFLOW_TRACKING_URI", {"tracking": Answer(200, "<html>")}, "wrong", "is no MLflow server"),
    ("MLFLOW_TRACKING_URI", {"health": Answer(404)}, "wrong", "is no MLflow server"),
    (
        "MLFLOW_TRACKING_URI",
        {"MLFLOW_TRACKING_URI": "mlruns", "tracking": None},
        "wrong",
        "neither an address nor a database",
    ),
    ("MLFLOW_TRACKING_URI", {"MLFLOW_TRACKING_URI": "sqlite:///store.db"}, "wrong", "goes with the job"),
    ("MLFLOW_TRACKING_URI", {"MLFLOW_TRACKING_URI": "sqlite:////shared/store.db"}, "ok", "one machine"),
    (
        "MLFLOW_TRACKING_URI",
        {"MLFLOW_TRACKING_URI": "https://gitlab.example.org/api/v4/projects/42/ml/mlflow"},
        "wrong",
        "has no aliases",
    ),
    ("MLFLOW_TRACKING_URI", {"tracking": Answer(401), "WATTLINE_SECRETS": ""}, "unknown", "Vault may hold"),
    ("WATTLINE_LEDGER_URI", {"WATTLINE_LEDGER_URI": ""}, "missing", "postgresql://USER@HOST/DATABASE"),
    *(
        ("WATTLINE_LEDGER_URI", {"ledger": Outcome("connect", code=code)}, "wrong", said)
        for code, (said, _) in servers.FAILURES.items()
    ),
    ("WATTLINE_LEDGER_URI", {"ledger": Outcome("connect", code="other")}, "wrong", "cannot be opened"),
    ("WATTLINE_DVC_REMOTE", {"WATTLINE_DVC_REMOTE": ""}, "missing", "nobody can pull"),
    *(
        ("WATTLINE_DVC_REMOTE", {"remote": Outcome("write", code=code)}, "wrong", f"written: {said}")
        for code, (said, _) in remotes.CODES.items()
    ),
    ("WATTLINE_DVC_REMOTE", {"remote": Outcome("read", code="SlowDown")}, "wrong", "read: the server says SlowDown"),
    ("WATTLINE_DVC_REMOTE", {"remote": Outcome("connect", trouble="refused")}, "wrong", "AWS_ENDPOINT_URL"),
    ("WATTLINE_DVC_REMOTE", {"remote": Outcome("connect", trouble="certificate")}, "wrong", "AWS_CA_BUNDLE"),
    (
        "WATTLINE_DVC_REMOTE",
        {"WATTLINE_DVC_REMOTE": "ssh://host/x", "remote": None},
        "unknown",
        "of kind ssh is tried by DVC only",
    ),
    ("container registry", {"CI_REGISTRY_IMAGE": ""}, "missing", "Container registry"),
    *(
        ("container registry", {"registry": Outcome("connect", code=code)}, "wrong", said)
        for code, (said, _) in containers.CODES.items()
    ),
    ("container registry", {"registry": Outcome("connect", trouble="name")}, "wrong", "cannot be resolved"),
    ("builder of images", {"place": Place(), "CI_RUNNER_TAGS": '["build"]'}, "missing", "WATTLINE_BUILD_TAG"),
    (
        "builder of images",
        {"place": Place(), "WATTLINE_BUILD_TAG": ""},
        "missing",
        "neither buildah nor podman nor docker",
    ),
    ("builder of images", {"place": Place()}, "unknown", "which is another one"),
    ("builder of images", {"place": Place(installs=True), "WATTLINE_BUILD_TAG": ""}, "ok", "ci/setup.sh installs one"),
    ("WATTLINE_SIGNING_KEY", {"WATTLINE_SIGNING_KEY": "", "keys": Keys()}, "missing", "protected and of type File"),
    (
        "WATTLINE_SIGNING_KEY",
        {"WATTLINE_SIGNING_KEY": "", "keys": Keys(), "WATTLINE_SECRETS": ""},
        "unknown",
        "Vault may hold it",
    ),
    (
        "WATTLINE_SIGNING_KEY",
        {"keys": Keys(trouble="it is encrypted; set WATTLINE_SIGNING_PASSPHRASE")},
        "wrong",
        "set WATTLINE_SIGNING_PASSPHRASE",
    ),
    ("WATTLINE_SIGNING_KEY", {"keys": Keys(trouble="run `chmod 600` on it")}, "wrong", "the job must do that first"),
    (
        "serving.model.trusted_keys",
        {"keys": Keys(id="a", trusted=("b",))},
        "wrong",
        "none of the 1 belongs to WATTLINE_SIGNING_KEY",
    ),
    (
        "serving.model.trusted_keys",
        {"keys": Keys(id="a", trusted_trouble="the public key x cannot be read")},
        "wrong",
        "cannot be read",
    ),
    ("WATTLINE_VAULT_PATH", {"WATTLINE_VAULT_PATH": ""}, "missing", "PATH@MOUNT"),
    ("VAULT_ID_TOKEN", {"VAULT_ID_TOKEN": ""}, "unknown", "`id_tokens`"),
    ("VAULT_ID_TOKEN", {"VAULT_ID_TOKEN": id_token(exp=1)}, "wrong", "has expired at 1970"),
    ("VAULT_ID_TOKEN", {"VAULT_ID_TOKEN": "rubbish"}, "wrong", "is no JWT"),
    ("VAULT_ADDR", {"VAULT_ADDR": ""}, "missing", "unset WATTLINE_VAULT_ROLE"),
    ("VAULT_ADDR", {"VAULT_ADDR": "http://vault.example.org"}, "wrong", "is not HTTPS"),
    ("VAULT_ADDR", {"sealed": Answer(503)}, "wrong", "is sealed"),
    ("VAULT_ADDR", {"sealed": Answer(404)}, "wrong", "is no Vault (404)"),
    ("VAULT_ADDR", {"sealed": Answer(trouble="certificate")}, "wrong", "VAULT_CACERT"),
    ("params.yaml", {"params_trouble": "params.yaml: seed is missing"}, "wrong", "seed is missing"),
    ("GIT_DEPTH", {"place": Place(shallow=True)}, "wrong", "Git shallow clone to 0"),
    ("GIT_DEPTH", {"place": Place(shallow=None)}, "unknown", "no clone"),
    (
        "room for outputs",
        {"place": Place(free_bytes=10**8, outputs_bytes=2 * 10**8)},
        "wrong",
        "0.1 GB free at .dvc/cache, outputs of one run take 0.2 GB",
    ),
    ("room for outputs", {"place": Place(free_bytes=10**9)}, "unknown", "without dvc.lock"),
    ("clock", {"now": NOW + timedelta(seconds=70)}, "wrong", "is 69 s off GitLab's"),
    ("clock", {"token": Answer(200, TOKEN, {"date": "yesterday"}), "job": None}, "unknown", "cannot be read"),
    ("clock", {"token": None, "job": None}, "unknown", "has not said"),
]
