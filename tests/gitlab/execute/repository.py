"""git without anybody's configuration, and the repository in which a pipeline is proved."""

import os
import subprocess
from pathlib import Path

IDENTITY = ("-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
NOBODY = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}


def git(folder: Path, *arguments: str) -> str:
    """What git prints."""
    done = subprocess.run(
        ["git", *IDENTITY, *arguments], cwd=folder, env=os.environ | NOBODY, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, f"git {arguments}: {done.stderr}"
    return done.stdout
