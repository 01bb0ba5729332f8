"""Where people must agree, a version is promoted once enough different ones did, to what they saw."""

import pytest
from builders import measurement

from tests.registry.project import acts, alias, candidate, following, log, opened, promoted, refused, register
from wattline import files
from wattline.errors import InputError, RejectedError
from wattline.registry import approval, promotion, registration
from wattline.settings import settings


class Person:
    """Somebody who starts manual jobs in GitLab."""

    def __init__(self, patch: pytest.MonkeyPatch, name: str, *, manual: bool = True) -> None:
        self.job = {"CI": "true", "CI_JOB_MANUAL": str(manual).lower(), "CI_JOB_URL": f"https://ci.example.org/{name}"}
        self.job |= {"GITLAB_USER_LOGIN": name}
        self.patch = patch

    def approve(self, version: str | None = None, reason: str = "") -> str:
        self._act()
        with opened() as found:
            return approval.approve(found, version, reason=reason)[1].name

    def promote(self, needed: int, version: str | None = None) -> str:
        self._act()
        with opened(approvals=needed) as found:
            return promotion.promote(found, version)

    def _act(self) -> None:
        for name, value in self.job.items():
            self.patch.setenv(name, value)
        settings.cache_clear()


@pytest.fixture
def ada(project: object, monkeypatch: pytest.MonkeyPatch) -> Person:
    register()
    return Person(monkeypatch, "ada")


@pytest.fixture
def bot(ada: Person) -> Person:
    return Person(ada.patch, "bot", manual=False)


def test_an_approval_says_who_when_and_on_what_evidence(ada: Person):
    assert ada.approve(reason="looked at rack 7") == "ada"
    register_entry, entry = log()
    assert (entry.actor.name, entry.actor.kind, entry.actor.job) == ("ada", "person", "https://ci.example.org/ada")
    assert (entry.version, entry.digest, entry.reason) == ("1", candidate().digest, "looked at rack 7")
    assert entry.evidence == register_entry.evidence
    assert entry.at >= register_entry.at


def test_without_an_approval_a_job_promotes_nothing(bot: Person):
    with pytest.raises(RejectedError, match=r"version 1 of anomaly is approved by 0 of 1 people \(nobody\)"):
        bot.promote(1)
    assert (alias(), acts()) == (None, [("register", "1")])
    assert refused()[-1].startswith("promote: version 1 of anomaly is approved by 0 of 1")


def test_one_approval_is_enough_where_one_is_needed(ada: Person, bot: Person):
    ada.approve()
    assert bot.promote(1) == "1"
    assert log()[-1].reason == "approved by ada"


def test_the_same_person_twice_counts_once(ada: Person, bot: Person):
    ada.approve()
    ada.approve()
    assert acts() == [("register", "1"), ("approve", "1")]
    with pytest.raises(RejectedError, match=r"approved by 1 of 2 people \(ada\)"):
        bot.promote(2)
    Person(ada.patch, "grace").approve()
    assert bot.promote(2) == "1"
    assert log()[-1].reason == "approved by ada, grace"


def test_who_starts_the_promotion_by_hand_agrees_to_it(ada: Person):
    assert ada.promote(1) == "1"
    assert acts() == [("register", "1"), ("approve", "1"), ("promote", "1")]
    assert (log()[1].actor.name, log()[1].reason) == ("ada", "started the job by hand")


def test_who_starts_it_and_approved_before_counts_once(ada: Person):
    ada.approve()
    with pytest.raises(RejectedError, match="1 of 2"):
        ada.promote(2)
    assert acts() == [("register", "1"), ("approve", "1")]


def test_who_runs_it_at_a_desk_has_to_approve_in_words(ada: Person):
    with opened(approvals=1) as found:
        with pytest.raises(RejectedError, match="approved by 0 of 1"):
            promotion.promote(found)
        approval.approve(found)
        assert promotion.promote(found) == "1"


def test_a_job_that_nobody_started_by_hand_approves_nothing(bot: Person):
    with pytest.raises(InputError, match="nobody started this CI job by hand"):
        bot.approve()
    assert acts() == [("register", "1")]


def test_a_manual_job_of_nobody_known_approves_nothing(ada: Person):
    ada.job["GITLAB_USER_LOGIN"] = ""
    with pytest.raises(InputError, match="nobody started this CI job by hand"):
        ada.approve()
    with pytest.raises(RejectedError, match="approved by 0 of 1"):
        ada.promote(1)


def test_an_approval_of_one_version_is_none_of_the_next(project: object, monkeypatch: pytest.MonkeyPatch):
    promoted()
    following(b"second")
    ada, bot = Person(monkeypatch, "ada"), Person(monkeypatch, "bot", manual=False)
    ada.approve("1")
    with pytest.raises(RejectedError, match="version 2 of anomaly is approved by 0 of 1"):
        bot.promote(1)


def test_a_new_statement_needs_new_approvals(ada: Person, bot: Person):
    ada.approve()
    with opened() as found:
        (run_id,) = {one.run_id for one in found.client.search_model_versions()}
        cost = measurement(candidate()).model_copy(update={"machine": "another one"})
        files.write_text(files.report_path("measure"), cost.to_json())
        found.client.log_artifact(run_id, str(files.report_path("measure")), "reports")
        registration.sign(found)
    with pytest.raises(RejectedError, match="approved by 0 of 1"):
        bot.promote(1)
    ada.approve()
    assert bot.promote(1) == "1"


def test_what_could_not_be_promoted_anyway_cannot_be_approved(ada: Person):
    with opened() as found:
        found.client.set_model_version_tag("anomaly", "1", "wattline.decision", "rejected")
    with pytest.raises(RejectedError, match="was not accepted"):
        ada.approve()
    with pytest.raises(InputError, match="no version '7'"):
        ada.approve("7")
    assert acts() == [("register", "1")]
