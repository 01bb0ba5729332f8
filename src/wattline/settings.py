"""The environment: places, addresses and CI variables. Nothing else reads it."""

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from urllib.parse import quote

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from wattline.errors import InputError


class Settings(BaseSettings):
    """Every environment variable that Wattline knows. One that is set to nothing counts as not set.

    data_mirror: folder with copies of public datasets, laid out by dataset name
    mlflow_tracking_uri: where runs and versions go; a local SQLite file by default
    mlflow_tracking_username, mlflow_tracking_password, mlflow_tracking_token: how the server there knows who we are
    ledger: SQL database of the audit log; by default that of MLflow's store where it is PostgreSQL, and the file
        ledger.db beside it where it is SQLite
    mlflow_pickle: whether MLflow may unpickle models, which nobody here wants
    state: Wattline's own folder for what is neither source nor output (checkpoints, keys, local MLflow store)
    signing_key: a private Ed25519 key, as PEM text or as the path of a PEM file
    signing_passphrase: of the private keys, where they are encrypted
    model_signing_key: a private key on P-256 for model-signing, as PEM text or as the path of a PEM file
    ci_*, gitlab_user_login: what a GitLab job knows of itself, under GitLab's own names; the login is that of who
        started a manual job. https://docs.gitlab.com/ci/variables/predefined_variables tells them all
    metrics_folder: where workers of one server keep their counters; the supervisor sets it
    offline: whether a training is kept in the state folder, to be sent later, and no store is asked
    sweep_storage: SQL database of trials, where `sweep.storage` is sql
    dvc_remote, dvc_cache: where the jobs of a pipeline keep data and runs for each other: a folder or s3://..., and
        a folder that is DVC's cache on this runner
    dvc_stage: the stage that DVC runs; DVC sets it
    hpc_tag, hpc_stages: tag of the runner at the HPC centre, and the stages of DVC that it runs
    git_name, git_email: who commits dvc.lock
    ci_api_v4_url, ci_project_id: where GitLab's API is and which project of it holds the mirror
    ci_server_host: the name of its machine
    ci_server_tls_ca_file: certificates that vouch for that GitLab, besides those of the system
    gitlab_token: an access token of that project, of scope `api` and role Developer; a job token is not enough
    image_repository: where images go, without a tag; by default CI_REGISTRY_IMAGE/server
    registry_user, registry_password: of that repository; by default CI_REGISTRY_USER and CI_REGISTRY_PASSWORD, which
        are sent to CI_REGISTRY alone
    registry_ca_file: certificates that vouch for that registry, besides those of the system
    builder: docker, podman or buildah, or the path of one, that makes images; image_base: what they are based on,
        instead of what docker/build.sh pins
    api_key: of the deployed servers, with the roles predict and audit, for their smoke and load tests
    pipeline_kind, schedule: what the pipeline's rules said it is, and what a schedule does (monitor or nightly)
    runner_tag, hpc_tag, data_tag, validate_tag, build_tag, deploy_tag: which runners take which jobs; see ci/base.yml
    dvc_remote, dvc_cache: where DVC's outputs go (a folder or s3://...), and a cache folder that jobs share
    mlflow_ca_file, requests_ca_file, curl_ca_file: certificates that MLflow's client trusts, under its own names
    vault_address, vault_role, vault_path: of a Vault or OpenBao that keeps secrets; see docs/gitlab.md
    vault_auth_path, vault_namespace, vault_ca_file: where it takes a JWT, its namespace, who vouches for it
    vault_id_token: the JWT that GitLab made for this job
    secrets: folder of this job with what `wattline ci login` fetched; it sets this
    redfish_user, redfish_password: of an account of the board management controller that may read power
    prometheus_token: how the Prometheus of `energy.prometheus`, and of the source of that name, knows who we are; or
        instead prometheus_user, prometheus_password
    examon_user, examon_password: of ExaMon's database, or of the Grafana before it
    mqtt_user, mqtt_password: of the broker that samples come from and scores go to
    sources_ca_file: certificates that vouch for ExaMon, Prometheus and the broker, besides those of the system
    energy_ca_file: certificates that vouch for both, besides those of the system
    served: folder in which the server runs, whose log of answers and samples `wattline monitor` reads
    metrics_token: how the server of `monitoring.energy.metrics` knows who we are: a key or token with the role audit
    site: the profile in deploy/sites/ that says where stages run
    commit: in a job, the commit that was checked out when it was submitted; its image has no git
    rank, world_size, local_rank, group_rank, group_world_size, master_address, master_port, torchelastic_*: what
        torchrun tells a process of its place: among all processes, on its node and among nodes, where they meet, and
        which launch it belongs to
    slurm_*: what srun tells a process of the same, counted over all nodes of the step; a batch script is alone and
        has no step
    """

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True)

    data_mirror: Path | None = Field(default=None, validation_alias="WATTLINE_DATA_MIRROR")
    mlflow_tracking_uri: str | None = Field(default=None, validation_alias="MLFLOW_TRACKING_URI")
    mlflow_tracking_username: str = Field(default="", validation_alias="MLFLOW_TRACKING_USERNAME")
    mlflow_tracking_password: SecretStr = Field(default=SecretStr(""), validation_alias="MLFLOW_TRACKING_PASSWORD")
    mlflow_tracking_token: SecretStr = Field(default=SecretStr(""), validation_alias="MLFLOW_TRACKING_TOKEN")
    ledger: SecretStr | None = Field(default=None, validation_alias="WATTLINE_LEDGER_URI")
    mlflow_pickle: bool = Field(default=False, validation_alias="MLFLOW_ALLOW_PICKLE_DESERIALIZATION")
    state: Path = Field(default=Path(".wattline"), validation_alias="WATTLINE_STATE")
    signing_key: SecretStr | None = Field(default=None, validation_alias="WATTLINE_SIGNING_KEY")
    signing_passphrase: SecretStr | None = Field(default=None, validation_alias="WATTLINE_SIGNING_PASSPHRASE")
    model_signing_key: SecretStr | None = Field(default=None, validation_alias="WATTLINE_MODEL_SIGNING_KEY")
    metrics_folder: Path | None = Field(default=None, validation_alias="PROMETHEUS_MULTIPROC_DIR")
    offline: bool = Field(default=False, validation_alias="WATTLINE_OFFLINE")
    sweep_storage: SecretStr | None = Field(default=None, validation_alias="WATTLINE_SWEEP_STORAGE")
    ci: bool = Field(default=False, validation_alias="CI")
    ci_commit_sha: str | None = Field(default=None, validation_alias="CI_COMMIT_SHA")
    ci_commit_short_sha: str | None = Field(default=None, validation_alias="CI_COMMIT_SHORT_SHA")
    ci_commit_branch: str | None = Field(default=None, validation_alias="CI_COMMIT_BRANCH")
    ci_commit_tag: str | None = Field(default=None, validation_alias="CI_COMMIT_TAG")
    ci_commit_ref_name: str | None = Field(default=None, validation_alias="CI_COMMIT_REF_NAME")
    ci_commit_ref_protected: bool = Field(default=False, validation_alias="CI_COMMIT_REF_PROTECTED")
    ci_default_branch: str = Field(default="main", validation_alias="CI_DEFAULT_BRANCH")
    ci_pipeline_id: str | None = Field(default=None, validation_alias="CI_PIPELINE_ID")
    ci_pipeline_source: str | None = Field(default=None, validation_alias="CI_PIPELINE_SOURCE")
    ci_pipeline_url: str | None = Field(default=None, validation_alias="CI_PIPELINE_URL")
    ci_project_path: str | None = Field(default=None, validation_alias="CI_PROJECT_PATH")
    ci_project_url: str | None = Field(default=None, validation_alias="CI_PROJECT_URL")
    ci_repository_url: SecretStr | None = Field(default=None, validation_alias="CI_REPOSITORY_URL")
    ci_merge_request_iid: str | None = Field(default=None, validation_alias="CI_MERGE_REQUEST_IID")
    ci_merge_request_project_path: str | None = Field(default=None, validation_alias="CI_MERGE_REQUEST_PROJECT_PATH")
    ci_merge_request_source_project_path: str | None = Field(
        default=None, validation_alias="CI_MERGE_REQUEST_SOURCE_PROJECT_PATH"
    )
    ci_merge_request_source_branch: str | None = Field(
        default=None, validation_alias="CI_MERGE_REQUEST_SOURCE_BRANCH_NAME"
    )
    ci_merge_request_target_branch: str | None = Field(
        default=None, validation_alias="CI_MERGE_REQUEST_TARGET_BRANCH_NAME"
    )
    ci_merge_request_source_branch_protected: bool | None = Field(
        default=None, validation_alias="CI_MERGE_REQUEST_SOURCE_BRANCH_PROTECTED"
    )
    ci_merge_request_source_branch_sha: str | None = Field(
        default=None, validation_alias="CI_MERGE_REQUEST_SOURCE_BRANCH_SHA"
    )
    ci_merge_request_diff_base_sha: str | None = Field(default=None, validation_alias="CI_MERGE_REQUEST_DIFF_BASE_SHA")
    ci_job_id: str | None = Field(default=None, validation_alias="CI_JOB_ID")
    ci_job_name: str | None = Field(default=None, validation_alias="CI_JOB_NAME")
    ci_job_token: SecretStr | None = Field(default=None, validation_alias="CI_JOB_TOKEN")
    ci_job_status: str | None = Field(default=None, validation_alias="CI_JOB_STATUS")
    ci_job_url: str | None = Field(default=None, validation_alias="CI_JOB_URL")
    ci_job_manual: bool = Field(default=False, validation_alias="CI_JOB_MANUAL")
    gitlab_user_login: str | None = Field(default=None, validation_alias="GITLAB_USER_LOGIN")
    ci_api_v4_url: str | None = Field(default=None, validation_alias="CI_API_V4_URL")
    ci_project_id: str | None = Field(default=None, validation_alias="CI_PROJECT_ID")
    ci_server_host: str | None = Field(default=None, validation_alias="CI_SERVER_HOST")
    ci_server_tls_ca_file: Path | None = Field(default=None, validation_alias="CI_SERVER_TLS_CA_FILE")
    gitlab_token: SecretStr | None = Field(default=None, validation_alias="WATTLINE_GITLAB_TOKEN")
    dvc_remote: str | None = Field(default=None, validation_alias="WATTLINE_DVC_REMOTE")
    dvc_cache: Path | None = Field(default=None, validation_alias="WATTLINE_DVC_CACHE")
    dvc_stage: str | None = Field(default=None, validation_alias="DVC_STAGE")
    hpc_tag: str | None = Field(default=None, validation_alias="WATTLINE_HPC_TAG")
    hpc_stages: str = Field(default="train", validation_alias="WATTLINE_HPC_STAGES")
    git_name: str = Field(default="Wattline CI", validation_alias="WATTLINE_GIT_NAME")
    git_email: str | None = Field(default=None, validation_alias="WATTLINE_GIT_EMAIL")
    image_repository: str | None = Field(default=None, validation_alias="WATTLINE_IMAGE_REPOSITORY")
    registry_user: str = Field(default="", validation_alias="WATTLINE_REGISTRY_USER")
    registry_password: SecretStr | None = Field(default=None, validation_alias="WATTLINE_REGISTRY_PASSWORD")
    registry_ca_file: Path | None = Field(default=None, validation_alias="WATTLINE_REGISTRY_CA_FILE")
    ci_registry: str | None = Field(default=None, validation_alias="CI_REGISTRY")
    ci_registry_image: str | None = Field(default=None, validation_alias="CI_REGISTRY_IMAGE")
    ci_registry_user: str = Field(default="", validation_alias="CI_REGISTRY_USER")
    ci_registry_password: SecretStr | None = Field(default=None, validation_alias="CI_REGISTRY_PASSWORD")
    builder: str = Field(default="docker", validation_alias="BUILDER")
    image_base: str | None = Field(default=None, validation_alias="BASE")
    api_key: SecretStr | None = Field(default=None, validation_alias="WATTLINE_API_KEY")
    ci_project_dir: Path | None = Field(default=None, validation_alias="CI_PROJECT_DIR")
    ci_server_version: str | None = Field(default=None, validation_alias="CI_SERVER_VERSION")
    ci_pages_url: str | None = Field(default=None, validation_alias="CI_PAGES_URL")
    ci_runner_tags: str = Field(default="", validation_alias="CI_RUNNER_TAGS")
    ci_debug_trace: bool = Field(default=False, validation_alias="CI_DEBUG_TRACE")
    pipeline_kind: str | None = Field(default=None, validation_alias="PIPELINE_KIND")
    schedule: str = Field(default="monitor", validation_alias="WATTLINE_SCHEDULE")
    runner_tag: str | None = Field(default=None, validation_alias="WATTLINE_RUNNER_TAG")
    data_tag: str | None = Field(default=None, validation_alias="WATTLINE_DATA_TAG")
    validate_tag: str | None = Field(default=None, validation_alias="WATTLINE_VALIDATE_TAG")
    build_tag: str | None = Field(default=None, validation_alias="WATTLINE_BUILD_TAG")
    deploy_tag: str | None = Field(default=None, validation_alias="WATTLINE_DEPLOY_TAG")
    mlflow_ca_file: Path | None = Field(default=None, validation_alias="MLFLOW_TRACKING_SERVER_CERT_PATH")
    requests_ca_file: Path | None = Field(default=None, validation_alias="REQUESTS_CA_BUNDLE")
    curl_ca_file: Path | None = Field(default=None, validation_alias="CURL_CA_BUNDLE")
    vault_address: str | None = Field(default=None, validation_alias="VAULT_ADDR")
    vault_role: str | None = Field(default=None, validation_alias="WATTLINE_VAULT_ROLE")
    vault_path: str | None = Field(default=None, validation_alias="WATTLINE_VAULT_PATH")
    vault_auth_path: str = Field(default="jwt", validation_alias="VAULT_AUTH_PATH")
    vault_namespace: str | None = Field(default=None, validation_alias="VAULT_NAMESPACE")
    vault_ca_file: Path | None = Field(default=None, validation_alias="VAULT_CACERT")
    vault_id_token: SecretStr | None = Field(default=None, validation_alias="VAULT_ID_TOKEN")
    secrets: Path | None = Field(default=None, validation_alias="WATTLINE_SECRETS")
    redfish_user: str = Field(default="", validation_alias="WATTLINE_REDFISH_USER")
    redfish_password: SecretStr | None = Field(default=None, validation_alias="WATTLINE_REDFISH_PASSWORD")
    prometheus_token: SecretStr | None = Field(default=None, validation_alias="WATTLINE_PROMETHEUS_TOKEN")
    prometheus_user: str = Field(default="", validation_alias="WATTLINE_PROMETHEUS_USER")
    prometheus_password: SecretStr | None = Field(default=None, validation_alias="WATTLINE_PROMETHEUS_PASSWORD")
    examon_user: str = Field(default="", validation_alias="WATTLINE_EXAMON_USER")
    examon_password: SecretStr | None = Field(default=None, validation_alias="WATTLINE_EXAMON_PASSWORD")
    mqtt_user: str = Field(default="", validation_alias="WATTLINE_MQTT_USER")
    mqtt_password: SecretStr | None = Field(default=None, validation_alias="WATTLINE_MQTT_PASSWORD")
    sources_ca_file: Path | None = Field(default=None, validation_alias="WATTLINE_SOURCES_CA_FILE")
    energy_ca_file: Path | None = Field(default=None, validation_alias="WATTLINE_ENERGY_CA_FILE")
    served: Path = Field(default=Path(), validation_alias="WATTLINE_SERVED")
    metrics_token: SecretStr | None = Field(default=None, validation_alias="WATTLINE_METRICS_TOKEN")
    site: str = Field(default="local", validation_alias="WATTLINE_SITE")
    commit: str | None = Field(default=None, validation_alias="WATTLINE_COMMIT")
    rank: int | None = Field(default=None, ge=0, validation_alias="RANK")
    local_rank: int | None = Field(default=None, ge=0, validation_alias="LOCAL_RANK")
    world_size: int = Field(default=1, ge=1, validation_alias="WORLD_SIZE")
    group_rank: int | None = Field(default=None, ge=0, validation_alias="GROUP_RANK")
    group_world_size: int = Field(default=1, ge=1, validation_alias="GROUP_WORLD_SIZE")
    master_address: str | None = Field(default=None, validation_alias="MASTER_ADDR")
    master_port: str | None = Field(default=None, validation_alias="MASTER_PORT")
    torchelastic_run_id: str | None = Field(default=None, validation_alias="TORCHELASTIC_RUN_ID")
    torchelastic_use_agent_store: bool = Field(default=False, validation_alias="TORCHELASTIC_USE_AGENT_STORE")
    torchelastic_restart_count: int = Field(default=0, ge=0, validation_alias="TORCHELASTIC_RESTART_COUNT")
    slurm_job_id: str | None = Field(default=None, validation_alias="SLURM_JOB_ID")
    slurm_array_job_id: str | None = Field(default=None, validation_alias="SLURM_ARRAY_JOB_ID")
    slurm_array_task_id: str | None = Field(default=None, validation_alias="SLURM_ARRAY_TASK_ID")
    slurm_step_id: str | None = Field(default=None, validation_alias="SLURM_STEP_ID")
    slurm_process: int = Field(default=0, ge=0, validation_alias="SLURM_PROCID")
    slurm_local_process: int = Field(default=0, ge=0, validation_alias="SLURM_LOCALID")
    slurm_processes: int = Field(default=1, ge=1, validation_alias="SLURM_STEP_NUM_TASKS")
    slurm_node: int = Field(default=0, ge=0, validation_alias="SLURM_NODEID")
    slurm_nodes: int = Field(default=1, ge=1, validation_alias="SLURM_STEP_NUM_NODES")
    slurm_restart_count: int = Field(default=0, ge=0, validation_alias="SLURM_RESTART_COUNT")

    @property
    def tracking_uri(self) -> str:
        return self.mlflow_tracking_uri or f"sqlite:///{self.state.resolve() / 'mlflow.db'}"

    @property
    def has_ledger(self) -> bool:
        """Whether it is known from here where the audit log is."""
        return self.ledger is not None or self.tracking_uri.startswith(("sqlite:", "postgresql"))

    @property
    def ledger_uri(self) -> str:
        """Where the audit log is. Raises InputError for a tracking server, whose database is not known from here."""
        if self.ledger is not None:
            return self.ledger.get_secret_value()
        if self.tracking_uri.startswith("sqlite:"):
            folder = Path(self.tracking_uri.removeprefix("sqlite:///")).parent
            return f"sqlite:///{folder / 'ledger.db'}"
        if self.tracking_uri.startswith("postgresql"):
            return self.tracking_uri
        raise InputError(
            "WATTLINE_LEDGER_URI is not set; the audit log lies in the SQL database of the tracking server: set it to "
            "postgresql://USER@HOST/DATABASE, with the password in it or in a file that PGPASSFILE names"
        )

    @property
    def failed_status(self) -> str | None:
        """How the job ended, for its `after_script`; None where it ended well or still runs."""
        return self.ci_job_status if self.ci_job_status in ("failed", "canceled") else None

    @property
    def from_fork(self) -> bool:
        """Whether this job belongs to a merge request that comes from another project, which is given no secret."""
        source = self.ci_merge_request_source_project_path
        return source is not None and source != self.ci_merge_request_project_path

    @property
    def given(self) -> dict[str, SecretStr]:
        """Every secret that is set, by the name of its variable."""
        found = {str(field.validation_alias): getattr(self, name) for name, field in type(self).model_fields.items()}
        return {
            name: value for name, value in found.items() if isinstance(value, SecretStr) and value.get_secret_value()
        }

    @property
    def gitlab_address(self) -> str | None:
        """Address of the project in GitLab's API; None unless both variables are set."""
        if not self.ci_api_v4_url or not self.ci_project_id:
            return None
        return f"{self.ci_api_v4_url.rstrip('/')}/projects/{quote(self.ci_project_id, safe='')}"


@cache
def settings() -> Settings:
    """Read the environment once in a process. Raises InputError naming a variable that cannot be read."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name, reason = first["loc"][0], first["msg"].removeprefix("Input ").replace("should", "must", 1)
        raise InputError(f"environment variable {name} {reason}, got {first['input']!r}; correct or unset it") from None


def cuda_devices() -> tuple[str | None, str | None]:
    """CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER, None where not set: to CUDA an empty list means no device."""
    return os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ.get("CUDA_DEVICE_ORDER")


def silence_telemetry() -> None:
    """Forbid libraries to call home. Effective for those that are imported afterwards."""
    os.environ.update({"DO_NOT_TRACK": "1", "GX_ANALYTICS_ENABLED": "false", "ORT_DISABLE_TELEMETRY": "1"})


def inherited(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program that is started: this one's, with `variables`."""
    return {**os.environ, **variables}


WISHES = ("SBATCH_", "SLURM_", "SQUEUE_", "SACCT_", "SCANCEL_", "SCONTROL_")
"""How variables begin by which a person tells Slurm's programs what is meant."""


def for_scheduler() -> dict[str, str]:
    """The environment of sbatch and its like: in English, with times in seconds since 1970.

    Without what Wattline knows, since a scheduler keeps an environment with the job, and without the wishes of another
    job or a person: they would outdo the script (SBATCH_PARTITION), or hide a job (SQUEUE_PARTITION).
    """
    ours = {str(field.validation_alias) for field in Settings.model_fields.values()}
    left = {
        name: value
        for name, value in os.environ.items()
        if name == "SLURM_CONF" or not (name in ours or name.startswith(WISHES))
    }
    return {**left, "LC_ALL": "C.UTF-8", "SLURM_TIME_FORMAT": "%s"}


def for_job() -> dict[str, str]:
    """The environment of a program that hands on all of it to a job: what a login begins with, and nothing else."""
    kept = ("HOME", "LANG", "LOGNAME", "SHELL", "SLURM_CONF", "USER")
    return {**{name: os.environ[name] for name in kept if name in os.environ}, "PATH": "/usr/local/bin:/usr/bin:/bin"}


def preset(variables: Mapping[str, str]) -> None:
    """Set variables for a library that is configured by nothing else; what a person has set stays as it is."""
    for name, value in variables.items():
        os.environ.setdefault(name, value)


def enforce(variables: Mapping[str, str]) -> None:
    """Set variables for a library, whatever a person has set."""
    os.environ.update(variables)
