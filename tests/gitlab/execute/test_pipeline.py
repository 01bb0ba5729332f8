"""The pipeline of this project, run from a commit to a promoted model."""

from pathlib import Path

import pytest

from gitlab.execute.events import merge_request
from gitlab.execute.repository import params
from gitlab.execute.site import Site

pytestmark = pytest.mark.slow


def keep(result, name):
    Path(f"/tmp/ex/{name}.log").write_text(result.text)
    Path(f"/tmp/ex/{name}.report").write_text(result.report())
    return result


def test_one(place: Site):
    place.origin.commit(
        "topic/scale",
        lambda desk: params(desk, lambda tree: tree["node_anomaly"]["train"].update(ridge=0.2)),
        onto="main",
    )
    result = keep(place.pipeline(merge_request("topic/scale", iid=7)).run(), "mr")
    import json

    Path("/tmp/ex/state.json").write_text(json.dumps(place.gitlab.state.dumped()))
    assert result.green, result.report()
