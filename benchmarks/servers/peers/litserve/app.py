"""LitServe: python app.py PORT"""

import sys

import litserve
from scoring import Model


class Scorer(litserve.LitAPI):
    """Lists in, a list out."""

    def setup(self, device: str) -> None:  # noqa: ARG002
        self.model = Model()

    def decode_request(self, request: dict) -> tuple[list, list]:
        return request["window"], request["unit"]

    def predict(self, question: tuple[list, list]) -> list[float]:
        return self.model.score_lists(*question)

    def encode_response(self, output: list[float]) -> dict:
        return {"score": output}


if __name__ == "__main__":
    server = litserve.LitServer(Scorer(), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=1,
        generate_client_file=False,
        log_level="error",
        access_log=False,
    )
