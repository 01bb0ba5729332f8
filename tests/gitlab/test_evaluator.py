"""The evaluator that the tests of rules rest on, against what GitLab says of each expression."""

import pytest

from gitlab.ci.configuration import BadPipelineError, read
from gitlab.ci.expressions import BadExpressionError, evaluate
from gitlab.ci.rules import Event, first, matches

VARIABLES = {"A": "1", "EMPTY": "", "BRANCH": "release/1.2", "PATTERN": "/^release/", "LIKE": "RELEASE"}


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("$A", True),
        ("${A}", True),
        ("$EMPTY", False),
        ("$ABSENT", False),
        ("$ABSENT == null", True),
        ("$EMPTY == null", False),
        ('$EMPTY == ""', True),
        ('$ABSENT == ""', False),
        ("$ABSENT != $ALSO_ABSENT", False),
        ("$A == '1'", True),
        ('"1" == $A', True),
        ("$BRANCH =~ /^release/", True),
        ("$LIKE =~ /^release/", False),
        ("$LIKE =~ /^release/i", True),
        (r"$BRANCH =~ /^release\/\d+\.\d+$/", True),
        ("$BRANCH =~ $PATTERN", True),
        ("$ABSENT =~ /.*/", False),
        ("$ABSENT !~ /.*/", True),
        ('$A == "1" || $ABSENT && $ABSENT', True),
        ('($A == "1" || $ABSENT) && $ABSENT', False),
        ("$ABSENT && $A || $A", True),
        ("$A && ($EMPTY || $BRANCH)", True),
    ],
)
def test_an_expression_means_what_gitlab_says(expression, holds):
    assert evaluate(expression, VARIABLES) is holds


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "$A ==",
        "== $A",
        "$A $A",
        "$A == 1",
        "($A",
        "$A)",
        "$A &",
        "$A =~ abc",
        '$A =~ "a"',
        "$A =~ /(/",
        "$A =~ /a/x",
    ],
)
def test_what_is_no_expression_is_refused(expression):
    with pytest.raises(BadExpressionError):
        evaluate(expression, VARIABLES)


@pytest.mark.parametrize(
    ("glob", "path", "matching"),
    [
        ("src/**/*", "src/a.py", True),
        ("src/**/*", "src/a/b/c.py", True),
        ("src/**/*", "other/src/a.py", False),
        ("src/*", "src/a/b.py", False),
        ("*.md", "docs/a.md", False),
        ("**/*.md", "docs/a.md", True),
        ("**/*.md", "a.md", True),
        ("{a,b.c}/**/*", "b.c/.hidden", True),
        ("{a,b.c}/**/*", "bxc/d", False),
        ("Make?ile", "Makefile", True),
    ],
)
def test_paths_match_as_in_ruby(glob, path, matching):
    assert matches(glob, path) is matching


def test_changes_count_against_what_gitlab_or_compare_to_names():
    own, to = [{"changes": ["src/*"]}], [{"changes": {"paths": ["src/*"], "compare_to": "$TARGET"}}]
    variables = {"TARGET": "main"}
    event = Event(variables, changed=["docs/a.md"], compared={"main": ["src/a.py"]})
    assert first(own, variables, event) is None
    assert first(to, variables, event) == to[0]
    assert first(own, variables, Event(variables)) == own[0], "with nothing to compare with, all counts as changed"
    with pytest.raises(BadPipelineError, match="not a valid ref"):
        first(to, {"TARGET": "gone"}, event)


def test_the_first_rule_that_applies_decides():
    rules = [{"if": "$A", "when": "never"}, {"when": "always"}]
    assert first(rules, {"A": "1"}, Event({})) == rules[0]
    assert first(rules, {}, Event({})) == rules[1]


@pytest.mark.parametrize(
    ("inputs", "complaint"),
    [
        ({"tags": "gpu", "stage": "a"}, "must be of type array, got 'gpu'"),
        ({"tags": [], "stage": "z"}, "must be one of"),
        ({"stage": "a"}, "needs the input tags"),
        ({"tags": [], "stage": "a", "tag": 1}, r"knows no input \['tag'\]"),
    ],
)
def test_inputs_are_typed(inputs, complaint, tmp_path):
    (tmp_path / "part.yml").write_text(
        "spec: {inputs: {tags: {type: array}, stage: {options: [a, b]}}}\n---\n"
        "job: {stage: '$[[ inputs.stage ]]', tags: '$[[ inputs.tags ]]', script: ['echo $[[ inputs.stage ]]']}\n"
    )
    main = tmp_path / "main.yml"
    main.write_text(f"include: [{{local: /part.yml, inputs: {inputs}}}]\n")
    with pytest.raises(BadPipelineError, match=complaint):
        read(main, root=tmp_path)
    main.write_text("include: [{local: /part.yml, inputs: {tags: [x, y], stage: b}}]\n")
    assert read(main, root=tmp_path).jobs["job"] == {"stage": "b", "tags": ["x", "y"], "script": ["echo b"]}
