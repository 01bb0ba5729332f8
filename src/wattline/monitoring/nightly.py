"""The champion made again every night from its commit, lock and data, and compared byte by byte."""

from pathlib import Path

from wattline import files
from wattline.errors import InputError
from wattline.gitlab import dvc_remote
from wattline.params import Params
from wattline.proof import recipe
from wattline.registry import model, store
from wattline.reproduction import Options, Result, report, reproduce
from wattline.reproduction.commands import Say
from wattline.settings import Settings


def run(params: Params, known: Settings, options: Options, *, to: Path, say: Say) -> Result | None:
    """Reproduce the champion with the data of the job's DVC remote, and write the comparison to `to`.

    returns: None where nothing was promoted yet
    Raises InputError when the version cannot be made again here, or when it is not known where the registry is;
    otherwise what `reproduce` does.
    """
    to.unlink(missing_ok=True)  # that of another night
    check_registry(known)
    if store.is_empty():
        say(f"nightly: {params.model} has no champion yet, so nothing is made again")
        return None
    with model.of_project(params, reading=True) as opened:
        entry = opened.champion()
        if entry is None:
            say(f"nightly: {params.model} has no champion yet, so nothing is made again")
            return None
        dvc_remote.configure(known)
        with recipe.prepared(opened, entry.version, options) as (wanted, given):
            result = reproduce(wanted, options=given, say=say)
    files.write_text(to, result.to_json())
    for line in [*report.lines(result), *differences(result)]:
        say(line)
    return result


def check_registry(known: Settings) -> None:
    """Raise InputError in a job that would look for the champion in a file of its own, and find none for ever."""
    if known.ci and known.mlflow_tracking_uri is None and store.is_empty():
        raise InputError(
            "MLFLOW_TRACKING_URI is not set, and this runner keeps no registry of its own; set it to that of the "
            "tracking server (docs/gitlab.md)"
        )


def differences(result: Result) -> list[str]:
    """One line for each file that keeps the result from being bit-identical."""
    failed = [one for one in result.outputs if one.outcome in ("different", "not compared")]
    return [f"nightly: {one.path} of {one.stage} is {one.outcome}" for one in failed]
