"""The detector as one ONNX graph."""

import logging
import warnings

import torch

from project.detector import Detector, Judgement

OPSET = 20


def to_onnx(detector: Detector, *, steps: int, columns: int) -> bytes:
    """Serialize `detector` with a free batch dimension: inputs window and unit, outputs those of Judgement."""
    batch = torch.export.Dim("batch", min=1, max=65536)
    example = (torch.zeros(2, steps, columns), torch.zeros(2, dtype=torch.int64))
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # The exporter warns of deprecations inside itself, which nobody here can act on.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            detector.eval(),
            example,
            dynamo=True,
            opset_version=OPSET,
            input_names=["window", "unit"],
            output_names=list(Judgement._fields),
            dynamic_shapes={"window": {0: batch}, "unit": {0: batch}},
            verbose=False,
        )
    assert program is not None
    return bytes(program.model_proto.SerializeToString())
