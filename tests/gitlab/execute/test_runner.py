"""The runner: what gitlab-ci-local reports green although GitLab would not is red here."""

from collections.abc import Callable

import pytest

from gitlab.execute.events import branch, merge_request
from gitlab.execute.runner import Pipeline

pytestmark = pytest.mark.slow

Make = Callable[..., Pipeline]

WORKING = """
workflow:
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
      variables: {KIND: merge-request}
    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
      variables: {KIND: branch}
variables: {PLACE: default, KEPT: default}
default: {image: "registry.example.org/python:3.11", services: [redis]}
first job:
  stage: build
  script:
    - 'echo "$KIND at $PLACE, $KEPT, branch [$CI_COMMIT_BRANCH], ref $CI_COMMIT_REF_NAME"'
    - 'echo 7 > made; echo V=8 > v.env'
  artifacts: {paths: [made], reports: {dotenv: v.env}}
only-on-branch:
  stage: test
  script: [exit 0]
  rules: [{if: $CI_COMMIT_BRANCH}]
press:
  stage: deploy
  needs: [first job]
  when: manual
  script: ['echo "made $(cat made), V=$V"']
"""
FALSE_GREENS = """
generate:
  stage: build
  script:
    - 'echo "works: {script: [exit 0]}" > good.yml'
    - 'echo "works: {script: [exit 0]}" > bad.yml; echo "broken: {script: [echo the reason, exit 5]}" >> bad.yml'
  artifacts: {paths: [good.yml, bad.yml]}
good: {stage: test, trigger: {include: [{artifact: good.yml, job: generate}], strategy: depend}}
bad: {stage: test, trigger: {include: [{artifact: bad.yml, job: generate}], strategy: depend}}
absent: {stage: test, trigger: {include: [{artifact: absent.yml, job: generate}], strategy: depend}}
forgiven: {stage: test, script: [exit 4], allow_failure: {exit_codes: [4]}}
unforgiven: {stage: test, script: [echo the reason, exit 3], allow_failure: {exit_codes: [4]}}
"""
CYCLE = """
one: {script: [exit 0], needs: [two]}
two: {script: [exit 0], needs: [one]}
"""
FAILING = """
breaks: {stage: build, script: [echo the reason, exit 3]}
later: {stage: deploy, script: [exit 0]}
"""


def test_a_working_pipeline_is_green_and_every_variable_is_what_gitlab_would_make_it(pipeline: Make):
    made = pipeline(merge_request("topic", iid=7), WORKING, settings={"PLACE": "a project's setting"})
    result = made.run()
    assert result.green, result.report()
    assert {name: job.state for name, job in result.jobs.items()} == {"first job": "passed"}
    said = result.jobs["first job"].said
    assert "> merge-request at a project's setting, default, branch [], ref topic" in said
    pressed = made.press("press")
    assert pressed.green, pressed.report()
    assert "> made 7, V=8" in pressed.jobs["press"].said


def test_another_event_starts_other_jobs_and_manual_ones_when_they_are_pressed(pipeline: Make):
    result = pipeline(branch(), WORKING).run(by_hand=["press"])
    assert result.green, result.report()
    assert set(result.jobs) == {"first job", "only-on-branch", "press"}
    assert "> branch at default, default, branch [main], ref main" in result.jobs["first job"].said


def test_a_failing_job_is_red_shows_its_end_and_those_after_it_did_not_run(pipeline: Make):
    result = pipeline(branch(), FAILING).run()
    assert "breaks ended with 3" in result.problems
    assert "later did not run" in result.problems
    assert "> the reason" in result.report()


def test_what_the_program_reports_green_is_red_and_what_gitlab_forgives_is_forgiven(pipeline: Make):
    result = pipeline(branch(), FALSE_GREENS).run()
    assert set(result.problems) == {
        "bad/broken ended with 5",
        "unforgiven ended with 3",
        "absent started no child pipeline",
    }, result.text
    assert "pipeline finished in" in result.text  # and the program ended with 0
    assert result.jobs["good/works"].state == result.jobs["bad/works"].state == "passed"
    assert result.jobs["forgiven"].state == "warned"
    assert result.report().count("> the reason") == 2


def test_a_circle_of_needs_is_red_and_nothing_of_it_goes_on(pipeline: Make):
    result = pipeline(branch(), CYCLE).run(seconds=6)
    assert "it did not end in time" in result.problems
    assert "one did not run" in result.problems
