"""A stage whose units wait while the file `hold` is there: python -m dask_stage, in a project after `ingest`."""

import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

from wattline.errors import WattlineError
from wattline.params import PrepareParams
from wattline.stages import prepare


def target(rows):
    """Say who works on the unit and with which environment, and wait."""
    if os.environ.get("SLURM_JOB_ID"):
        Path(f"at-{rows.unit}").write_text(os.environ["SLURM_JOB_ID"])
        Path(f"environment-{rows.unit}").write_text(repr(dict(os.environ)))
    while Path("hold").exists():
        time.sleep(0.1)
    return rows.target


def main() -> int:
    try:
        knobs = PrepareParams(validation_fraction=0.25, test_fraction=0.4, minimum_rows=50)
        prepare.run(prepare=knobs, task=SimpleNamespace(target=target))
    except WattlineError as error:
        print(f"wattline: {error}", flush=True)
        return error.exit_code
    return 0


if __name__ == "__main__":
    # As a module of its own name: a worker has another main program.
    import dask_stage

    sys.exit(dask_stage.main())
