"""The pipeline of this project, executed: from a commit to a promoted model, and every way in which it must say no."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from backends.faults import Answer
from backends.processes import free_port

from gitlab.execute.events import branch, merge_request, schedule
from gitlab.execute.repository import git, params
from gitlab.execute.runner import Pipeline, Result
from gitlab.execute.site import Site
from wattline.stages import STAGES

pytestmark = pytest.mark.slow

IID = 7
TOPIC = "topic/scale"


def of_task(**changes: Any) -> Any:
    """A change of the task's knobs: section -> values."""

    def change(desk: Path) -> None:
        def edit(tree: Any) -> None:
            for section, values in changes.items():
                tree["node_anomaly"][section] |= values

        params(desk, edit)

    return change


def of_gates(**changes: Any) -> Any:
    """A change of limits: gate -> values."""

    def change(desk: Path) -> None:
        def edit(tree: Any) -> None:
            for gate, values in changes.items():
                tree["node_anomaly"]["gates"][gate] |= values

        params(desk, edit)

    return change


def in_shells(desk: Path) -> None:
    """Jobs without an image: those of a child pipeline are not expanded here, and an image is what cannot be run."""
    path = desk / "ci" / "base.yml"
    text = path.read_text()
    assert "\n  image: $WATTLINE_CI_IMAGE\n" in text
    path.write_text(text.replace("\n  image: $WATTLINE_CI_IMAGE\n", "\n"))


def ran(result: Result) -> set[str]:
    """Stages that some job of the pipeline ran, and did not take from the run cache."""
    said = [line for job in result.jobs.values() for line in job.said]
    lists = [match[1] for line in said if (match := re.search(r"repro: ran: ([^;]*);", line))]
    return {name for names in lists for name in names.split(", ")} - {"nothing"}


def green(result: Result) -> Result:
    assert result.green, result.report()
    return result


@pytest.fixture(scope="module")
def proposed(place: Site) -> Result:
    """The first merge-request pipeline: nothing was trained before, and nothing is champion."""
    place.origin.commit(TOPIC, of_task(train={"components": 5}), onto="main")
    place.open_merge_request(IID, TOPIC)
    return place.once(merge_request(TOPIC, iid=IID), whole=True)


@pytest.fixture(scope="module")
def proposed_again(place: Site, proposed: Result) -> Result:
    """The pipeline of the commit that brought dvc.lock back."""
    return place.once(merge_request(TOPIC, iid=IID))


@pytest.fixture(scope="module")
def merged(place: Site, proposed_again: Result) -> Iterator[tuple[Pipeline, Result]]:
    """The pipeline of the default branch after the merge, before anybody promotes."""
    place.origin.merge(TOPIC, into="main")
    made = place.pipeline(branch())
    yield made, made.run()
    made.close()


@pytest.fixture(scope="module")
def promoted(merged: tuple[Pipeline, Result]) -> Result:
    """After somebody pressed `promote`."""
    made, result = merged
    green(result)
    return made.press("promote")


class TestMergeRequest:
    def test_every_stage_runs_once_and_every_job_is_green(self, proposed: Result):
        green(proposed)
        assert set(proposed.jobs) == {"lint", "unit", "doctor", "data_prep", "train", "validate", "lock", "note"}
        assert ran(proposed) == set(STAGES)

    def test_one_note_says_the_decision_and_every_gate(self, place: Site, proposed: Result):
        (note,) = place.notes(IID)
        assert re.search(r"accepted|rejected", note, re.IGNORECASE), note
        for gate in ("integrity", "data", "quality", "champion", "slices", "robustness", "latency", "energy"):
            assert gate in note, note
        assert place.gitlab.state.uploads  # its pictures lie in the project itself
        assert place.gitlab.state.unmounted == []

    def test_lock_and_reports_come_back_to_the_source_branch(self, place: Site, proposed: Result):
        assert "train:" in place.origin.show(TOPIC, "dvc.lock")
        assert "verdicts" in place.origin.show(TOPIC, "reports/decide.json")
        assert place.origin.subject(TOPIC).startswith("chore(dvc): lock")

    def test_unchanged_inputs_train_nothing_and_the_note_stays_one(self, place: Site, proposed_again: Result):
        green(proposed_again)
        assert ran(proposed_again) == set()
        assert len(place.notes(IID)) == 1


class TestDefaultBranch:
    def test_nothing_runs_again_and_the_candidate_becomes_a_version(self, place: Site, merged: tuple[Pipeline, Result]):
        result = green(merged[1])
        assert ran(result) <= {"evaluate", "measure", "decide", "card"}
        assert place.aliases()["challenger"] == "1"

    def test_the_image_is_pushed_and_answers_in_staging(self, place: Site, merged: tuple[Pipeline, Result]):
        green(merged[1])
        assert place.running("staging") in place.pushed()

    def test_the_very_same_digest_is_promoted(self, place: Site, merged: tuple[Pipeline, Result], promoted: Result):
        tested = place.running("staging")
        green(promoted)
        assert place.running("production") == tested == place.tagged("production")
        assert place.aliases()["champion"] == "1"


class TestSchedule:
    def test_the_monitor_looks_and_opens_no_pipeline_without_evidence(self, place: Site, promoted: Result):
        green(place.once(schedule("monitor")))
        assert place.gitlab.state.pipelines == []

    def test_nightly_makes_the_champion_again_bit_for_bit(self, place: Site, promoted: Result):
        green(place.once(schedule("nightly")))


@dataclass(frozen=True)
class Shared:
    """What a pipeline that must change nothing has to leave as it was."""

    aliases: dict[str, str]
    images: set[str]
    production: str
    tag: str
    refs: str
    notes: list[str]
    data: set[str]

    @classmethod
    def of(cls, place: Site) -> "Shared":
        data = {str(path) for path in place.remote.rglob("*") if path.is_file()}
        images, tag = place.pushed(), place.tagged("production")
        return cls(
            place.aliases(), images, place.running("production"), tag, place.origin.refs(), place.notes(IID), data
        )


@pytest.fixture(scope="module")
def in_production(promoted: Result) -> None:
    green(promoted)


@pytest.mark.usefixtures("in_production")
class TestRefusals:
    def test_a_rejected_candidate_is_registered_nowhere_and_nothing_is_promoted(self, place: Site):
        place.origin.commit("main", of_gates(quality={"limit": 0.9999}))
        before = Shared.of(place)
        result = place.once(branch())
        assert "register ended with 1" in result.problems, result.report()
        assert "quality" in result.jobs["register"].tail
        assert not set(result.jobs) & {"build-image", "staging", "acceptance"}
        assert replace(Shared.of(place), data=before.data) == before

    def test_a_failing_smoke_test_in_production_brings_back_digest_and_alias(self, place: Site):
        place.origin.commit("main", of_gates(quality={"limit": 0.0}))
        place.origin.commit("main", of_task(train={"components": 4}))
        before = Shared.of(place)
        made = place.pipeline(branch())
        green(made.run())
        tested = place.running("staging")
        assert tested != before.production
        place.front.when(Answer(500), path="infer|predict", method="POST")
        result = made.press("promote")
        place.front.clear()
        made.close()
        assert "promote ended with 1" in result.problems, result.report()
        assert place.running("production") == before.production == place.tagged("production")
        assert place.aliases()["champion"] == before.aliases["champion"]

    @pytest.mark.nightly  # one whole pipeline more; tests/gitlab/golden.txt has its jobs
    def test_a_fork_is_judged_without_any_secret_and_touches_nothing(self, place: Site):
        git(place.folder, "clone", "--quiet", "--bare", place.origin.address, place.fork.folder.name)
        place.fork.commit("topic/fork", of_task(train={"components": 3}), onto="main")
        before = Shared.of(place)
        result = green(place.once(merge_request("topic/fork", iid=8, fork=True)))
        assert set(result.jobs) == {"doctor", "data_prep", "train", "validate"}
        assert Shared.of(place) == before
        for secret in place.secrets():
            assert secret not in result.text

    def test_a_stage_that_fails_in_a_child_pipeline_is_red(self, place: Site):
        place.origin.commit("topic/child", in_shells, onto="main")
        place.origin.commit("topic/child", of_task(prepare={"minimum_rows": 10**6}))
        settings = {"WATTLINE_STAGES_AS_JOBS": "true"}
        place.open_merge_request(9, "topic/child")
        result = place.once(merge_request("topic/child", iid=9), settings=settings)
        assert "dvc-stages/dvc:prepare ended with 255" in result.problems, result.report()
        assert "prepare.minimum_rows is 1000000" in result.jobs["dvc-stages/dvc:prepare"].tail

    def test_an_unreachable_tracking_server_is_named_and_nothing_is_promoted(self, place: Site):
        before = Shared.of(place)
        result = place.once(branch(), settings={"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{free_port()}"})
        assert result.jobs["doctor"].state == "failed", result.report()
        assert "MLFLOW_TRACKING_URI" in result.jobs["doctor"].tail
        assert set(result.jobs) == {"doctor"}
        assert Shared.of(place) == before


def test_no_secret_is_in_any_log_or_in_what_jobs_left(place: Site, promoted: Result, proposed: Result):
    for secret in place.secrets():
        assert secret not in promoted.text + proposed.text
