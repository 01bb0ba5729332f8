"""The bill of an environment: every distribution, valid CycloneDX, equal for equal environments, true to its lock."""

import json
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from wattline.errors import InputError, WattlineError
from wattline.supply import bill, packages, sbom
from wattline.supply.packages import Package

LOCK = Path(__file__).parents[2] / "requirements" / "core.lock"
SMALL = {
    "app": Package(name="app", version="1.0", licence="MIT", requires=("base", "torch")),
    "base": Package(name="base", version="2.0.1", licence="Apache-2.0 OR MIT", hashes=("a" * 64, "b" * 64)),
    "torch": Package(name="torch", version="2.13.0+cpu", licence="a licence of our own", hashes=("c" * 64,)),
}


def parsed(found: Mapping[str, Package]) -> dict[str, Any]:
    text = sbom.render(found, name="training", python="3.11.9")
    assert bill.validate(text) is None
    content: dict[str, Any] = json.loads(text)
    return content


def by_name(content: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in content["components"]}


@pytest.fixture(scope="module")
def found() -> dict[str, Package]:
    return packages.installed(LOCK)


@pytest.fixture(scope="module")
def content(found) -> dict[str, Any]:
    return parsed(found)


class TestHere:
    """The environment that these tests run in."""

    def test_every_distribution_is_there_with_its_version(self, content):
        wanted = {packages.normalise(one.name): metadata.version(one.name) for one in metadata.distributions()}
        assert {one["name"]: one["version"] for one in content["components"]} == wanted

    def test_hashes_are_those_of_the_lock(self, content):
        numpy = by_name(content)["numpy"]
        text = LOCK.read_text().split(f"\nnumpy=={numpy['version']}")[1].split("# via")[0]
        assert numpy["hashes"]
        assert all(one["content"] in text for one in numpy["hashes"])
        assert len(numpy["hashes"]) == text.count("--hash=")

    def test_dependencies_are_those_of_the_metadata(self, content):
        depends = {one["ref"]: one["dependsOn"] for one in content["dependencies"]}
        assert {"library:numpy", "library:scipy", "library:joblib"} <= set(depends["library:scikit-learn"])
        # Through an optional part that requirements/core.in asks for.
        assert "library:cyclonedx-python-lib" in depends
        known = {sbom.SUBJECT, *(one["bom-ref"] for one in content["components"])}
        assert depends.keys() == known
        assert {other for others in depends.values() for other in others} <= known

    def test_optional_parts_count_once_something_asks_for_them(self, found):
        assert "httptools" in found["uvicorn"].requires or "uvicorn[standard]" not in LOCK.read_text()
        assert "pytest" not in found["numpy"].requires
        assert "pytest" not in found["scipy"].requires

    def test_licences_are_said_where_metadata_says_them(self, content):
        components = by_name(content)
        assert components["attrs"]["licenses"] == [{"license": {"id": "MIT"}}]
        assert all(len(one["licenses"]) == 1 for one in components.values() if "licenses" in one)
        assert sum("licenses" in one for one in components.values()) > 0.9 * len(components)

    def test_it_is_the_same_every_time(self, found):
        again = packages.installed(LOCK)
        assert again == found
        one, other = (sbom.render(each, name="n", python=platform.python_version()) for each in (found, again))
        assert one == other


class TestContent:
    def test_what_nothing_needs_is_what_the_environment_was_made_for(self):
        assert parsed(SMALL)["dependencies"] == [
            {"ref": "environment", "dependsOn": ["library:app"]},
            {"ref": "library:app", "dependsOn": ["library:base", "library:torch"]},
            {"ref": "library:base", "dependsOn": []},
            {"ref": "library:torch", "dependsOn": []},
        ]

    def test_licences_are_identifiers_expressions_or_words(self):
        components = by_name(parsed(SMALL))
        assert components["app"]["licenses"] == [{"license": {"id": "MIT"}}]
        assert components["base"]["licenses"] == [{"expression": "Apache-2.0 OR MIT"}]
        assert components["torch"]["licenses"] == [{"license": {"name": "a licence of our own"}}]

    def test_a_local_version_is_no_part_of_the_address(self):
        torch = by_name(parsed(SMALL))["torch"]
        assert (torch["version"], torch["purl"]) == ("2.13.0+cpu", "pkg:pypi/torch@2.13.0")

    def test_several_hashes_are_said_to_be_alternatives(self):
        components = by_name(parsed(SMALL))
        assert [one["content"] for one in components["base"]["hashes"]] == ["a" * 64, "b" * 64]
        assert "one of them was installed" in components["base"]["properties"][0]["value"]
        assert "properties" not in components["torch"]
        assert components["app"].get("hashes", []) == []

    def test_the_interpreter_is_said(self):
        subject = parsed(SMALL)["metadata"]["component"]
        assert (subject["name"], subject["properties"]) == (
            "training",
            [{"name": "wattline:python", "value": "3.11.9"}],
        )

    def test_the_order_does_not_matter_and_everything_else_does(self):
        def render(found: Mapping[str, Package], name: str = "n", python: str = "3.11.9") -> str:
            return sbom.render(found, name=name, python=python)

        text = render(SMALL)
        assert render(dict(reversed(SMALL.items()))) == text
        others = (
            render(SMALL | {"app": SMALL["app"].model_copy(update={"version": "1.1"})}),
            render({name: one for name, one in SMALL.items() if name != "base"}),
            render(SMALL, name="other"),
            render(SMALL, python="3.11.10"),
        )
        numbers = {json.loads(one)["serialNumber"] for one in (text, *others)}
        assert len(numbers) == 5

    def test_a_package_that_is_missing_is_no_dependency(self):
        content = parsed({"app": SMALL["app"]})
        assert content["dependencies"][1] == {"ref": "library:app", "dependsOn": []}

    def test_an_empty_environment_has_a_bill(self):
        assert parsed({})["components"] == []

    def test_packages_that_need_each_other_are_both_there(self):
        pair = {
            "a": Package(name="a", version="1", requires=("b",)),
            "b": Package(name="b", version="1", requires=("a",)),
        }
        assert set(by_name(parsed(pair))) == {"a", "b"}

    def test_what_is_not_valid_is_refused(self):
        wrong = {"a": Package.model_construct(name="a", version="1", hashes=("no digest",), requires=(), licence=None)}
        with pytest.raises(WattlineError, match=r"the bill of materials is not valid CycloneDX 1\.6: "):
            sbom.render(wrong, name="n", python="3.11.9")


class TestRecorded:
    def test_names_and_versions_are_enough(self):
        found = packages.recorded({"Numpy": metadata.version("numpy"), "Ruamel.YAML": "0.1"}, LOCK)
        assert list(found) == ["numpy", "ruamel-yaml"]
        assert found["numpy"].hashes == packages.installed(LOCK)["numpy"].hashes
        assert found["ruamel-yaml"] == Package(name="ruamel-yaml", version="0.1")
        assert set(by_name(parsed(found))) == {"numpy", "ruamel-yaml"}

    def test_another_version_has_no_hashes(self):
        assert packages.recorded({"numpy": "0.0.1"}, LOCK)["numpy"].hashes == ()


class TestLocks:
    def test_names_versions_and_hashes_are_read(self, tmp_path):
        lock = tmp_path / "some.lock"
        lock.write_text(
            f"# a comment\nA_b==1.0 \\\n    --hash=sha256:{'1' * 64} \\\n    --hash=sha256:{'0' * 64}\n    # via x\n"
            f"c[extra]==2.0+cpu ; python_version > '3' --hash=sha256:{'2' * 64}\nd==3\n"
        )
        assert packages.locked(lock) == {
            ("a-b", "1.0"): ("0" * 64, "1" * 64),
            ("c", "2.0"): ("2" * 64,),
            ("d", "3"): (),
        }

    def test_several_locks_add_up(self, tmp_path):
        for number in "12":
            (tmp_path / number).write_text(f"torch==1 --hash=sha256:{number * 64}\n")
        assert packages.locked(tmp_path / "1", tmp_path / "2") == {("torch", "1"): ("1" * 64, "2" * 64)}

    @pytest.mark.parametrize("content", [None, b"\xff\xfe"])
    def test_a_lock_that_cannot_be_read_is_named(self, tmp_path, content):
        path = tmp_path / "core.lock"
        if content:
            path.write_bytes(content)
        with pytest.raises(InputError, match=r"core\.lock cannot be read as a lock"):
            packages.installed(path)
