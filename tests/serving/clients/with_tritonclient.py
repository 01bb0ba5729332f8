"""NVIDIA's client, unmodified: sends binary tensors and no Content-Type.

python with_tritonclient.py HOST:PORT
"""

import json
import sys

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException


def inputs(windows, units, *, binary):
    window = triton.InferInput("window", list(windows.shape), "FP32")
    window.set_data_from_numpy(windows, binary_data=binary)
    unit = triton.InferInput("unit", list(units.shape), "INT64")
    unit.set_data_from_numpy(units, binary_data=binary)
    return [window, unit]


client = triton.InferenceServerClient(sys.argv[1])
found = {
    "live": client.is_server_live(),
    "ready": client.is_server_ready(),
    "model_ready": client.is_model_ready("anomaly") and client.is_model_ready("anomaly", "1"),
    "server": client.get_server_metadata()["name"],
    "platform": client.get_model_metadata("anomaly")["platform"],
}
windows = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
units = np.array([0, -1], dtype=np.int64)
for binary in (True, False):
    for compression in (None, "gzip", "deflate"):
        wanted = [triton.InferRequestedOutput("score", binary_data=binary)]
        answer = client.infer(
            "anomaly", inputs(windows, units, binary=binary), outputs=wanted, request_id="a",
            request_compression_algorithm=compression, response_compression_algorithm=compression,
        )  # fmt: skip
        found[f"binary={binary} {compression}"] = answer.as_numpy("score").tolist()
everything = client.infer("anomaly", inputs(windows, units, binary=True), model_version="1")
found["contribution"] = list(everything.as_numpy("contribution").shape)
try:
    client.infer("anomaly", inputs(windows[:, :3], units, binary=True))
except InferenceServerException as error:
    found["refused"] = [error.status(), error.message()]
print(json.dumps(found))
