"""A Prometheus that is asked for a span in pieces that it answers."""

import time
from collections.abc import Iterator

from wattline.errors import InputError
from wattline.settings import Settings
from wattline.sources.prometheus import answer
from wattline.sources.prometheus.answer import Reading, Samples
from wattline.sources.prometheus.options import Options
from wattline.sources.remote import AnswerError, Remote, TooLargeError
from wattline.trust import of_prometheus

FIELD = "ingest.options.prometheus.url"
MOST_POINTS = 11_000
"""Of one series in one answer: Prometheus refuses more.
https://github.com/prometheus/prometheus/blob/v2.42.0/web/api/v1/api.go"""
FIRST_POINTS = 60
"""As long as nobody knows how many series there are."""
TOO_MANY = ("too many samples", "exceeded maximum resolution", "too many points", "maximum number of")


class Server:
    """Prometheus. Use it within `with`. Raises InputError as `Remote` does, and for two kinds of credentials."""

    def __init__(self, options: Options, settings: Settings) -> None:
        self._options = options
        self._remote = Remote(
            options.url,
            field=FIELD,
            credentials=of_prometheus(settings),
            authority=settings.sources_ca_file,
            timeout_seconds=options.timeout_seconds,
            in_the_open=options.password_in_the_open,
        )

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self._remote.__exit__()

    def clock(self) -> float:
        """Its time [s since 1970]: it would repeat the last values for whatever is later."""
        told = answer.result(
            self._remote.get("/api/v1/query", query="time()"), "scalar", where="time()", accept_warnings=True
        )
        try:
            return float(told[1])
        except (TypeError, ValueError, LookupError, OverflowError):
            raise InputError(f"{self._remote.place} does not tell the time; check {FIELD}") from None

    def samples(self, column: str, query: str, *, first: int, last: int) -> Iterator[Samples]:
        """Values at multiples of the cadence from `first` to `last`, both included [ms since 1970], piece by piece.

        Raises InputError when the server does not answer, understand, or have one series for each unit.
        """
        step, points, at = self._options.step, FIRST_POINTS, first
        while at <= last:
            until = min(at + (points - 1) * step, last)
            try:
                found = self._piece(column, query, first=at, last=until)
            except (TooLargeError, AnswerError) as error:
                if points == 1 or not _is_too_much(error):
                    raise
                points = max(1, min(points, (until - at) // step + 1) // 2)
                continue
            yield found
            at = until + step
            fitting = self._options.samples_per_query // max(1, found.series)
            # What was too much before is not tried again.
            points = max(1, min(MOST_POINTS, fitting, 2 * points))

    def _piece(self, column: str, query: str, *, first: int, last: int) -> Samples:
        try:
            content = self._remote.post_form(
                "/api/v1/query_range",
                query=query,
                start=f"{first / 1000:.3f}",
                end=f"{last / 1000:.3f}",
                step=f"{self._options.step / 1000:.3f}",
            )
        except AnswerError as error:
            if error.status == 400 and not _is_too_much(error):
                raise InputError(
                    f"{self._remote.place} does not understand the query of column {column!r}: {error.said}; correct "
                    "ingest.options.prometheus.metrics"
                ) from None
            raise
        return answer.samples(
            content,
            Reading(
                column=column,
                unit_label=self._options.unit_label,
                unit_pattern=self._options.unit_pattern,
                group_label=self._options.group_label,
                accept_warnings=self._options.accept_warnings,
                now=time.time(),
            ),
        )


def _is_too_much(error: Exception) -> bool:
    """Whether fewer points at once would do."""
    return isinstance(error, TooLargeError) or any(words in getattr(error, "said", "") for words in TOO_MANY)
