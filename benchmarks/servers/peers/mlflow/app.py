"""What MLflow serves; `python app.py FOLDER` saves it there for `mlflow models serve`."""

import sys

import numpy as np
from mlflow import models, pyfunc
from mlflow.types import Schema, TensorSpec


class Scorer(pyfunc.PythonModel):
    """Tensors in, scores out."""

    def load_context(self, context: pyfunc.PythonModelContext) -> None:  # noqa: ARG002
        from scoring import Model

        self.model = Model()

    def predict(self, context: pyfunc.PythonModelContext, model_input: dict, params: dict | None = None) -> np.ndarray:  # noqa: ARG002
        return self.model.score(model_input["window"], model_input["unit"])


def save(folder: str) -> None:
    """Write an MLflow model whose code is this file."""
    inputs = Schema(
        [
            TensorSpec(np.dtype(np.float32), (-1, 64, 38), "window"),
            TensorSpec(np.dtype(np.int64), (-1,), "unit"),
        ]
    )
    outputs = Schema([TensorSpec(np.dtype(np.float32), (-1,))])
    signature = models.ModelSignature(inputs=inputs, outputs=outputs)
    pyfunc.save_model(folder, python_model=__file__, signature=signature, pip_requirements=["onnxruntime"])


models.set_model(Scorer())

if __name__ == "__main__":
    save(sys.argv[1])
