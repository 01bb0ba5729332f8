"""The command line: every error is one line and an exit code, and help comes at once."""

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from stages.conftest import ROOT
from wattline import cli, files, stages
from wattline.errors import InputError, IntegrityError, RejectedError, WattlineError
from wattline.records import Decision, Verdict
from wattline.stages import STAGES

HEAVY = ("torch", "mlflow", "great_expectations", "evidently", "pyarrow", "pandas", "matplotlib", "onnx", "onnxruntime")
VERBS = ("run", "card", "decision", "champion", "register", "promote", "serve", "demo")


@pytest.fixture(autouse=True)
def empty_project(tmp_path, monkeypatch, clean):
    """A project that holds nothing but its params and its task."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "project").symlink_to(ROOT / "src" / "project")
    return tmp_path


def wattline(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a person would."""
    return subprocess.run(
        [sys.executable, "-m", "wattline", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"COLUMNS": "120"},
    )


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """What it said, which must be one line about the error and nothing else."""
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("wattline: ")
    return line


class TestProcesses:
    def test_help_names_every_verb(self):
        done = wattline("--help")
        assert done.returncode == 0
        for verb in VERBS:
            assert f" {verb} " in done.stdout

    def test_an_absent_report_is_one_line_and_exit_2(self):
        done = wattline("decision")
        assert done.returncode == 2
        assert one_line(done) == "wattline: reports/decide.json is missing; run `dvc repro` to make it"

    def test_outside_a_project_it_says_where_to_run(self, empty_project):
        (empty_project / "params.yaml").unlink()
        done = wattline("run", "ingest")
        assert done.returncode == 2
        assert "run this in the project's root folder" in one_line(done)

    def test_an_unknown_verb_is_exit_2_without_a_traceback(self):
        done = wattline("fly")
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        assert "fly" in done.stderr

    def test_help_imports_nothing_heavy(self):
        program = (
            "import sys, json\n"
            "from wattline.cli import app\n"
            "try:\n"
            "    app(['--help'])\n"
            "except SystemExit as end:\n"
            "    assert not end.code\n"
            "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))\n"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert not set(json.loads(done.stdout.splitlines()[-1])) & {*HEAVY, "numpy", "rich"}

    @pytest.mark.parametrize("module", ["wattline.stages", "wattline.params", "wattline.files", "wattline.splits"])
    def test_the_nouns_import_nothing_heavy(self, module):
        program = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert not set(done.stdout.split()) & set(HEAVY)


class TestErrors:
    """Whatever a verb raises of Wattline's own, a person sees one line and a program its exit code."""

    @pytest.mark.parametrize(
        ("error", "code"), [(WattlineError, 1), (RejectedError, 1), (InputError, 2), (IntegrityError, 2)]
    )
    def test_each_kind_has_its_exit_code(self, monkeypatch, capsys, error, code):
        def fail(stage: str) -> None:
            raise error(f"{stage}: it is broken; mend it")

        monkeypatch.setattr(stages, "run", fail)
        monkeypatch.setattr(sys, "argv", ["wattline", "run", "train"])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == code
        assert capsys.readouterr() == ("", "wattline: train: it is broken; mend it\n")

    def test_success_is_exit_0(self, monkeypatch):
        done: list[str] = []
        monkeypatch.setattr(stages, "run", done.append)
        monkeypatch.setattr(sys, "argv", ["wattline", "run", "train"])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert not ended.value.code
        assert done == ["train"]

    def test_a_defect_of_wattline_itself_is_not_hidden(self, monkeypatch):
        monkeypatch.setattr(stages, "run", lambda stage: 1 / 0)
        monkeypatch.setattr(sys, "argv", ["wattline", "run", "train"])
        with pytest.raises(ZeroDivisionError):
            cli.main()


def refused(*arguments: str, kind: type[WattlineError] = InputError) -> str:
    """The message of the error that a verb raises."""
    result = CliRunner().invoke(cli.app, arguments)
    assert isinstance(result.exception, kind), result.exception
    return str(result.exception)


def test_a_name_that_is_no_stage_lists_the_stages():
    assert refused("run", "trian") == f"'trian' is not a stage; stages: {', '.join(STAGES)}"


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage not in ("ingest", "decide")])
def test_a_stage_without_its_inputs_names_the_first(stage):
    message = refused("run", stage)
    assert " is missing; run `dvc repro` to make it" in message


@pytest.mark.parametrize("verb", ["champion", "register", "promote", "serve", "run"])
def test_a_wrong_value_in_the_params_is_told_by_every_verb(empty_project, verb):
    path = empty_project / "params.yaml"
    path.write_text(path.read_text().replace("seed: 7", "seed: -7", 1))
    assert refused(verb, *(["train"] if verb == "run" else [])) == "params.yaml: seed must be >= 0, got -7"


def test_a_candidate_that_is_not_there_cannot_be_registered():
    assert "wattline keys new" in refused("register")
    assert CliRunner().invoke(cli.app, ["keys", "new"]).exit_code == 0
    assert "models/candidate/candidate.json is missing" in refused("register")


def test_without_a_registry_there_is_no_champion_and_that_is_no_error():
    result = CliRunner().invoke(cli.app, ["champion"])
    assert (result.exit_code, result.output) == (0, "champion: none yet\n")
    assert json.loads((files.CHAMPION / "champion.json").read_text()) == {"version": None, "digest": None}


def test_a_decision_is_printed_with_a_line_for_each_gate():
    verdicts = [Verdict(name=name, passed=name == "data", value=1, limit=2, reason="so") for name in ("data", "energy")]
    files.write_report("decide", Decision(candidate="aa", data="bb", verdicts=tuple(verdicts)))
    result = CliRunner().invoke(cli.app, ["decision"])
    assert result.exit_code == 0
    for verdict in verdicts:
        assert any(verdict.name in line and verdict.outcome in line for line in result.output.splitlines())


def test_a_card_can_be_checked(finished, capsys):
    """`finished` holds the records of another task, which the card of this one is made from."""
    (finished / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    (finished / "src").mkdir()
    (finished / "src" / "project").symlink_to(ROOT / "src" / "project")
    assert CliRunner().invoke(cli.app, ["card"]).exception is None
    assert CliRunner().invoke(cli.app, ["card", "--check"]).exception is None
    card = next(files.CARDS.glob("*.md"))
    card.write_text(card.read_text().replace("accepted", "perfect").replace("rejected", "perfect"))
    assert f"{card} is stale" in refused("card", "--check", kind=WattlineError)
