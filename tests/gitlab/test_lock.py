"""`wattline ci lock`: dvc.lock reaches the branch that it was made from, once, and no other."""

import base64
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from gitlab import standin, tiny
from wattline import objects
from wattline.errors import InputError, IntegrityError, SupersededError, WattlineError
from wattline.gitlab import dvc_remote, lock

# What DVC uses is going to change, says what it uses.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

BRANCH = "feature/more-rows"
JOB_TOKEN, PROJECT_TOKEN = "job-" + "t0ken", "project-" + "t0ken"
JOB = {
    "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": BRANCH,
    "CI_MERGE_REQUEST_SOURCE_BRANCH_PROTECTED": "false",
    "CI_PIPELINE_URL": "https://gitlab.example.org/a/b/-/pipelines/7",
    "CI_SERVER_HOST": "gitlab.example.org",
}
LONG = 120


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """A project in which the pipeline ran, with its remote and a bare repository that has the branch."""
    from dvc.repo import Repo

    folder = tmp_path_factory.mktemp("everything")
    (folder / "remote").mkdir()
    one = tiny.project(folder / "one", remote=folder / "remote")
    with tiny.inside(one) as known:
        dvc_remote.configure(known)
        with Repo(".") as repo:
            repo.reproduce()
            repo.push()
    one.git("branch", BRANCH)
    tiny.git(folder, "clone", "--quiet", "--bare", str(one.folder), str(folder / "bare"))
    for setting in ("receive.advertisePushOptions", "http.receivepack"):
        tiny.git(folder / "bare", "config", setting, "true")
    return one


@pytest.fixture
def bare(everything, tmp_path):
    return Path(shutil.copytree(everything.folder.parent / "bare", tmp_path / "bare"))


@pytest.fixture
def job(everything, bare, tmp_path):
    """The checkout of a job of the branch, with the artifacts of the one before it."""
    return checkout(everything, bare, tmp_path / "job")


@pytest.fixture
def person(bare, tmp_path):
    """Somebody else's clone of the branch."""
    return tiny.clone(bare, tmp_path / "person", remote=None, branch=BRANCH)


def checkout(everything, bare, folder):
    one = tiny.clone(bare, folder, remote=everything.remote, branch=BRANCH)
    one.git("checkout", "--quiet", "--detach")
    for name in ("dvc.lock", "reports"):
        subprocess.run(["cp", "-r", everything.folder / name, folder], check=True)
    return one


def measured_anew(one, text):
    """As if the last stage had measured something else from the same inputs."""
    one.write(reports__decide_dot_json=text)
    entries = yaml.safe_load(one.text("dvc.lock"))
    entries["stages"]["decide"]["outs"][1] |= {
        "md5": objects.digest(one.folder / "reports/decide.json"),
        "size": len(text),
    }
    one.write(dvc_dot_lock=yaml.safe_dump(entries, sort_keys=False))


def run(one, **variables):
    """Run the job; what it said."""
    lines = []
    with tiny.inside(one, **JOB | variables) as known:
        lock.lock(known, say=lines.append, wait=lambda seconds: None)
    return "\n".join(lines)


def commits(bare, branch=BRANCH):
    return tiny.git(bare, "log", "--format=%H", branch).splitlines()


def test_it_commits_what_stages_made_and_nothing_else(everything, bare, job):
    job.write(stray_dot_txt="of another tool", reports__decide_dot_txt="no output")
    said = run(job)
    assert f"dvc.lock, reports and cards are on '{BRANCH}'" in said
    changed = tiny.git(bare, "diff", "--name-status", f"{BRANCH}~1", BRANCH).split()
    names = [
        "dvc.lock",
        *(f"reports/{name}" for name in ("card.md", "decide.json", "ingest.json", "joules.json", "train/curve.csv")),
    ]
    assert changed == [word for name in names for word in ("A", name)]
    assert tiny.git(bare, "show", f"{BRANCH}:dvc.lock") == everything.text("dvc.lock").strip("\n")
    what = tiny.git(bare, "log", "-1", "--format=%an <%ae> %cn <%ce>%n%B", BRANCH)
    assert what.startswith(
        "Wattline CI <noreply@gitlab.example.org> Wattline CI <noreply@gitlab.example.org>\nchore(dvc)"
    )
    trailers = tiny.git(bare, "log", "-1", "--format=%(trailers:only)", BRANCH)
    assert trailers.splitlines() == [
        f"Wattline-Lock: {job.git('rev-parse', 'HEAD')}",
        "Wattline-Pipeline: https://gitlab.example.org/a/b/-/pipelines/7",
    ]
    assert job.git("status", "--porcelain").splitlines()[-1].startswith("??")
    assert "refs/wattline" not in job.git("for-each-ref")


def test_what_is_there_already_is_not_committed_again(everything, bare, job, tmp_path):
    run(job, WATTLINE_GIT_NAME="A Robot", WATTLINE_GIT_EMAIL="robot@example.org")
    assert tiny.git(bare, "log", "-1", "--format=%an <%ae>", BRANCH) == "A Robot <robot@example.org>"
    before = commits(bare)
    assert "nothing to commit" in run(job)
    assert "nothing to commit" in run(checkout(everything, bare, tmp_path / "later"))
    assert commits(bare) == before


def test_a_report_that_is_not_made_any_more_goes(everything, bare, job, tmp_path):
    run(job)
    later = checkout(everything, bare, tmp_path / "later")
    (later.folder / "reports/train/curve.csv").rename(later.folder / "reports/train/other.csv")
    entries = yaml.safe_load(later.text("dvc.lock"))
    entries["stages"]["train"]["outs"][-1]["md5"] = objects.digest(later.folder / "reports/train")
    later.write(dvc_dot_lock=yaml.safe_dump(entries, sort_keys=False))
    run(later)
    kept = tiny.git(bare, "ls-tree", "-r", "--name-only", BRANCH, "reports/train").splitlines()
    assert kept == ["reports/train/other.csv"]


class TestMoved:
    """The branch is not where the job found it."""

    def test_a_change_that_no_stage_reads_is_kept(self, bare, job, person):
        person.write(README_dot_md="better\n")
        newer = person.commit()
        person.git("push", "--quiet", "origin", BRANCH)
        run(job)
        assert commits(bare)[1] == newer
        assert tiny.git(bare, "show", f"{BRANCH}:README.md") == "better"

    @pytest.mark.parametrize(
        "change",
        [{"source_dot_txt": "other\n"}, {"params_dot_yaml": "rows: 2\nepochs: 1\n"}, {"dvc_dot_yaml": "stages: {}\n"}],
    )
    def test_a_lock_of_other_inputs_is_given_up(self, bare, job, person, change):
        person.write(**change)
        newer = person.commit()
        person.git("push", "--quiet", "origin", BRANCH)
        with pytest.raises(SupersededError, match="is not as in"):
            run(job)
        assert commits(bare)[0] == newer

    def test_a_force_push_with_the_same_inputs_is_followed(self, bare, job, person):
        person.git("commit", "--quiet", "--amend", "--message", "reworded")
        person.git("push", "--quiet", "--force", "origin", BRANCH)
        run(job)
        assert commits(bare)[1] == person.git("rev-parse", "HEAD")

    def test_a_merge_commit_with_other_inputs_is_not(self, bare, job, person):
        person.git("checkout", "--quiet", "main")
        person.write(train_dot_sh="echo differently\n")
        person.commit()
        person.git("checkout", "--quiet", BRANCH)
        person.git("merge", "--quiet", "--no-ff", "main", "--message", "merge")
        person.git("push", "--quiet", "origin", BRANCH)
        with pytest.raises(SupersededError, match=r"train\.sh"):
            run(job)

    def test_a_branch_that_is_gone_does_not_come_back(self, bare, job, person):
        person.git("push", "--quiet", "origin", f":{BRANCH}")
        with pytest.raises(SupersededError, match="is gone"):
            run(job)
        assert BRANCH not in tiny.git(bare, "branch", "--list")

    @pytest.mark.parametrize("touches", ["README.md", "source.txt"])
    def test_a_merged_result_counts_by_its_inputs(self, bare, job, person, touches):
        """The job ran on a commit that is on no branch: the source branch merged with the target branch."""
        person.git("checkout", "--quiet", "main")
        (person.folder / touches).write_text("of the target branch\n")
        person.commit()
        person.git("push", "--quiet", "origin", "main")
        job.git("fetch", "--quiet", "origin", "main")
        job.git("stash", "--quiet", "--include-untracked")
        job.git("merge", "--quiet", "--no-ff", "origin/main", "--message", "merged result")
        job.git("stash", "pop", "--quiet")
        if touches == "README.md":
            run(job)
            assert tiny.git(bare, "show", f"{BRANCH}:README.md") == "read me"
        else:
            with pytest.raises(SupersededError, match="merge that into the source branch"):
                run(job)
            assert len(commits(bare)) == 1

    def test_a_lock_of_the_same_inputs_that_came_first_stays(self, everything, bare, job, tmp_path):
        second = checkout(everything, bare, tmp_path / "second")
        measured_anew(second, "measured later\n")
        run(job)
        assert "has a dvc.lock for these inputs already" in run(second)
        assert len(commits(bare)) == 2

    @pytest.mark.parametrize(
        "stages", ["{}", "null", "[]", "{train: {cmd: x, outs: [{md5: a}]}}", "{train: {cmd: x, outs: null}}"]
    )
    def test_a_broken_lock_that_came_first_is_replaced(self, bare, job, person, stages):
        person.write(dvc_dot_lock=f"schema: '2.0'\nstages: {stages}\n")
        person.commit()
        person.git("push", "--quiet", "origin", BRANCH)
        run(job)
        assert "train" in tiny.git(bare, "show", f"{BRANCH}:dvc.lock")


class TestRefused:
    """Nothing is pushed, and one sentence says why."""

    @pytest.mark.parametrize(
        ("variables", "said"),
        [
            ({"CI_MERGE_REQUEST_SOURCE_BRANCH_PROTECTED": "true"}, "protected branch"),
            ({"CI_COMMIT_REF_PROTECTED": "true"}, "protected branch"),
            ({"CI_MERGE_REQUEST_SOURCE_BRANCH_PROTECTED": ""}, "nobody says whether"),
            ({"CI_DEFAULT_BRANCH": BRANCH}, "default branch"),
            ({"CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": ""}, "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME is not set"),
            ({"CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "with space"}, "no name of a branch"),
            ({"CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "--all"}, "is gone"),
            ({"CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": "a/fork", "CI_MERGE_REQUEST_PROJECT_PATH": "a/b"}, "fork"),
            ({"CI_REPOSITORY_URL": "http://gitlab.example.org/a/b.git"}, "would show the token"),
            (
                {"CI_REPOSITORY_URL": "https://gitlab.example.org/a/b.git"},
                "neither CI_JOB_TOKEN nor WATTLINE_GITLAB_TOKEN",
            ),
        ],
    )
    def test_it_says_what_to_do(self, bare, job, variables, said):
        with pytest.raises(WattlineError, match=said):
            run(job, **variables)
        assert len(commits(bare)) == 1

    def test_an_input_that_is_not_as_committed(self, job):
        job.write(source_dot_txt="not committed\n")
        with pytest.raises(InputError, match="was not made from it"):
            run(job)

    def test_a_report_that_is_not_that_of_the_lock(self, job):
        job.write(reports__decide_dot_json="of another run\n")
        with pytest.raises(IntegrityError, match=r"reports/decide\.json is not what"):
            run(job)

    def test_a_lock_that_is_not_there(self, job):
        (job.folder / "dvc.lock").unlink()
        with pytest.raises(InputError, match="artifacts"):
            run(job)

    def test_data_that_nobody_has(self, bare, job, tmp_path):
        (tmp_path / "empty").mkdir()
        with pytest.raises(WattlineError, match="neither here nor in the DVC remote"):
            run(job, WATTLINE_DVC_REMOTE=str(tmp_path / "empty"))
        assert len(commits(bare)) == 1


class TestTokens:
    """A repository behind HTTP that asks who is there, as GitLab does."""

    @pytest.fixture
    def shim(self, tmp_path):
        """Put in front of git, it writes down every argument that git is given."""
        folder = tmp_path / "shim"
        tiny.write(folder, "git", f'#!/bin/sh\necho "$@" >> {folder}/log\nexec {shutil.which("git")} "$@"\n')
        (folder / "git").chmod(0o755)
        return folder

    def test_the_job_token_pushes_and_is_nowhere_to_be_seen(self, bare, job, shim):
        with served(bare, pushers={JOB_TOKEN}) as (url, seen):
            path = f"{shim}:{os.environ['PATH']}"
            masked = url.replace("//", f"//gitlab-ci-token:{JOB_TOKEN}@")
            said = run(job, PATH=path, CI_REPOSITORY_URL=masked, CI_JOB_TOKEN=JOB_TOKEN)
        assert len(commits(bare)) == 2
        assert ("gitlab-ci-token", JOB_TOKEN) in seen
        places = [said, (shim / "log").read_text(), job.text(".git/config")]
        assert all(JOB_TOKEN not in place for place in places)
        assert "push" in places[1]
        assert "--push-option=ci.skip" in places[1]

    def test_a_job_token_that_may_not_push_gives_way_to_the_projects(self, bare, job):
        with served(bare, pushers={PROJECT_TOKEN}) as (url, seen):
            run(job, CI_REPOSITORY_URL=url, CI_JOB_TOKEN=JOB_TOKEN, WATTLINE_GITLAB_TOKEN=PROJECT_TOKEN)
        assert len(commits(bare)) == 2
        assert ("oauth2", PROJECT_TOKEN) in seen

    def test_without_one_that_may_the_settings_are_named(self, bare, job):
        with (
            served(bare, pushers=set()) as (url, _),
            pytest.raises(InputError, match="Job token permissions") as refused,
        ):
            run(job, CI_REPOSITORY_URL=url, CI_JOB_TOKEN=JOB_TOKEN, WATTLINE_GITLAB_TOKEN="wr0ng")
        assert JOB_TOKEN not in str(refused.value)
        assert "wr0ng" not in str(refused.value)
        assert len(commits(bare)) == 1

    def test_a_server_that_stumbles_is_asked_again(self, bare, job):
        with served(bare, pushers={JOB_TOKEN}, stumbles=3) as (url, _):
            assert "trying again" in run(job, CI_REPOSITORY_URL=url, CI_JOB_TOKEN=JOB_TOKEN)
        assert len(commits(bare)) == 2


@contextmanager
def served(bare: Path, *, pushers: set[str], stumbles: int = 0) -> Iterator[tuple[str, set[tuple[str, str]]]]:
    """`git http-backend` with accounts: address, and who was seen. Both tokens may read, `pushers` may push.

    stumbles: so many requests are answered with 503 first
    """
    seen: set[tuple[str, str]] = set()
    left = [stumbles]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.answer(b"")

        def do_POST(self):
            length = self.headers.get("Content-Length")
            self.answer(self.rfile.read(int(length)) if length else chunked(self.rfile))

        def answer(self, body):
            if left[0]:
                left[0] -= 1
                self.send_error(503)
                return
            kind, _, word = self.headers.get("Authorization", "").partition(" ")
            user, _, token = base64.b64decode(word).decode().partition(":")
            pushes = "receive-pack" in self.path
            if kind != "Basic" or token not in {JOB_TOKEN, PROJECT_TOKEN}:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="GitLab"')
                self.end_headers()
                return
            seen.add((user, token))
            if pushes and token not in pushers:
                self.send_error(403, "You are not allowed to upload code.")
                return
            path, _, query = self.path.partition("?")
            variables = {
                "GIT_PROJECT_ROOT": str(bare.parent),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "REMOTE_USER": user,
            }
            environment = os.environ | tiny.PLAIN | variables
            command = ["git", "http-backend"]
            done = subprocess.run(command, input=body, env=environment, capture_output=True, check=True)
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
            self.send_response(int(headers.pop("Status", "200").split()[0]))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server, standin.serving(server):
        yield f"http://127.0.0.1:{server.server_port}/{bare.name}", seen


def chunked(stream) -> bytes:
    body = b""
    while size := int(stream.readline(), 16):
        body += stream.read(size)
        stream.readline()
    stream.readline()
    return body


WORKER = """
import sys
from pathlib import Path
from gitlab import tiny, test_lock
import wattline.gitlab.made  # before the race
import dvc.repo

folder, rounds, name = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
one = tiny.Clone(folder, Path(sys.argv[4]))
print("ready", flush=True)
for line in sys.stdin:
    one.git("fetch", "--quiet", "origin")
    one.git("checkout", "--quiet", "--force", "--detach", "origin/" + test_lock.BRANCH)
    for path in ("dvc.lock", "reports"):
        test_lock.subprocess.run(["cp", "-r", sys.argv[5] + "/" + path, one.folder], check=True)
    test_lock.measured_anew(one, f"{name} in round {line.strip()}\\n")
    print("armed", flush=True)
    sys.stdin.readline()
    with tiny.inside(one, **test_lock.JOB) as known:
        test_lock.lock.lock(known, say=lambda text: None)
    print("done", flush=True)
"""


def test_two_jobs_and_a_person_race_and_nothing_is_lost_or_there_twice(everything, bare, person, tmp_path):
    """In every round both jobs have measured, and a person pushes at the same moment."""
    rounds, names = 8, ("one", "other")
    workers = []
    for name in names:
        folder = tiny.clone(bare, tmp_path / name, remote=everything.remote, branch=BRANCH).folder
        arguments = [str(folder), str(rounds), name, str(everything.remote), str(everything.folder)]
        environment = everything.environment() | {"PYTHONPATH": f"{tiny.ROOT / 'src'}:{tiny.ROOT / 'tests'}"}
        workers.append(
            subprocess.Popen(
                [sys.executable, "-W", "ignore", "-c", WORKER, *arguments],
                env=environment,
                text=True,
                bufsize=1,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        )
    killer = threading.Timer(LONG, lambda: [worker.kill() for worker in workers])
    killer.start()
    won = set()
    try:
        assert [worker.stdout.readline() for worker in workers] == ["ready\n"] * 2
        for turn in range(rounds):
            person.write(source_dot_txt=f"rows of round {turn}\n")
            # The digest of the source is that of the first round in all locks: they agree, which is what counts here.
            base = _pushed(person)
            for worker in workers:
                worker.stdin.write(f"{turn}\n")
            assert [worker.stdout.readline() for worker in workers] == ["armed\n"] * 2
            for worker in workers:
                worker.stdin.write("go\n")
            person.write(README_dot_md=f"round {turn}\n")
            pushed = _pushed(person)
            assert [worker.stdout.readline() for worker in workers] == ["done\n"] * 2
            new = tiny.git(bare, "log", "--format=%an", f"{base}..{BRANCH}").splitlines()
            assert sorted(new) == ["Wattline CI", "tests"], new
            tiny.git(bare, "merge-base", "--is-ancestor", pushed, BRANCH)
            assert tiny.git(bare, "show", f"{BRANCH}:README.md") == f"round {turn}"
            decided = tiny.git(bare, "show", f"{BRANCH}:reports/decide.json")
            assert decided in {f"{name} in round {turn}" for name in names}
            won.add(decided.split()[0])
    finally:
        killer.cancel()
        for worker in workers:
            worker.stdin.close()
            worker.wait(LONG)
            worker.stdout.close()
    assert won <= set(names)


def _pushed(person: tiny.Clone) -> str:
    """A person's commit on top of whatever the branch is; its id."""
    person.commit()
    for _ in range(50):
        person.git("pull", "--quiet", "--rebase", "origin", BRANCH)
        done = subprocess.run(
            ["git", "push", "--quiet", "origin", f"HEAD:{BRANCH}"],
            cwd=person.folder,
            env=person.environment(),
            check=False,
            capture_output=True,
        )
        if not done.returncode:
            return person.git("rev-parse", "HEAD")
        time.sleep(0.05)
    raise AssertionError("a person could not push")
