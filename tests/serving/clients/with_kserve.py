"""KServe's client, unmodified: adds `id` and `model_name` to the body.

python with_kserve.py HOST:PORT
"""

import asyncio
import json
import sys

import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.inference_client import PredictorProtocol


async def main():
    address = f"http://{sys.argv[1]}"
    client = InferenceRESTClient(RESTConfig(protocol=PredictorProtocol.REST_V2.value, timeout=60))
    found = {
        "live": await client.is_server_live(address),
        "ready": await client.is_server_ready(address),
        "model_ready": await client.is_model_ready(address, "anomaly"),
    }
    windows = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
    units = np.array([0, -1], dtype=np.int64)
    for binary in (False, True):
        window = InferInput("window", list(windows.shape), "FP32")
        window.set_data_from_numpy(windows, binary_data=binary)
        unit = InferInput("unit", list(units.shape), "INT64")
        unit.set_data_from_numpy(units, binary_data=binary)
        answer = await client.infer(address, InferRequest("anomaly", [window, unit]), model_name="anomaly")
        (score,) = [output for output in answer.outputs if output.name == "score"]
        found[f"binary={binary}"] = np.asarray(score.as_numpy()).tolist()
    print(json.dumps(found))


asyncio.run(main())
