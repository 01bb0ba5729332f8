"""What the jobs type: each job's lines as one script, and the commands in them."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

import click
import typer

from gitlab.ci.configuration import ROOT, Pipeline
from wattline.cli import app

PARTS = ("before_script", "script", "after_script")


def lines(job: dict[str, Any]) -> list[str]:
    """The lines of the job in the order in which they run."""
    return [line for part in PARTS for line in _flat(job.get(part, []))]


def script(job: dict[str, Any]) -> str:
    """The lines as the script that a runner makes of them."""
    return "\n".join(["#!/usr/bin/env bash", "set -eo pipefail", *lines(job), ""])


def commands(pipeline: Pipeline) -> Iterator[tuple[str, list[str]]]:
    """Each command that a job runs, by words, with the job's name."""
    for name, job in pipeline.jobs.items():
        for line in lines(job):
            words: list[str] = []
            lexer = shlex.shlex(inner(line), posix=True, punctuation_chars=True)
            lexer.whitespace_split = True
            for word in [*lexer, ";"]:
                if set(word) <= set("();<>|&"):
                    if words:
                        yield name, words
                    words = []
                else:
                    words.append(word)


def inner(line: str) -> str:
    """The command whose output a variable is given, or the line itself."""
    found = re.fullmatch(r"\w+=\$\((.*)\)", line)
    return found[1] if found else line


def unknown(words: list[str]) -> str | None:
    """What of `wattline WORDS` no such command or option is; None where all is known."""
    command: click.Command = typer.main.get_command(app)
    for word in words:
        if word.startswith("-"):
            known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
            if word.split("=")[0] not in known:
                return word
        elif hasattr(command, "commands"):
            if word not in command.commands:
                return word
            command = command.commands[word]
    return None


def targets() -> set[str]:
    """The verbs of the Makefile."""
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))


def _flat(part: Any) -> list[str]:
    return [part] if isinstance(part, str) else [line for one in part for line in _flat(one)]
