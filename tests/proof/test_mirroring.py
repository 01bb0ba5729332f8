"""What is registered reaches GitLab whole and once; what is missing for it is named, and the token never is."""

from collections.abc import Iterator

import pytest
from gitlab import standin
from gitlab.standin import API, GUEST, PROJECT, READER, Server

from tests.proof.site import NAME, Site
from wattline import files
from wattline.errors import InputError, WattlineError
from wattline.registry import mirroring
from wattline.registry.mirror import MirrorResult


@pytest.fixture
def server() -> Iterator[Server]:
    with standin.running() as running:
        yield running
        assert running.state.unmounted == []


@pytest.fixture
def variables(server: Server, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """As a job has them."""
    monkeypatch.setenv("CI_API_V4_URL", server.address.removesuffix(f"/projects/{PROJECT}"))
    monkeypatch.setenv("CI_PROJECT_ID", PROJECT)
    monkeypatch.setenv("WATTLINE_GITLAB_TOKEN", API)
    return monkeypatch


def mirror(site: Site, version: str | None = None) -> MirrorResult:
    with site.opened(reading=True) as found:
        return mirroring.mirror_version(found, version)


def test_it_arrives_whole_and_once(lived, server, variables):
    first, second = mirror(lived.site, "1"), mirror(lived.site, "1")
    assert (first.changed, second.changed) == (True, False)
    folder = lived.site.artifacts("1")
    wanted = {
        f"{part}/{name}": (folder / part / name).read_bytes()
        for part in ("candidate", "reports", "cards")
        for name in files.digests(folder / part)
    }
    found = server.state.contents()
    assert wanted.items() <= found.items()
    assert found["statement.dsse.json"] == (folder / "statements/1/statement.dsse.json").read_bytes()


def test_who_is_champion_is_said_there(lived, server, variables):
    mirror(lived.site, "2")
    assert "1" in server.state.models[NAME]["description"]


def test_nobody_needs_a_signing_key(site, server, variables):
    site.register(b"one")
    site.private.unlink()
    assert mirror(site).changed


@pytest.mark.parametrize("absent", [["CI_API_V4_URL"], ["CI_PROJECT_ID", "WATTLINE_GITLAB_TOKEN"]])
def test_variables_that_are_not_set_are_named(lived, server, variables, absent):
    for name in absent:
        variables.delenv(name)
    with pytest.raises(InputError, match=rf"^{', '.join(absent)} (is|are) not set, .*; see docs/gitlab\.md$"):
        mirror(lived.site, "1")
    assert server.state.calls == []


@pytest.mark.parametrize("token", [READER, GUEST, "glpat-that-nobody-knows"])
def test_a_token_that_may_not_is_never_shown(lived, server, variables, token):
    variables.setenv("WATTLINE_GITLAB_TOKEN", token)
    with pytest.raises(InputError) as caught:
        mirror(lived.site, "1")
    assert token not in str(caught.value)
    assert server.state.writes == [] or server.state.versions == []


def test_one_that_was_altered_in_the_store_is_not_sent(site, server, variables):
    site.register(b"one")
    path = site.artifacts("1") / "reports" / "decide.json"
    path.write_text(path.read_text().replace("0.5", "0.6"))
    with pytest.raises(WattlineError):
        mirror(site)
    assert server.state.calls == []


def test_one_that_is_not_there_is_named(lived, server, variables):
    with pytest.raises(InputError, match="has no version '9'"):
        mirror(lived.site, "9")
