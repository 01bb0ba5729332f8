"""A stand-in for podman whose containers are processes of the real server. Called as podman is: stub.py VERB ...

$STUB holds images.json (reference -> folder of the model, labels, what is wrong with it), containers, and, when a test
wants the caller killed, a file `kill`: "before|after VERB NAME".
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(os.environ["STUB"])


def main() -> int:
    """Do what is asked for; the exit code."""
    verb, arguments = sys.argv[1], sys.argv[2:]
    name = next((one.removeprefix("--name=") for one in arguments if one.startswith("--name=")), arguments[-1])
    with (HERE / "calls").open("a") as calls:
        print(verb, *arguments, file=calls)
    kill("before", verb, name)
    code = VERBS[verb](arguments)
    kill("after", verb, name)
    return int(code or 0)


def kill(when, verb, name):
    path = HERE / "kill"
    if path.exists() and path.read_text().split() == [when, verb, name]:
        path.unlink()
        os.kill(os.getppid(), signal.SIGKILL)


def images():
    return json.loads((HERE / "images.json").read_text())


def image(arguments):
    found = images().get(arguments[-1])
    if found is None:
        return 1
    return print(json.dumps([{"Config": {"Labels": found["labels"]}}]))


def pull(arguments):
    if arguments[-1] in images():
        return 0
    print("Error: manifest unknown", file=sys.stderr)
    return 125


def place(name):
    return HERE / "containers" / name


def create(arguments):
    write(arguments[1], arguments[-1], labels={})


def write(name, reference, labels, process=0):
    place(name).mkdir(parents=True)
    said = {"image": reference, "labels": labels, "process": process}
    (place(name) / "container.json").write_text(json.dumps(said))


def read(name):
    return json.loads((place(name) / "container.json").read_text())


def cp(arguments):
    name = arguments[0].partition(":")[0]
    shutil.copytree(images()[read(name)["image"]]["folder"], arguments[1])


def ps(arguments):
    name = arguments[arguments.index("--filter") + 1].removeprefix("name=^").removesuffix("$")
    if place(name).exists():
        print(name)


def runs(process):
    try:
        return process > 0 and Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def inspect(arguments):
    found = read(arguments[-1])
    state = {"Running": runs(found["process"]), "Pid": found["process"]}
    print(json.dumps([{"State": state, "Config": {"Labels": found["labels"]}}]))


def run(arguments):
    options = {one.partition("=")[0]: one.partition("=")[2] for one in arguments}
    reference = next(one for one in arguments if "@sha256:" in one)
    key, _, value = options["--label"].partition("=")
    name, found = options["--name"], images()[reference]
    fails = found["wrong"] == "everywhere" or (found["wrong"] == "in place" and not name.endswith("-trial"))
    command = ["-m", "wattline", "serve", f"--folder={found['folder']}", f"--host={options['--host']}"]
    command = [*command, f"--port={options['--port']}"] if not fails else ["-c", "raise SystemExit('it cannot start')"]
    state = {"WATTLINE_STATE": str(HERE / "state" / f"{name}-{time.time_ns()}")}
    with (HERE / f"{name}.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=HERE / "server",
            env={**os.environ, **state},
            start_new_session=True,
        )
    write(name, reference, {key: value}, server.pid)


def end(name, number):
    process = read(name)["process"]
    if runs(process):
        os.kill(process, number)
        while runs(process):
            time.sleep(0.02)


def stop(arguments):
    end(arguments[-1], signal.SIGTERM)


def rm(arguments):
    end(arguments[-1], signal.SIGKILL)
    shutil.rmtree(place(arguments[-1]))


def logs(arguments):
    path = HERE / f"{arguments[-1]}.log"
    print(path.read_text() if path.exists() else "")


VERBS = {
    "container": inspect,
    "cp": cp,
    "create": create,
    "image": image,
    "logs": logs,
    "ps": ps,
    "pull": pull,
    "rm": rm,
    "run": run,
    "stop": stop,
}
sys.exit(main())
