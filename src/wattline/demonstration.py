"""The whole story once: pipeline, decision, registry, promotion, a live server and its answer."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from wattline import editing, files, params, splits
from wattline.errors import InputError, RejectedError, WattlineError
from wattline.gates import report
from wattline.records import Decision, Signature
from wattline.signing import keys, model_keys

SECONDS_TO_START = 60

Say = Callable[[str], object]


def run(source: str | None, *, say: Say = print) -> None:
    """Run everything and say what came out. Raises RejectedError, after saying why, when a gate said no."""
    if source is not None:
        choose_source(source)
    from wattline.registry import fetching, model, promotion, registration
    from wattline.registry.earlier import fetch_earlier
    from wattline.registry.evidence import dirty

    loaded = params.load()
    fetching.fetch_champion(files.CHAMPION, name=loaded.model, params=loaded.registry)
    fetch_earlier(files.EARLIER, name=loaded.model, trusted_keys=loaded.serving.model.trusted_keys)
    reproduce()
    decision = files.read_report("decide", Decision)
    say("\n" + "\n".join(report.lines(decision)))
    say(f"\nmodel card   {files.CARDS / loaded.task.name}.md")
    say("MLflow UI    make mlflow")
    if not decision.accepted:
        raise RejectedError("the candidate was rejected; nothing was registered or promoted")
    if not keys.exists():
        public = keys.new(keys.default_folder())
        model_keys.new(keys.default_folder())
        say(f"signing key  {keys.default_folder()}, made for this machine: {public.id[:12]}")
    with model.of_project(loaded) as opened:
        # The demonstration writes the preset of another source into params.yaml, and need not run in a repository.
        version = registration.register(opened, allow_dirty=dirty() is not False)
        promotion.promote(opened, version)
    fetching.fetch_champion(files.CHAMPION, name=loaded.model, params=loaded.registry)
    say(f"champion     {loaded.model} version {version}")
    with served(files.CHAMPION) as address:
        question = newest_window()
        say(f"server       POST {address}/predict, the {len(question['rows'])} newest rows of {question['unit']}")
        say(f"answer       {ask(address, question)}")


def choose_source(source: str, *, path: Path = params.FILE) -> None:
    """Set `ingest.source` of the task in params.yaml with the preset for it, if there is one, keeping comments.

    Raises InputError for a source without options, and for a preset that params.yaml itself would not allow.
    """
    name, tree = params.load(path).task.name, editing.read(path)
    block = tree[name]
    known = block["ingest"].get("options", {})
    if source not in known:
        raise InputError(f"SOURCE={source}: {path} has no {name}.ingest.options.{source}; known: {', '.join(known)}")
    block["ingest"]["source"] = source
    for section, values in block.get("presets", {}).get(source, {}).items():
        if section not in block:
            place = f"{path}: {name}.presets.{source}.{section}"
            raise InputError(f"{place} is not a section of {name}; remove or rename it")
        block[section].update(values)
    editing.replace_checked(path, editing.text(tree))


def reproduce() -> None:
    """Run `dvc repro`. Raises WattlineError when a stage fails; the stage has said why by then."""
    code = subprocess.run([sys.executable, "-m", "dvc", "repro"], check=False).returncode
    if code:
        raise WattlineError(f"dvc repro ended with exit code {code}; the failed stage says why above")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A server of the model in `folder` on a free port; gives its address, and ends it afterwards."""
    command = [sys.executable, "-m", "wattline", "serve", "--folder", str(folder), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield _address(server)
        finally:
            server.terminate()


def _address(server: "subprocess.Popen[str]") -> str:
    assert server.stdout is not None
    for line in server.stdout:
        found = re.search(r"http://\S+", line)
        if found:
            return found.group().rstrip("/")
    raise WattlineError(f"the server ended with exit code {server.wait()} before it was ready")


def newest_window() -> dict[str, Any]:
    """The newest rows of the first unit, as /predict wants them: by column name, in raw units, null where missing."""
    signature = files.read_record(files.CHAMPION / "signature.json", Signature)
    unit, series = next(iter(splits.read_test().items()))
    columns = [column.name for column in splits.read_manifest().columns]
    rows = series.windows(signature.steps)[-1]
    named = [
        {name: None if np.isnan(value) else float(value) for name, value in zip(columns, row, strict=True)}
        for row in rows
    ]
    wanted = [column.name for column in signature.columns]
    return {"unit": unit, "rows": [{name: row[name] for name in wanted} for row in named]}


def ask(address: str, question: dict[str, Any]) -> str:
    """The server's answer to one question, as JSON text."""
    import httpx

    answer = httpx.post(f"{address}/predict", json=question, timeout=SECONDS_TO_START)
    if answer.is_error:
        raise WattlineError(f"the server answered {answer.status_code}: {answer.text}")
    return answer.text
