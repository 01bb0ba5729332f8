"""The one way to say no: a sentence, an HTTP status, and a reason for the metrics."""

from collections.abc import Mapping

from wattline.errors import WattlineError


class RefusedError(WattlineError):
    """A request that gets no answer but {"error": message}.

    status: HTTP status, 4xx or 5xx
    reason: one word for the metrics, e.g. "malformed", "queue", "deadline"
    headers: more headers of the reply, e.g. Retry-After
    """

    def __init__(
        self, message: str, *, status: int = 400, reason: str = "malformed", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.headers = dict(headers or {})
