"""Sources by name: unknown ones name the known ones, and a fork can bring its own."""

import sys
from pathlib import Path

import pytest

from wattline import files, splits
from wattline.errors import InputError
from wattline.sources import check_names, open_source
from wattline.sources.registry import MODULES

from .conftest import run

OWN = """
import numpy as np
from wattline.params import Section
from wattline.records import Column
from wattline.sources import Source, UnitSeries
from wattline.task import Series

class Options(Section):
    rows: int = 5

def open(options, *, seed):
    def units():
        for name in {names}:
            times = np.datetime64("2026-01-05", "ns") + np.arange(options.rows) * np.timedelta64(60, "s")
            values = np.full((options.rows, 1), seed, dtype=np.float32)
            yield UnitSeries(Series(name, name, times, values, np.full(options.rows, np.nan)), ("power",))
            {after}
    return Source("own", "local", "MIT", "none", 60, (Column(name="power", unit="W"),), False, units())
"""


@pytest.fixture
def own(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(project))

    def write(text: str) -> str:
        (project / "fork").mkdir(exist_ok=True)
        (project / "fork" / "__init__.py").touch()
        (project / "fork" / "source.py").write_text(text)
        for name in ("fork", "fork.source"):
            sys.modules.pop(name, None)
        return "fork.source"

    yield write
    for name in ("fork", "fork.source"):
        sys.modules.pop(name, None)


def test_an_unknown_source_is_refused_with_the_known_names(refused):
    message = refused("collectd", "ingest.source is 'collectd'", "project.source")
    assert all(name in message for name in MODULES)


@pytest.mark.parametrize("name", list(MODULES))
def test_an_unknown_option_is_refused_with_its_place(refused, name):
    needed = {"path": "x", "column_units": {}, "cadence_seconds": 1, "licence": "MIT", "citation": "mine"}
    options = needed if name in ("csv", "parquet") else {}
    refused(name, f"params.yaml: ingest.options.{name}.colour is not a known key", colour="red", **options)


def test_a_fork_brings_its_own_source_by_dotted_name(own):
    name = own(OWN.format(names=["n1", "n2"], after="pass"))
    run(name, seed=3, rows=4)
    dataset = splits.read_dataset()
    assert (dataset.source, dataset.rows, [unit.name for unit in dataset.units]) == (name, 8, ["n1", "n2"])
    assert splits.read_raw(dataset, "n2").values.tolist() == [[3.0]] * 4


def test_a_source_that_gives_no_samples_is_refused(own, refused):
    refused(own(OWN.format(names=[], after="pass")), "source own gave no samples; check ingest.options")


def test_a_source_that_breaks_half_way_leaves_what_was_there(own, refused):
    name = own(OWN.format(names=["n1", "n1"], after="pass"))
    refused(name, "unit 'n1' comes twice")


def test_an_unforeseen_error_half_way_leaves_what_was_there(own, project):
    run(own(OWN.format(names=["n1"], after="pass")))
    before = files.digests(Path("data"))
    with pytest.raises(ZeroDivisionError):
        run(own(OWN.format(names=["n1", "n2"], after="1 / 0")))
    assert files.digests(Path("data")) == before


def test_a_module_that_is_no_source_is_refused_by_what_it_lacks(own):
    with pytest.raises(InputError, match="it lacks Options, open"):
        open_source(own("pass"), {}, seed=0)
    with pytest.raises(InputError, match=r"Options must be a wattline\.params\.Section"):
        open_source(own("Options = dict\ndef open(options, *, seed): ..."), {}, seed=0)
    with pytest.raises(InputError, match=r"must return a wattline\.sources\.Source, got NoneType"):
        open_source(own(OWN.replace("return Source", "Source").format(names=[], after="pass")), {}, seed=0)


@pytest.mark.parametrize("name", ["fork.absent", ".relative", "fork..source"])
def test_a_module_that_cannot_be_imported_is_refused(own, name):
    own("pass")
    with pytest.raises(InputError, match=r"cannot be imported"):
        open_source(name, {}, seed=0)


def test_options_of_a_source_that_does_not_exist_are_refused():
    with pytest.raises(InputError, match=r"ingest\.options\.simulatr is for no source; known: simulator"):
        check_names(["smd", "my.own", "simulatr"])
