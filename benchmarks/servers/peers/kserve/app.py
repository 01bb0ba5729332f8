"""KServe's ModelServer: python app.py PORT"""

import sys

from kserve import InferOutput, InferRequest, InferResponse, ModelServer
from kserve import Model as Served
from scoring import Model

NAME = "benchmark"


class Scorer(Served):
    """Open Inference Protocol in, and out."""

    def __init__(self) -> None:
        super().__init__(NAME)
        self.model = Model()
        self.ready = True

    async def predict(self, payload: InferRequest, *_: object, **__: object) -> InferResponse:
        inputs = {tensor.name: tensor.as_numpy() for tensor in payload.inputs}
        scores = self.model.score(inputs["window"], inputs["unit"])
        output = InferOutput(name="score", shape=list(scores.shape), datatype="FP32")
        output.set_data_from_numpy(scores, binary_data=False)
        # It demands a string, also where the request has none.
        return InferResponse(model_name=NAME, infer_outputs=[output], response_id=payload.id or "")


if __name__ == "__main__":
    server = ModelServer(http_port=int(sys.argv[1]), workers=1, enable_grpc=False, access_log_format=None)
    server.start([Scorer()])
