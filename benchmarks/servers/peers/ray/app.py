"""Ray Serve: python app.py PORT"""

import os
import signal
import sys

import orjson
import ray
from ray import serve
from scoring import Model
from starlette.requests import Request


@serve.deployment(num_replicas=1, max_ongoing_requests=256, ray_actor_options={"num_cpus": 0.5})
class Scorer:
    """Lists in, a list out."""

    def __init__(self) -> None:
        self.model = Model()

    async def __call__(self, request: Request) -> dict:
        if request.method == "GET":
            return {"status": "ready"}
        question = orjson.loads(await request.body())
        return {"score": self.model.score_lists(question["window"], question["unit"])}


if __name__ == "__main__":
    ray.init(
        num_cpus=1,
        include_dashboard=False,
        configure_logging=False,
        object_store_memory=200 * 2**20,
        _temp_dir=os.environ["SCRATCH"],
        _node_ip_address="127.0.0.1",
    )
    serve.start(
        http_options={"host": "127.0.0.1", "port": int(sys.argv[1])}, logging_config={"enable_access_log": False}
    )
    serve.run(Scorer.bind(), route_prefix="/")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    ray.shutdown()
