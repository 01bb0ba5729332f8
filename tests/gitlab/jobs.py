"""The environment of a GitLab job, made by a test."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from wattline.settings import Settings, settings

PREFIXES = ("CI_", "WATTLINE_", "MLFLOW_", "AWS_", "VAULT_", "GITLAB_", "PG", "PIPELINE_KIND")
ALSO = ("CI", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
MERGE_REQUEST = {
    "CI": "true",
    "PIPELINE_KIND": "merge-request",
    "CI_PIPELINE_SOURCE": "merge_request_event",
    "CI_MERGE_REQUEST_IID": "7",
    "CI_MERGE_REQUEST_PROJECT_PATH": "energy/models",
    "CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": "energy/models",
    "CI_PROJECT_PATH": "energy/models",
    "CI_JOB_ID": "9001",
}
FORK = MERGE_REQUEST | {"PIPELINE_KIND": "fork", "CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": "stranger/models"}
BRANCH = {
    "CI": "true",
    "PIPELINE_KIND": "branch",
    "CI_PIPELINE_SOURCE": "push",
    "CI_COMMIT_BRANCH": "main",
    "CI_COMMIT_REF_NAME": "main",
    "CI_COMMIT_REF_PROTECTED": "true",
    "CI_PROJECT_PATH": "energy/models",
    "CI_JOB_ID": "9002",
}
MONITOR = BRANCH | {"PIPELINE_KIND": "schedule", "CI_PIPELINE_SOURCE": "schedule"}

Job = Callable[..., Settings]


@contextmanager
def jobs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Job]:
    """A function that makes this process a job with the given variables and no others of their kind."""

    def start(variables: dict[str, str] | None = None, **more: str) -> Settings:
        for name in list(os.environ):
            if name.startswith(PREFIXES) or name in ALSO:
                monkeypatch.delenv(name)
        for name, value in ((variables or {}) | more).items():
            monkeypatch.setenv(name, value)
        settings.cache_clear()
        return settings()

    yield start
    settings.cache_clear()
