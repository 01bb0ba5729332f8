"""index.md: the zoo as a page for a person who chooses a model."""

from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise

from wattline.records import Energy, Metric, Score
from wattline.records.energy import JOULES_PER_KWH
from wattline.supply.card.markdown import table
from wattline.supply.zoo.entry import Entry, newest_first
from wattline.supply.zoo.picture import SVG
from wattline.supply.zoo.schema import change

MARKDOWN = "index.md"
NONE = "-"
SPECIAL = str.maketrans({character: f"\\{character}" for character in r"\`*[]<>&"})
LEGEND = (
    "Scores are means over units of the test rows, with 95 % bootstrap intervals; the unit of a metric other than the "
    "headline is in its name. Energies are in joules [J] with 95 % intervals: `measured` was read from a counter, "
    "`estimated` follows from a model of one and is no measurement. A gate that is `advisory` rejects nothing. "
    "Times are UTC. Two figures of different models or data do not compare."
)


def index_markdown(entries: Iterable[Entry]) -> str:
    """The page of `entries`, in whatever order they come: equal entries, equal bytes."""
    models = [list(versions) for _, versions in groupby(newest_first(entries), key=lambda entry: entry.name)]
    blocks = [["# Model zoo"], ["<!-- Written by wattline zoo, with index.yaml: edit neither. -->"], [LEGEND]]
    if models:
        blocks += [_overview(models), [f"![Score against energy of every model]({SVG})"]]
    else:
        blocks += [["No version is registered yet."]]
    for versions in models:
        blocks += [[f"## {plain(versions[0].name)}"], *_model(versions)]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def plain(text: str) -> str:
    """`text` on one line, with nothing that Markdown or HTML would make something of."""
    return " ".join(text.split()).translate(SPECIAL)


def _overview(models: Sequence[Sequence[Entry]]) -> list[str]:
    """Which version of each model serves."""
    rows = []
    for versions in models:
        champion = next((entry for entry in versions if entry.status == "champion"), None)
        name = plain(versions[0].name)
        count = str(len(versions))
        if champion is None:
            rows.append([name, "none", NONE, NONE, count])
            continue
        figures = [_headline(champion), _joules(champion.energy_per_1000)]
        rows.append([name, _version(champion), *figures, count])
    return table(["model", "serves", "headline", "energy of 1,000 predictions", "versions"], rows)


def _model(versions: Sequence[Entry]) -> list[list[str]]:
    newest = versions[0]
    notes = [
        f"- Version {newer.version} reads other features than version {older.version}: {plain(found)}."
        for newer, older in pairwise(versions)
        if (found := change(newer.features, older.features))
    ]
    return [
        _summary(newest),
        ["### Versions"],
        _versions(versions),
        ["### Metrics"],
        _metrics(versions),
        ["### Gates"],
        _gates(versions),
        [f"### Features of version {newest.version}"],
        *_features(newest),
        *([notes] if notes else []),
        ["### Origin"],
        _origin(versions),
    ]


def _summary(entry: Entry) -> list[str]:
    """What its newest version is for."""
    said = entry.summary
    fields = {
        "purpose": said.purpose,
        "intended use": said.intended_use,
        "out of scope": said.out_of_scope,
        "limits": said.limits,
        "output": said.output,
        "owner": said.owner,
        "licence": said.licence,
        "headline": _direction(entry.headline),
        "energy": f"{entry.energy_per_1000.sensor}; {entry.energy_per_1000.boundary}",
    }
    rows = [[name, plain(text)] for name, text in fields.items() if text]
    return table([f"as of version {entry.version}", ""], rows)


def _versions(versions: Sequence[Entry]) -> list[str]:
    header = [
        "version",
        "status",
        "kind",
        "parameters",
        "headline",
        "energy of 1,000 predictions",
        "energy of training",
    ]
    rows = [
        [
            _version(entry),
            f"**{entry.status}**" if entry.status == "champion" else entry.status,
            plain(entry.model),
            f"{entry.parameters:,}",
            _headline(entry),
            _joules(entry.energy_per_1000),
            _kilowatt_hours(entry.training_energy),
        ]
        for entry in versions
    ]
    return table(header, rows)


def _metrics(versions: Sequence[Entry]) -> list[str]:
    names = list(dict.fromkeys([entry.headline.name for entry in versions] + [m for e in versions for m in e.metrics]))
    rows = [
        [entry.version, *(_score(entry.metrics[name]) if name in entry.metrics else NONE for name in names)]
        for entry in versions
    ]
    return table(["version", *map(plain, names)], rows)


def _gates(versions: Sequence[Entry]) -> list[str]:
    names = list(dict.fromkeys(gate.name for entry in versions for gate in entry.gates))
    rows = []
    for entry in versions:
        said = {gate.name: gate.outcome + (" (advisory)" if gate.advisory else "") for gate in entry.gates}
        rows.append([entry.version, *(said.get(name, NONE) for name in names)])
    return table(["version", *map(plain, names)], rows)


def _features(entry: Entry) -> list[list[str]]:
    features = entry.features
    rows = [[plain(column.name), plain(column.unit), plain(column.description)] for column in features.columns]
    shape = f"One answer needs {features.steps} rows of history, one every {features.cadence_seconds:g} s."
    return [[shape], table(["column", "unit", "what it is"], rows)]


def _origin(versions: Sequence[Entry]) -> list[str]:
    header = ["version", "registered [UTC]", "candidate", "dataset", "commit", "signed by key", "from"]
    rows = [
        [
            entry.version,
            f"{entry.registered:%Y-%m-%d %H:%M}",
            f"`{entry.digest[:12]}`",
            f"{plain(entry.dataset.name)} {plain(entry.dataset.id[:12])}",
            plain(entry.commit[:12]) + {True: ", changed", False: "", None: ", changes unknown"}[entry.dirty],
            f"`{entry.signer[:12]}`" if entry.signer else "nobody",
            plain(entry.imported_from) if entry.imported_from else "here",
        ]
        for entry in versions
    ]
    return table(header, rows)


def _version(entry: Entry) -> str:
    """Its number, with a link to its card where that lies beside the page."""
    return f"[{entry.version}]({entry.card.path})" if entry.card and entry.card.path else entry.version


def _headline(entry: Entry) -> str:
    return f"{plain(entry.headline.name)} {_score(entry.score)}{_unit(entry.headline.unit)}"


def _direction(metric: Metric) -> str:
    way = "higher" if metric.higher_is_better else "lower"
    return f"{metric.name} [{metric.unit}], {way} is better: {metric.description}"


def _score(score: Score) -> str:
    return str(score).translate(SPECIAL)


def _joules(energy: Energy) -> str:
    low, high = energy.interval
    return f"{energy.joules:.3g} J \\[{low:.3g}, {high:.3g}\\], {energy.provenance}"


def _kilowatt_hours(energy: Energy | None) -> str:
    if energy is None:
        return "not known"
    low, high = (bound / JOULES_PER_KWH for bound in energy.interval)
    return f"{energy.kwh:.3g} kWh \\[{low:.3g}, {high:.3g}\\], {energy.provenance}"


def _unit(unit: str) -> str:
    return "" if unit == "1" else f" {plain(unit)}"
