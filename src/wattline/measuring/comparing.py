"""The paired test between two folders, by the rows and the limits of the project in the working directory."""

from pathlib import Path

from wattline import params, splits
from wattline.energy import meters
from wattline.measuring import contest
from wattline.measuring.contest import Rows, Rules
from wattline.measuring.report import Comparison
from wattline.params import Params
from wattline.progress import progress


def compare(candidate: Path, baseline: Path, loaded: Params) -> Comparison:
    """Hold a session between two candidates on the prepared test rows, and judge it.

    Raises InputError or IntegrityError when one of them or the rows cannot be loaded, MeterError when the meter that
    params.yaml names does not work here.
    """
    device = loaded.serving.batching.device
    rules = Rules(loaded.block.measure, loaded.block.gates, device)
    with progress("energy") as say:
        test = contest.hold(
            {"candidate": candidate, "baseline": baseline},
            read_rows(),
            meter=meters.choose(loaded.block.energy, device=device),
            task=params.load_task(loaded.task),
            rules=rules,
            seed=loaded.seed,
            say=say,
            evidence=loaded.block.gates.energy.evidence,
        )
    limits = loaded.block.gates
    return Comparison(
        judgement=contest.verdict(test, rules),
        limits=limits.energy,
        tolerance=limits.champion.tolerance,
        test=test,
    )


def read_rows() -> Rows:
    """The prepared test rows. Raises IntegrityError when their bytes are not those that `prepare` recorded."""
    manifest = splits.read_manifest()
    names = [column.name for column in manifest.columns]
    return Rows(splits.read_test(), names, manifest.cadence_seconds)
