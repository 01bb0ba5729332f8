"""The zoo: every version is listed as the registry has it, for programs and for people, and nothing beside it."""

import hashlib
import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from random import Random
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from builders import COLUMNS, energy, signature, signing_key, statement, write_candidate
from markdown_it import MarkdownIt

from supply.zoo_entries import CARD, entry, saying
from wattline.errors import InputError
from wattline.records import Column, Metric, Score
from wattline.signing import sign, verify
from wattline.supply import zoo
from wattline.supply.zoo import Entry, Problem

FOUR = (*COLUMNS, Column(name="humidity", unit="%"))
PAGE = hashlib.sha256(CARD.encode()).hexdigest()


@pytest.fixture
def entries(tmp_path: Path) -> tuple[Entry, ...]:
    """Three versions of one model, the middle one champion, and one of another from elsewhere."""
    folder = tmp_path / "candidates"
    return (
        entry(folder, 1, status="former champion"),
        entry(folder, 2, status="champion", evidence={"cards/anomaly.md": PAGE}),
        entry(folder, 10, status="challenger", columns=FOUR),
        entry(folder, 1, name="forecast", status="imported", signer=None, imported_from="elsewhere"),
    )


@pytest.fixture
def cards(tmp_path: Path, entries: Sequence[Entry]) -> Path:
    """A folder with the index of `entries` and the champion's card."""
    folder = tmp_path / "model_cards"
    folder.mkdir()
    (folder / "anomaly.md").write_text(CARD)
    zoo.write(folder, entries)
    return folder


@pytest.fixture
def found(cards: Path, entries: Sequence[Entry]) -> Callable[[], list[Problem]]:
    """What is wrong with the index; notes do not count."""
    return lambda: [problem for problem in zoo.validate(cards, entries) if not problem.note]


def html(text: str) -> str:
    rendered: str = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    return rendered


def replaced(path: Path, old: str, new: str, count: int = -1) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))


class TestEntry:
    def test_it_says_what_was_signed(self, tmp_path):
        candidate = write_candidate(tmp_path)
        signed = statement(candidate)
        made = Entry.of(signed, signature(), status="champion", signer=signing_key().public.id)
        assert made.files == candidate.files
        assert (made.digest, made.dataset.id, made.commit) == (candidate.digest, candidate.data, "c" * 40)
        assert made.score == signed.predicate.metrics["vus_pr"]
        assert made.energy_per_1000 == signed.predicate.energy_per_1000
        assert [gate.outcome for gate in made.gates] == ["PASS"] * 4
        assert made.features.columns == COLUMNS
        assert made.imported_from is None

    def test_composed_or_read_from_the_store_it_is_the_same_to_the_byte(self, tmp_path):
        candidate = write_candidate(tmp_path)
        metrics = {name: Score(value=0.5, low=0.4, high=0.6, units=3) for name in ("vus_pr", "f1", "auc_pr")}
        composed = saying(statement(candidate), metrics=metrics)
        stored = verify(sign(composed, signing_key()), [signing_key().public])
        one, other = (Entry.of(said, signature(), status="champion", signer=None) for said in (composed, stored))
        assert zoo.index_yaml([one]) == zoo.index_yaml([other])

    def test_its_time_is_utc_wherever_it_was_registered(self, tmp_path):
        summer = datetime(2026, 7, 1, 1, tzinfo=timezone(timedelta(hours=2)))
        text = zoo.index_yaml([entry(tmp_path, registered=summer)])
        assert "registered: '2026-06-30T23:00:00Z'" in text

    def test_a_signature_of_another_task_is_refused(self, tmp_path):
        other = signature().model_copy(update={"task": "forecast"})
        with pytest.raises(InputError, match=r"task 'forecast', version 1 of anomaly about 'anomaly'; pair them"):
            Entry.of(statement(write_candidate(tmp_path)), other, status="registered", signer=None)

    def test_a_headline_without_a_score_is_refused(self, tmp_path):
        with pytest.raises(InputError, match="no score of its headline vus_pr; register it again"):
            entry(tmp_path, metrics={})


class TestIndex:
    def test_equal_entries_give_equal_bytes_in_whatever_order(self, entries):
        before = zoo.index_yaml(entries), zoo.index_markdown(entries), zoo.index_svg(entries)
        for seed in range(5):
            mixed = Random(seed).sample(entries, len(entries))
            assert (zoo.index_yaml(mixed), zoo.index_markdown(mixed), zoo.index_svg(mixed)) == before

    def test_it_reads_back_what_it_wrote(self, entries):
        text = zoo.index_yaml(entries)
        assert sorted(zoo.parse(text), key=lambda one: one.label) == sorted(entries, key=lambda one: one.label)
        assert zoo.index_yaml(zoo.parse(text)) == text

    def test_an_undefined_score_and_an_unknown_energy_survive(self, tmp_path):
        undefined = Score(value=np.nan, low=np.nan, high=np.nan, units=0)
        text = zoo.index_yaml([entry(tmp_path, metrics={"vus_pr": undefined}, training_energy=None, dirty=None)])
        assert zoo.index_yaml(zoo.parse(text)) == text
        assert "undefined" in zoo.index_markdown(zoo.parse(text))

    def test_another_program_reads_it(self, entries):
        tree = yaml.safe_load(zoo.index_yaml(entries))
        assert [(one["name"], one["version"]) for one in tree["versions"]] == [
            ("anomaly", "10"),
            ("anomaly", "2"),
            ("anomaly", "1"),
            ("forecast", "1"),
        ]
        assert tree["versions"][0]["energy_per_1000"]["provenance"] == "estimated"

    def test_a_version_twice_is_refused(self, entries):
        with pytest.raises(InputError, match="anomaly version 2 stands twice"):
            zoo.index_yaml([*entries, entries[1]])

    def test_no_version_is_an_index_too(self, tmp_path):
        zoo.write(tmp_path, [])
        assert zoo.validate(tmp_path, []) == []
        assert "No version is registered yet." in (tmp_path / "index.md").read_text()

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "index.yaml is not what it must be"),
            ("format: 1\n", "versions is not what it must be: Field required"),
            ("format: 2\nversions: []\n", "format is not what it must be"),
            ("format: 1\nversions: []\nmore: 1\n", "more is not what it must be: Extra inputs"),
            ("format: 1\nformat: 1\nversions: []\n", "the key 'format' stands twice"),
            ("format: 1\nversions: &a [*a]\n", "reference"),
            ("format: 1\nversions: !!python/object/apply:os.getcwd []\n", "could not determine a constructor"),
            ("format: 1\nversions: [2026-01-01]\n", "not JSON serializable"),
            ("format: 1\nversions: [.nan]\n", "Out of range float"),
            ("[" * 10_000, "nested too deeply"),
            ("format: 1\nversions: {\n", "cannot be read"),
            ("a: \0\n", "cannot be read"),
        ],
    )
    def test_what_is_no_index_is_refused_in_a_sentence(self, text, message):
        with pytest.raises(InputError, match=re.escape(message)) as caught:
            zoo.parse(text)
        assert str(caught.value).endswith("; run `wattline zoo` to write it again")
        assert "\n" not in str(caught.value)


class TestPage:
    def test_every_row_of_a_table_has_as_many_cells_as_its_header(self, entries):
        tables = re.findall(r"(?:^\|.*\|\n)+", zoo.index_markdown(entries), flags=re.MULTILINE)
        assert len(tables) == 1 + 2 * 6
        for rows in tables:
            assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows.splitlines()}) == 1

    def test_it_says_which_version_serves(self, entries):
        text = zoo.index_markdown(entries)
        assert re.search(r"^\| anomaly \| 2 \| vus_pr 0\.53 .* \| 12 J .*, estimated \| 3 \|$", text, re.MULTILINE)
        assert re.search(r"^\| forecast \| none \|", text, re.MULTILINE)

    def test_the_newest_version_comes_first(self, entries):
        part = zoo.index_markdown(entries).split("### Versions")[1].split("###")[0]
        assert re.findall(r"^\| (\d+) \|", part, re.MULTILINE) == ["10", "2", "1"]

    def test_every_energy_has_its_unit_and_provenance(self, entries):
        cells = re.findall(r"\| ([^|]* J [^|]*) \|", zoo.index_markdown(entries))
        assert len(cells) > len(entries)
        assert all(re.fullmatch(r"\S+ J \\\[\S+, \S+\\\], (estimated|measured)", cell) for cell in cells)

    def test_what_was_measured_is_not_called_an_estimate(self, tmp_path):
        measured = energy().model_copy(update={"provenance": "measured"})
        text = zoo.index_markdown([entry(tmp_path, energy_per_1000=measured, training_energy=None)])
        assert "12 J \\[10.8, 13.2\\], measured | not known |" in text

    def test_it_says_what_a_client_must_send_otherwise(self, entries):
        text = zoo.index_markdown(entries)
        assert "- Version 10 reads other features than version 2: with humidity \\[%\\]." in text
        assert text.count("reads other features") == 1

    def test_it_says_what_was_read_for_the_energy(self, entries):
        text = zoo.index_markdown(entries)
        assert text.count("| energy | CPU time x 12.5 W/core; one core |") == 2

    def test_it_names_the_key_and_where_a_version_is_from(self, entries):
        text = zoo.index_markdown(entries)
        assert f"| `{signing_key().public.id[:12]}` | here |" in text
        assert "| nobody | elsewhere |" in text

    def test_it_links_to_the_card_that_was_registered(self, cards):
        text = (cards / "index.md").read_text()
        assert re.findall(r"\]\(([^)]+)\)", text) == ["anomaly.md", "index.svg", "anomaly.md"]
        assert text.count("[2](anomaly.md)") == 2

    def test_another_page_of_that_name_is_no_card(self, cards, entries):
        (cards / "anomaly.md").write_text("# of the next candidate\n")
        zoo.write(cards, entries)
        assert re.findall(r"\]\(([^)]+)\)", (cards / "index.md").read_text()) == ["index.svg"]

    @pytest.mark.parametrize("task", ["../anomaly", "/anomaly", "..", "a/anomaly", "", "a\0"])
    def test_no_name_of_a_task_leads_out_of_the_folder(self, tmp_path, task):
        (tmp_path / "cards" / "a").mkdir(parents=True)
        for place in (tmp_path, tmp_path / "cards" / "a"):
            (place / "anomaly.md").write_text(CARD)
        foreign = entry(tmp_path).model_copy(update={"task": task, "card": zoo.CardPage(sha256=PAGE)})
        (found,) = zoo.linked([foreign], tmp_path / "cards")
        assert found.card.path is None

    @pytest.mark.parametrize(
        "text",
        ["<script>x</script>", "[a](http://evil)", "![a](x.png)", "a | b", "`a", "# a\n\n- b", "**a**", "&lt;", "\\"],
    )
    def test_words_of_another_site_stay_words(self, tmp_path, text):
        summary = {"purpose": text, "owner": text}
        columns = (Column(name=text, unit=text, description=text),)
        foreign = entry(tmp_path, name="foreign", imported_from=text)
        features = foreign.features.model_copy(update={"columns": columns})
        update = {"name": text, "model": text, "commit": text, "features": features}
        foreign = foreign.model_copy(update=update | {"summary": foreign.summary.model_copy(update=summary)})
        rendered = html(zoo.index_markdown([foreign]))
        plainly = html(zoo.index_markdown([entry(tmp_path)]))
        for tag in ("<a ", "<img", "<script", "<li>", "<h1>", "<em>"):
            assert rendered.count(tag) == plainly.count(tag)
        assert len(re.findall("<td>", rendered)) == len(re.findall("<td>", plainly)) - 2 * 3


class TestPicture:
    """Score against energy of what can be compared."""

    def version(self, folder: Path, number: int, *, score: float, joules: float, **more) -> Entry:
        found = Score(value=score, low=score - 0.1, high=score + 0.1, units=3)
        cost = energy(joules).model_copy(update={"provenance": more.pop("provenance", "estimated")})
        return entry(folder, number, metrics={"vus_pr": found}, energy_per_1000=cost, **more)

    def drawn(self, entries: Sequence[Entry]) -> list[str]:
        """Every text of the picture, which is well-formed XML."""
        picture = ElementTree.fromstring(zoo.index_svg(entries))
        return [str(one.text) for one in picture.iter("{http://www.w3.org/2000/svg}text")]

    def test_it_names_those_that_no_other_beats_in_both(self, tmp_path):
        versions = [
            self.version(tmp_path, 1, score=0.5, joules=10),
            self.version(tmp_path, 2, score=0.6, joules=20),
            self.version(tmp_path, 3, score=0.5, joules=20),
            self.version(tmp_path, 4, score=0.6, joules=20),
        ]
        assert "anomaly: no version beats 4, 2, 1 in both score and energy" in self.drawn(versions)

    def test_where_lower_is_better_the_lower_one_wins(self, tmp_path):
        delay = Metric(name="vus_pr", unit="s", higher_is_better=False, description="delay")
        versions = [self.version(tmp_path, at, score=at, joules=10, headline=delay) for at in (1, 2)]
        texts = self.drawn(versions)
        assert "anomaly: no version beats 1 in both score and energy" in texts
        assert "vus_pr [s], lower is better" in texts
        assert "energy of 1,000 predictions [J], lower is better" in texts

    def test_what_was_scored_on_other_data_is_left_out_and_counted(self, tmp_path):
        other = self.version(tmp_path, 1, score=0.9, joules=1)
        other = other.model_copy(update={"dataset": zoo.Dataset(name="other", id="other")})
        undefined = entry(tmp_path, 2, metrics={"vus_pr": Score(value=np.nan, low=np.nan, high=np.nan, units=0)})
        texts = self.drawn([other, undefined, self.version(tmp_path, 3, score=0.5, joules=10, status="champion")])
        assert any("; 2 of other data or without a score left out" in text for text in texts)
        assert "3 serves" in texts

    def test_an_estimate_is_drawn_hollow(self, tmp_path):
        for provenance, fill in (("estimated", "white"), ("measured", "#9aa5b1")):
            picture = zoo.index_svg([self.version(tmp_path, 1, score=0.5, joules=10, provenance=provenance)])
            assert re.findall(r'<circle [^>]*fill="([^"]+)"', picture) == [fill]

    @pytest.mark.parametrize("joules", [0.0, 1e-9, 12.0, 1e12])
    @pytest.mark.parametrize("score", [0.0, -1.0, 1e-12, 1e9])
    def test_every_point_is_inside(self, tmp_path, score, joules):
        picture = zoo.index_svg([self.version(tmp_path, 1, score=score, joules=joules)])
        for x, y in re.findall(r'<circle cx="(\S+)" cy="(\S+)"', picture):
            assert 80 < float(x) < 870
            assert 64 < float(y) < 280

    def test_without_a_score_there_is_nothing_to_draw(self, tmp_path):
        undefined = Score(value=np.nan, low=np.nan, high=np.nan, units=0)
        assert self.drawn([entry(tmp_path, metrics={"vus_pr": undefined})]) == [
            "anomaly: no version has a defined score"
        ]
        assert self.drawn([]) == []

    def test_no_name_breaks_it(self, tmp_path):
        foreign = entry(tmp_path).model_copy(update={"name": "</svg>\x01<script>&"})
        assert any("</svg><script>&" in text for text in self.drawn([foreign]))


class TestValidation:
    def test_what_was_written_holds(self, found):
        assert found() == []

    def test_a_changed_schema_is_a_note(self, cards, entries):
        (note,) = zoo.validate(cards, entries)
        assert note.note
        assert str(note).startswith("anomaly version 10: features differ from those of version 2: with humidity [%]; ")

    @pytest.mark.parametrize("name", ["index.yaml", "index.md", "index.svg"])
    def test_an_absent_file_is_named(self, cards, found, name):
        (cards / name).unlink()
        (problem,) = found()
        assert str(problem) == f"{name} cannot be read (FileNotFoundError); run `wattline zoo` to write it again"

    @pytest.mark.parametrize("name", ["index.yaml", "index.md", "index.svg"])
    def test_a_file_that_is_no_text_is_named(self, cards, found, name):
        (cards / name).write_bytes(b"\xff")
        assert [str(problem).split(";")[0] for problem in found()] == [f"{name} is no UTF-8 text"]

    @pytest.mark.parametrize(
        ("old", "new", "field"),
        [
            ("status: champion", "status: registered", "status"),
            ("value: 0.53", "value: 0.99", "metrics.vus_pr.value"),
            ("joules: 12.0", "joules: 1.0", "energy_per_1000.joules"),
            ("provenance: estimated", "provenance: measured", "energy_per_1000.provenance"),
            ("outcome: PASS", "outcome: FAIL", "gates.0.outcome"),
            ("unit: degC", "unit: K", "features.columns.1.unit"),
            ("steps: 4", "steps: 5", "features.steps"),
            ("cadence_seconds: 60.0", "cadence_seconds: 30.0", "features.cadence_seconds"),
            ("dirty: false", "dirty: true", "dirty"),
            (f"signer: {signing_key().public.id}", "signer: null", "signer"),
            ("imported_from: elsewhere", "imported_from: null", "imported_from"),
            ("path: anomaly.md", "path: other.md", "card.path"),
        ],
    )
    def test_what_the_registry_does_not_say_is_named(self, cards, found, old, new, field):
        replaced(cards / "index.yaml", old, new, 1)
        problem, *others = found()
        assert problem.field == field
        assert re.match(r"(anomaly version (2|10)|forecast version 1): ", str(problem))
        assert problem.remedy == "run `wattline zoo` to write it again"
        assert all(other.entry in ("index.md", "index.svg") for other in others)

    @pytest.mark.parametrize("name", ["model.onnx", "signature.json", "weights.safetensors"])
    def test_another_digest_of_a_file_is_named(self, cards, entries, found, name):
        digest = entries[1].files[name]
        replaced(cards / "index.yaml", digest, "f" * 64)
        assert f"anomaly version 2: files.{name} is '{'f' * 64}', the registry says '{digest}'; " in "\n".join(
            map(str, found())
        )

    def test_a_version_without_an_entry_is_named(self, cards, entries, found):
        zoo.write(cards, entries[1:])
        (problem,) = found()
        assert str(problem).startswith("anomaly version 1 is registered and has no entry; ")

    def test_an_entry_without_a_version_is_named(self, cards, entries):
        problems = [str(problem) for problem in zoo.validate(cards, entries[1:]) if not problem.note]
        assert problems == ["anomaly version 1 is not in the registry; run `wattline zoo` to write it again"]

    def test_two_entries_of_a_version_are_named(self, cards, found):
        head, *parts = (cards / "index.yaml").read_text().split("\n- name: ")
        (cards / "index.yaml").write_text("\n- name: ".join([head, parts[0], *parts]))
        assert "anomaly version 10 has 2 entries" in str(found()[0])

    def test_two_champions_of_a_model_are_named(self, cards, entries, tmp_path):
        both = [*entries, entry(tmp_path / "more", 11, status="champion")]
        zoo.write(cards, both)
        (problem,) = [one for one in zoo.validate(cards, both) if not one.note]
        assert str(problem).startswith("anomaly: status is champion for 2 versions, one is possible")

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("  steps: 4", "  steps: '4'", "anomaly version 10: features.steps is not what it must be"),
            (
                "parameters: 4",
                "parameters: 4\n  colour: blue",
                "anomaly version 10: colour is not what it must be: Extra",
            ),
            ("status: challenger", "status: best", "anomaly version 10: status is not what it must be"),
            ("version: '10'", "version: 10", "anomaly version 10: version is not what it must be"),
            ("path: anomaly.md", "path: ../anomaly.md", "anomaly version 2: card.path is not what it must be"),
            ("name: vus_pr\n", "name: other\n", "anomaly version 10 is not what it must be: Value error, the headline"),
        ],
    )
    def test_a_field_that_is_no_such_thing_is_named(self, cards, found, old, new, message):
        replaced(cards / "index.yaml", old, new, 1)
        assert str(found()[0]).startswith(message)

    @pytest.mark.parametrize(
        ("columns", "message"),
        [
            ((COLUMNS[0], COLUMNS[0]), "features.columns holds 'power' 2 times"),
            ((Column(name="power", unit=" "),), "features.columns.power.unit is empty"),
            ((), "features.columns is empty"),
        ],
    )
    def test_a_schema_nobody_can_follow_is_named(self, tmp_path, columns, message):
        version = entry(tmp_path / "candidates", columns=columns)
        zoo.write(tmp_path, [version])
        (problem,) = zoo.validate(tmp_path, [version])
        assert str(problem).startswith(f"anomaly version 1: {message}")
        assert "signature.json" in problem.remedy

    def test_a_comment_in_the_index_is_an_edit(self, cards, found):
        (cards / "index.yaml").write_text((cards / "index.yaml").read_text() + "# mine\n")
        assert [str(one).split(":")[0] for one in found()] == ["index.yaml was edited"]

    @pytest.mark.parametrize("name", ["index.md", "index.svg"])
    @pytest.mark.parametrize("change", ["flipped", "cut", "longer", "carriage returns"])
    def test_an_edited_page_or_picture_is_named_with_its_first_line(self, cards, found, change, name):
        path = cards / name
        content = path.read_bytes()
        path.write_bytes(
            {
                "flipped": content.replace(b"anomaly", b"forecast", 1),
                "cut": content[: len(content) // 2],
                "longer": content + b"more\n",
                "carriage returns": content.replace(b"\n", b"\r\n"),
            }[change]
        )
        (problem,) = found()
        assert re.fullmatch(rf"{re.escape(name)}: line \d+ is not what index\.yaml says; run .*", str(problem))

    def test_a_card_that_was_replaced_is_named(self, cards, found):
        (cards / "anomaly.md").write_text("# of the next candidate\n")
        (problem,) = found()
        assert str(problem).startswith("anomaly version 2: card.path is 'anomaly.md', model_cards/ holds absent")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"columns": COLUMNS[:2]}, "without load [%]"),
        ({"columns": COLUMNS[::-1]}, "columns in another order"),
        ({"columns": (Column(name="power", unit="kW"), *COLUMNS[1:])}, "with power [kW]; without power [W]"),
        ({"columns": (COLUMNS[0].model_copy(update={"description": "of the node"}), *COLUMNS[1:])}, ""),
        ({"steps": 8}, "8 rows of history instead of 4"),
    ],
)
def test_a_change_of_the_schema_is_said_in_words(tmp_path, changes, words):
    versions = entry(tmp_path, 1), entry(tmp_path, 2, **changes)
    zoo.write(tmp_path, versions)
    notes = zoo.validate(tmp_path, versions)
    assert [note.note for note in notes] == [True] * bool(words)
    assert all(f"version 1: {words};" in str(note) for note in notes)
