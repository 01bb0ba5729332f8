"""The limit: the same session called in a loop, without any server.

python -m servers.limit SECONDS     prints windows per second for runs of one and of 64 windows as JSON
"""

import json
import sys
import time

from scoring import Model

from servers.questions import questions

BATCHES = (1, 64)


def main() -> None:
    """Call the graph that MODEL names."""
    model, seconds = Model(), float(sys.argv[1])
    json.dump({str(batch): rate(model, batch, seconds) for batch in BATCHES}, sys.stdout)


def rate(model: Model, batch: int, seconds: float) -> float:
    """Windows per second in runs of `batch`."""
    asked = questions(4, batch)
    for question in asked:
        model.score(*question)
    begin, runs = time.perf_counter(), 0
    while (spent := time.perf_counter() - begin) < seconds:
        for question in asked:
            model.score(*question)
        runs += len(asked)
    return runs * batch / spent


if __name__ == "__main__":
    main()
