"""MLServer: mlserver start . (model-settings.json names this class)"""

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from scoring import Model


class Scorer(MLModel):
    """Open Inference Protocol in, and out."""

    async def load(self) -> bool:
        self.model = Model()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        inputs = {tensor.name: NumpyCodec.decode_input(tensor) for tensor in payload.inputs}
        scores = self.model.score(inputs["window"].astype(np.float32), inputs["unit"].astype(np.int64))
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("score", scores)])
