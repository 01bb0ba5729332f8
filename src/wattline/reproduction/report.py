"""A reproduction as lines that a person reads."""

from wattline.reproduction.result import Compared, Result


def lines(result: Result) -> list[str]:
    """One line for each output with what differs below it, then what else was not as recorded, then the answer."""
    widths = [max(len(getattr(one, name)) for one in result.outputs) for name in ("outcome", "stage", "path")]
    table = [line for one in result.outputs for line in _rows(one, widths)]
    notes = [f"environment  {difference}" for difference in result.environment]
    notes += [f"source       {source}" for source in result.sources]
    return [*table, f"data         {_data(result)}", *notes, _answer(result)]


def _rows(one: Compared, widths: list[int]) -> list[str]:
    outcome, stage, path = (
        text.ljust(width) for text, width in zip((one.outcome, one.stage, one.path), widths, strict=True)
    )
    digests = (
        one.registered[:12] if one.registered == one.found else f"{one.registered[:12]} {one.found[:12] or 'none'}"
    )
    return [f"{outcome}  {stage}  {path}  {digests}", *(f"    {detail}" for detail in one.details)]


def _data(result: Result) -> str:
    places = {
        "cache": "from DVC's cache",
        "remote": "from DVC's remote",
        "ingested again": "read from the source again",
    }
    return f"{places[result.data]}, verified by its id"


def _answer(result: Result) -> str:
    subject = f"{result.name} version {result.version} at commit {result.commit[:12]}"
    if result.first is not None:
        return f"NOT REPRODUCED: {subject}: the first stage that differs is {result.first}"
    left_out = [one.path for one in result.outputs if one.outcome == "not compared"]
    if left_out:
        return f"NOT ALL COMPARED: {subject}: nothing differs, but {', '.join(left_out)} could not be compared"
    return f"BIT-IDENTICAL: {subject}: every computed output has the registered bytes"
