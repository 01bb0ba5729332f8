"""The pipeline of this project, run from a commit to a promoted model."""

import pytest

from gitlab.execute.events import merge_request
from gitlab.execute.repository import params
from gitlab.execute.site import Site

pytestmark = pytest.mark.slow


def test_one(place: Site):
    place.origin.commit(
        "topic/scale",
        lambda desk: params(desk, lambda tree: tree["node_anomaly"]["train"].update(ridge=0.2)),
        onto="main",
    )
    result = place.pipeline(merge_request("topic/scale", iid=7)).run()
    print(result.report())
    open("/tmp/ex/mr.log", "w").write(result.text)
    assert result.green, result.report()
