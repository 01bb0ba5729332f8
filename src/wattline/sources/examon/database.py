"""Where ExaMon's database is: at its own address, or behind Grafana."""

from typing import Any
from urllib.parse import quote

from wattline.errors import InputError
from wattline.settings import settings
from wattline.sources.remote import AnswerError, Remote
from wattline.trust import Credentials

FIELD = "ingest.options.examon.url"


class Database:
    """KairosDB. Use it within `with`.

    url: of KairosDB, or of the Grafana before it
    grafana_source: what Grafana calls it; None where it is asked itself
    Raises InputError as `Remote` does.
    """

    def __init__(self, url: str, *, grafana_source: str | None, timeout_seconds: float, in_the_open: bool) -> None:
        known = settings()
        self._remote = Remote(
            url,
            field=FIELD,
            credentials=Credentials(
                "WATTLINE_EXAMON_USER and WATTLINE_EXAMON_PASSWORD", known.examon_user, known.examon_password
            ),
            authority=known.sources_ca_file,
            timeout_seconds=timeout_seconds,
            in_the_open=in_the_open,
        )
        self._grafana_source = grafana_source
        self._found: str | None = None
        self.place = self._remote.place

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, *_: object) -> None:
        self._remote.__exit__()

    def get(self, command: str) -> Any:
        """JSON of an answer. Raises InputError as `Remote.post` does."""
        return self._remote.get(f"{self._base()}{command}")

    def post(self, command: str, body: bytes) -> Any:
        """The same, for a question in JSON."""
        return self._remote.post(f"{self._base()}{command}", content=body)

    def _base(self) -> str:
        if self._found is None:
            self._found = f"{self._proxy()}/api/v1/"
        return self._found

    def _proxy(self) -> str:
        """Where Grafana hands on what is meant for KairosDB."""
        if self._grafana_source is None:
            return ""
        try:
            answer = self._remote.get(f"/api/datasources/id/{quote(self._grafana_source, safe='')}")
        except AnswerError as error:
            if error.status != 404:
                raise
            raise InputError(
                f"{self.place} knows no data source {self._grafana_source!r}; correct "
                "ingest.options.examon.grafana_source, or set it to null where `url` is KairosDB's own"
            ) from None
        number = answer.get("id") if isinstance(answer, dict) else None
        if not isinstance(number, int):
            raise InputError(f"{self.place} does not tell data sources as Grafana does; check {FIELD}")
        return f"/api/datasources/proxy/{number}"
