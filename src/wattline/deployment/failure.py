"""What ends a deployment that was asked for rightly."""

from wattline.errors import WattlineError


class DeploymentError(WattlineError):
    """An image, a container or a check of either failed. The message says what runs now."""

    exit_code = 1
