"""What do lock, log, signature and checks cost beside MLflow alone?

python benchmarks/registry.py [--rounds N] [--uri URI]

Each round registers a fresh candidate of the example's size, promotes it and rolls it back, once with Wattline and once
with MLflow's client, which writes the same runs, files, versions, tags and aliases and checks nothing. Both write to
one store: a local SQLite file and folder, or the SQL database at URI.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from clock import Figure, conclude, in_turns, paired_ratio

if TYPE_CHECKING:
    from wattline.records import Champion

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

LIMIT = 1.5
ROUNDS, WARM_UP = 15, 3
WEIGHTS = 64 * 1024
"""Bytes of weights: the example's models have 20 to 200 KiB."""


@dataclass
class Bare:
    """MLflow's client and what it writes."""

    client: Any
    name: str
    folder: Path
    envelope: bytes
    versions: list[str]

    def register(self) -> None:
        """Run, files, version, statement, tags, alias."""
        from wattline.registry import statements, store
        from wattline.registry.evidence import read
        from wattline.registry.tracking import origin
        from wattline.registry.uploading import figures

        said = read(self.folder)
        tags = origin(said.candidate) | {statements.DIRTY: "false"} | figures(said)
        run = self.client.create_run(store.experiment(self.client, "anomaly"), tags=origin(said.candidate))
        self.client.log_artifacts(run.info.run_id, str(self.folder))
        self.client.set_terminated(run.info.run_id)
        source = f"{run.info.artifact_uri}/candidate"
        made = self.client.create_model_version(self.name, source, run.info.run_id, tags=tags)
        self.versions.append(str(made.version))
        self._lay("statement.dsse.json", run.info.run_id, str(made.version))
        self.client.set_model_version_tag(self.name, str(made.version), statements.KEY, "0" * 64)
        self.client.set_registered_model_alias(self.name, "challenger", str(made.version))

    def promote(self) -> None:
        """The entry, a tag and the alias."""
        self._move(self.versions[-1])

    def rollback(self) -> None:
        """The same for the first version."""
        self._move(self.versions[0])

    def trace(self) -> None:
        """Version, run and files of the champion."""
        found = self.client.get_model_version_by_alias(self.name, "champion")
        self.client.get_run(found.run_id)
        with TemporaryDirectory() as temporary:
            for part in ("candidate", "reports", "cards", "provenance", "statements"):
                self.client.download_artifacts(found.run_id, part, temporary)

    def _move(self, version: str) -> None:
        found = self.client.get_model_version(self.name, version)
        self._lay("promotion.dsse.json", found.run_id, version)
        self.client.set_model_version_tag(self.name, version, "wattline.promotion", "1")
        self.client.set_registered_model_alias(self.name, "champion", version)

    def _lay(self, name: str, run_id: str, version: str) -> None:
        with TemporaryDirectory() as temporary:
            path = Path(temporary) / name
            path.write_bytes(self.envelope)
            self.client.log_artifact(run_id, str(path), f"statements/{version}")


def main() -> int:
    """Print every figure beside its limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--uri", help="SQL database of an MLflow store")
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="wattline-benchmark-") as temporary:
        os.chdir(temporary)
        os.environ["WATTLINE_STATE"] = str(Path(temporary) / ".wattline")
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        if arguments.uri:
            os.environ["MLFLOW_TRACKING_URI"] = arguments.uri
        return conclude(measured(Path(temporary), arguments.rounds))


def measured(project: Path, rounds: int) -> list[Figure]:
    """Ratios of Wattline to the bare client, and milliseconds of both."""
    from builders import write_data, write_keys

    from tests.registry.project import commit, opened
    from wattline import files
    from wattline.records import Champion

    write_keys(project / ".wattline" / "keys")
    write_data(files.RAW, files.PREPARED)
    fresh(0, champion=None)
    commit(project)
    with opened(name="ours") as ours:
        ours.client.create_registered_model("bare")
        bare = Bare(ours.client, "bare", project / ".wattline" / "bare", b"{}" * 1500, [])
        verbs = calls(ours, bare)
        seconds: dict[str, list[float]] = {name: [] for pair in verbs.values() for name in pair}
        first: Champion | None = None
        for turn in range(-WARM_UP, rounds):
            digest = fresh(turn, champion=first)
            first = first or Champion(version="1", digest=digest, name="ours")
            snapshot(bare)
            for verb, pair in verbs.items():
                if verb == "rollback" and turn == -WARM_UP:
                    continue  # there is nothing before the first champion
                ordered = pair if turn % 2 else dict(reversed(pair.items()))
                for name, taken in in_turns(ordered, rounds=1).items():
                    seconds[name] += taken if turn >= 0 else []
    return [figure(verb, seconds, *pair) for verb, pair in verbs.items()]


def calls(ours: Any, bare: Bare) -> dict[str, dict[str, Callable[[], object]]]:
    """Verb -> Wattline's and the bare client's way of doing it."""
    from wattline.registry import promotion, registration

    return {
        "register": {"register": lambda: registration.register(ours), "register, bare": bare.register},
        "promote": {
            "promote": lambda: promotion.promote(ours),
            "promote, bare": bare.promote,
        },
        "rollback": {"rollback": lambda: promotion.rollback(ours), "rollback, bare": bare.rollback},
    }


def figure(verb: str, seconds: dict[str, list[float]], mine: str, theirs: str) -> Figure:
    """The paired ratio, with the milliseconds of both in its name."""
    said = f"{verb}: {median(seconds[mine]) * 1e3:.0f} ms, MLflow alone {median(seconds[theirs]) * 1e3:.0f} ms"
    return Figure(said, paired_ratio(seconds[mine], seconds[theirs]), LIMIT, "x")


def fresh(turn: int, *, champion: "Champion | None") -> str:
    """Make another candidate, compared with `champion`, the project's one; returns its digest."""
    from builders import write_candidate, write_reports

    from wattline import files

    shutil.rmtree(files.CANDIDATE, ignore_errors=True)
    content = f"{turn} ".encode() * (WEIGHTS // len(f"{turn} "))
    candidate = write_candidate(files.CANDIDATE, weights=content)
    write_reports(files.REPORTS, candidate, champion=champion)
    files.write_text(files.CARDS / "anomaly.md", "# anomaly\n")
    files.write_text(files.CARDS / "anomaly.cdx.json", "{}\n")
    return candidate.digest


def snapshot(bare: Bare) -> None:
    """Lay what Wattline uploads where the bare client finds it."""
    from wattline.registry.evidence import gather

    shutil.rmtree(bare.folder, ignore_errors=True)
    with gather() as evidence:
        shutil.copytree(evidence.folder, bare.folder)


if __name__ == "__main__":
    sys.exit(main())
