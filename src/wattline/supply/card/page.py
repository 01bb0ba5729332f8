"""The card as one text: metadata for machines, then the sections that a person reads."""

import os.path
from pathlib import Path

from wattline import files
from wattline.supply.card import figures, sections, serving
from wattline.supply.card.energy import energy
from wattline.supply.card.energy_test import energy_test
from wattline.supply.card.evidence import Evidence
from wattline.supply.card.markdown import required
from wattline.supply.card.metadata import front_matter


def render(evidence: Evidence, *, folder: Path, reports: Path) -> str:
    """The card as Markdown below its metadata. Raises InputError naming the first required field that is empty.

    folder: where the card will lie, so that pictures in `reports` can be linked relative to it
    """
    pictures = Path(os.path.relpath(reports, folder)).as_posix()
    dataset_card = Path(os.path.relpath(files.DATASET_CARD, folder)).as_posix()
    chapters = {
        "Identity": sections.identity(evidence),
        "Decision": sections.decision(evidence.decision),
        "Intended use": sections.use(evidence.description),
        "Data": sections.data(evidence, dataset_card, pictures),
        "Training": sections.training(evidence, pictures),
        "Evaluation": figures.evaluation(evidence.evaluation, pictures),
        "Slices": figures.slices(evidence.evaluation, pictures),
        "Robustness": figures.robustness(evidence.evaluation),
        "Latency": figures.latency(evidence.measurement, pictures),
        "Energy": energy(evidence.measurement, evidence.training_energy),
        "Energy test": energy_test(evidence.decision, evidence.measurement, pictures),
        "Energy of serving": serving.serving(evidence.measurement),
        "Limits": sections.limits(evidence.description),
        "Change since the champion": sections.change(evidence.evaluation),
    }
    text = [f"# {evidence.description.name}", required("description.purpose", evidence.description.purpose)]
    for title, lines in chapters.items():
        text += [f"## {title}", "\n".join(lines)]
    # Made last: it leans on fields that the sections have found to be there.
    return front_matter(evidence) + "\n" + "\n\n".join(text) + "\n"
