"""A snapshot in DVC: it gets a .dvc file, which git keeps, and its bytes go into the cache."""

import subprocess
import sys
from pathlib import Path

from wattline.errors import WattlineError
from wattline.settings import inherited

PROJECT = Path(".dvc")
SECONDS_TO_WAIT = 24 * 3600


def add(folder: Path) -> str:
    """Have DVC track `folder`, once; a sentence that says what is now.

    Raises WattlineError when DVC does not take it: the snapshot itself stays as it is.
    """
    pointer = folder.with_name(f"{folder.name}.dvc")
    if not PROJECT.is_dir():
        return "not in DVC: there is no .dvc folder here; `dvc init` makes one"
    if pointer.is_file():
        return f"in DVC as {pointer}"
    # Without --no-relink DVC would replace the hard links, by which snapshots share what did not change, with copies.
    command = [sys.executable, "-m", "dvc", "add", "--quiet", "--no-relink", str(folder)]
    environment = inherited({"DVC_NO_ANALYTICS": "1"})
    answer = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, timeout=SECONDS_TO_WAIT
    )
    if answer.returncode:
        pointer.unlink(missing_ok=True)
        said = [line for line in answer.stderr.splitlines() if line.strip()] or ["it says nothing"]
        raise WattlineError(
            f"snapshot {folder.name[:12]} is stored in {folder}, but DVC did not take it, exit code "
            f"{answer.returncode}: {said[0].removeprefix('ERROR: ')}; then run `dvc add --no-relink {folder}`"
        )
    return f"in DVC as {pointer}; commit it with {folder.parent / 'newest.json'}, and `dvc push` sends the rows"
