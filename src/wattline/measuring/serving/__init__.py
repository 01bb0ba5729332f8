"""Energy of the path that callers use: the real server on a candidate, asked over HTTP while a meter is read."""

from wattline.measuring.serving.process import ServingError
from wattline.measuring.serving.session import measure_serving

__all__ = ["ServingError", "measure_serving"]
