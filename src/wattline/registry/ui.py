"""The tracking server's web page on the local store, for a person at this machine."""

import subprocess
import sys

from wattline.errors import WattlineError
from wattline.settings import preset, settings


def run(*, port: int) -> None:
    """Serve the MLflow UI on loopback until interrupted. Raises WattlineError when it cannot start."""
    settings().state.mkdir(parents=True, exist_ok=True)
    # By a variable: arguments can be seen by everybody on this machine, and the address may hold a password.
    preset({"MLFLOW_BACKEND_STORE_URI": settings().tracking_uri})
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    try:
        code = subprocess.run(command, check=False).returncode
    except KeyboardInterrupt:
        return
    if code:
        raise WattlineError(f"the MLflow UI ended with exit code {code}; is port {port} taken?")
