"""card: write the cards of model and dataset, and the bills of materials, from all that was found out."""

import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from wattline import files, splits
from wattline.errors import WattlineError
from wattline.params import CardParams
from wattline.records import (
    Candidate,
    Decision,
    Evaluation,
    Measurement,
    Record,
    Signature,
    TrainingEnergy,
    Validation,
)
from wattline.stages.train import Training
from wattline.supply import bom, croissant, packages, sbom
from wattline.supply import card as model_card
from wattline.task import Task, folder_of

LOCKS = (Path("requirements/core.lock"), Path("requirements/torch-cpu.lock"), Path("requirements/torch.lock"))
"""Where the hashes of packages stand."""


class CardReport(Record):
    """Outcome of `card`: which bytes speak about which model."""

    candidate: str
    data: str
    card_sha256: str
    bom_sha256: str
    sbom_sha256: str
    dataset_card_sha256: str
    code_sha256: str


def run(*, card: CardParams, task: Task) -> None:
    """Write model_cards/<name>.md, its bills of materials (of the model, of the software), and data/croissant.json."""
    evidence = gather(card, task)
    paths = outputs(task)
    texts = render(evidence)
    for name, path in paths.items():
        files.write_text(path, texts[name])
    report = CardReport(
        candidate=evidence.candidate.digest,
        data=evidence.dataset.id,
        card_sha256=files.sha256(paths["card"]),
        bom_sha256=files.sha256(paths["bom"]),
        sbom_sha256=files.sha256(paths["sbom"]),
        dataset_card_sha256=files.sha256(paths["dataset"]),
        code_sha256=evidence.code_sha256,
    )
    files.write_report("card", report)


def check(*, card: CardParams, task: Task) -> None:
    """Raise WattlineError when the card on disk is not the one that today's evidence makes."""
    texts = render(gather(card, task))
    for name, path in outputs(task).items():
        if not path.exists() or path.read_text() != texts[name]:
            raise WattlineError(f"{path} is stale: it does not say what the reports say; run `dvc repro card`")


def render(evidence: model_card.Evidence) -> dict[str, str]:
    """Text of the cards and of the bills."""
    installed = packages.installed(*(lock for lock in LOCKS if lock.is_file()))
    return {
        "card": model_card.render(evidence, folder=files.CARDS, reports=files.REPORTS),
        "bom": bom.render(evidence),
        "sbom": sbom.render(installed, name=evidence.description.name, python=evidence.python),
        "dataset": croissant.render(
            evidence.dataset, evidence.manifest, raw=files.RAW.name, prepared=files.PREPARED.name
        ),
    }


def outputs(task: Task) -> Mapping[str, Path]:
    """Where cards and bills lie."""
    name = task.description.name
    return {
        "card": files.CARDS / f"{name}.md",
        "bom": files.CARDS / f"{name}.cdx.json",
        "sbom": files.CARDS / f"{name}.sbom.cdx.json",
        "dataset": files.DATASET_CARD,
    }


def gather(card: CardParams, task: Task) -> model_card.Evidence:
    """Read every record that the card speaks about."""
    return model_card.Evidence(
        card=card,
        description=task.description,
        dataset=splits.read_dataset(),
        manifest=splits.read_manifest(),
        validation=files.read_report("validate", Validation),
        candidate=files.read_record(files.CANDIDATE / "candidate.json", Candidate),
        signature=files.read_record(files.CANDIDATE / "signature.json", Signature),
        training=files.read_report("train", Training).model_dump(),
        training_energy=files.read_report("train_energy", TrainingEnergy),
        evaluation=files.read_report("evaluate", Evaluation),
        measurement=files.read_report("measure", Measurement),
        decision=files.read_report("decide", Decision),
        code_sha256=code_digest(task),
        python=f"Python {platform.python_version()}, torch {metadata.version('torch')}, "
        f"onnxruntime {metadata.version('onnxruntime')}",
    )


def code_digest(task: Task) -> str:
    """SHA-256 over the Python sources of the platform and of the task."""
    return files.sources_digest(Path(__file__).parents[1], folder_of(task))
