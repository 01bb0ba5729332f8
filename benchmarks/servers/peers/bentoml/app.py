"""BentoML: bentoml serve app:Scorer"""

import bentoml
from scoring import Model


@bentoml.service(workers=1)
class Scorer:
    """Lists in, a list out."""

    def __init__(self) -> None:
        self.model = Model()

    @bentoml.api
    async def predict(self, window: list[list[list[float]]], unit: list[int]) -> list[float]:
        return self.model.score_lists(window, unit)
