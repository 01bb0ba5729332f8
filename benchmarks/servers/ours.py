"""Wattline's server as a site would run it: signed model, API keys, metrics, log of answers."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

from servers.catalogue import Route
from servers.process import Server
from servers.questions import NAME
from wattline import files
from wattline.serving.access import keys

ROOT = Path(__file__).resolve().parents[2]
ROWS: Mapping[str, Route] = {
    "Wattline, JSON": Route("v2", f"/v2/models/{NAME}/infer"),
    "Wattline, binary": Route("v2 binary", f"/v2/models/{NAME}/infer"),
}
UNLOGGED: Mapping[str, Route] = {"Wattline, binary, no log": ROWS["Wattline, binary"]}
"""What it costs to write down each answer."""
READY = "/readyz"


class Site:
    """A folder with params.yaml, keys and a champion, in which the server is started.

    rows: name of a row of the table -> how that is asked
    headers: what every request must carry
    """

    def __init__(self, folder: Path, champion: Path, *, logged: bool = True) -> None:
        """champion: a folder of `model.prepare`; logged: whether answers are written down"""
        self.folder, self.rows = folder, ROWS if logged else UNLOGGED
        (folder / "keys").mkdir(parents=True)
        self.put(champion)
        shutil.copy(champion.parent / "public.pem", folder / "keys" / "public.pem")
        key, entry = keys.new_key("benchmark", ["predict", "operate", "audit"])
        keys.add_key(folder / "keys" / "api.yaml", entry)
        self.headers = {"Authorization": f"Bearer {key}"}
        (folder / "params.yaml").write_text(params(log="predictions" if logged else ""))

    def put(self, champion: Path) -> None:
        """Put another version where the server looks for it, in one step."""
        with files.replace_directory(self.folder / "champion") as fresh:
            shutil.copytree(champion, fresh, dirs_exist_ok=True)

    def start(self) -> Server:
        """Start the server. Raises StartError."""
        return Server(
            [sys.executable, "-m", "wattline", "serve", "--folder", "champion", "--port", "0"],
            port=0,
            ready=READY,
            folder=self.folder,
            variables={"WATTLINE_STATE": str(self.folder / "state")},
            log=self.folder / "server.log",
        )


def params(*, log: str) -> str:
    """The repository's params.yaml with keys demanded and everything written below the folder."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    serving = content["serving"]
    serving["drain_seconds"] = 0.0
    serving["model"] |= {"signature": "required", "trusted_keys": ["keys/public.pem"], "poll_seconds": 0.0}
    serving["auth"] |= {"mode": "keys", "keys_file": "keys/api.yaml"}
    serving["log"]["folder"] = log
    serving["observe"]["file"] = "observe.db"
    return yaml.safe_dump(content)
