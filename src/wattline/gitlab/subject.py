"""What a run was about, as far as that can be known: also where it failed for a wrong params.yaml or task."""

from collections.abc import Mapping

from wattline import params
from wattline.errors import InputError
from wattline.records import Record

UNKNOWN = "unknown"


class Subject(Record):
    """task: its name; units: metric -> unit; problem: why more is not known, empty where all is"""

    task: str = UNKNOWN
    units: Mapping[str, str] = {}
    problem: str = ""


def subject(*, described: bool = False) -> Subject:
    """The task of the project in the current folder.

    described: whether the task is asked for units, for which it must be imported
    """
    try:
        loaded = params.load()
    except InputError as error:
        return Subject(problem=str(error))
    if not described:
        return Subject(task=loaded.task.name)
    try:
        metrics = params.load_task(loaded.task).description.metrics
    except InputError as error:
        return Subject(task=loaded.task.name, problem=str(error))
    return Subject(task=loaded.task.name, units={metric.name: metric.unit for metric in metrics})
