"""Requests that schemathesis makes up from a description of an API."""

from collections.abc import Callable
from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from wattline.serving.openapi import ARROW

schemathesis.serializer.alias(ARROW, "application/octet-stream")
NO_SERVER_ERROR = (not_a_server_error,)
AS_DESCRIBED = (*NO_SERVER_ERROR, status_code_conformance, content_type_conformance, response_schema_conformance)
FUZZED = settings(max_examples=10, deadline=None, database=None, suppress_health_check=list(HealthCheck))


def try_everything(document: dict[str, Any], holds: Callable[[Any], None]) -> None:
    """Let `holds` judge generated requests of every operation in `document`."""
    operations = [found.ok() for found in schemathesis.openapi.from_dict(document).get_all_operations()]
    assert operations
    for operation in operations:

        @given(case=operation.as_strategy())
        @FUZZED
        def check(case: Any) -> None:
            holds(case)

        check()
