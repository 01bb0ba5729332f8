"""Smoke test of a running server: is it up, is it this version, does it answer rightly, does it refuse what it must?"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from pydantic import SecretStr

from wattline.deployment.failure import DeploymentError
from wattline.deployment.model import Model
from wattline.deployment.question import difference, identity, questions
from wattline.errors import InputError

if TYPE_CHECKING:
    import httpx

TIMEOUT_SECONDS = 30.0
JSON = {"Content-Type": "application/json"}
MALFORMED = (
    b"{",
    b'{"unit": "wattline-smoke", "rows": []}',
    b'{"unit": "wattline-smoke", "rows": [{"no such column": 1}]}',
)
METRIC = "wattline_requests_total"


@dataclass(frozen=True)
class Check:
    """One question, and the answer.

    problem: what is wrong; "" where nothing is
    """

    name: str
    problem: str

    @property
    def passed(self) -> bool:
        return not self.problem


def smoke(url: str, model: Model, *, key: SecretStr | None, guarded: bool) -> list[Check]:
    """Ask the server at `url` everything that it must get right as `model`.

    key: for callers with the roles predict and audit; None asks without one
    guarded: whether it must refuse who has no key
    Raises InputError when the server wants a key and there is none.
    """
    import httpx

    headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key is not None else {}
    # The proxy of an environment is for the way out: a server of our own is not behind it.
    with (
        httpx.Client(
            base_url=url, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=key is None or _is_far(url)
        ) as known,
        httpx.Client(base_url=url, timeout=TIMEOUT_SECONDS, trust_env=_is_far(url)) as stranger,
    ):
        return list(_checks(known, stranger, model, has_key=key is not None, guarded=guarded))


def check(url: str, model: Model, *, key: SecretStr | None, guarded: bool) -> None:
    """Raise DeploymentError naming what is wrong with the server at `url`."""
    wrong = [f"{one.name}: {one.problem}" for one in smoke(url, model, key=key, guarded=guarded) if not one.passed]
    if wrong:
        raise DeploymentError(f"the smoke test at {url} failed: {'; '.join(wrong)}")


def status(url: str, path: str) -> int:
    """HTTP status of a GET; 0 where nobody answers."""
    import httpx

    try:
        return httpx.get(f"{url}{path}", timeout=TIMEOUT_SECONDS, trust_env=_is_far(url)).status_code
    except httpx.HTTPError:
        return 0


def _is_far(url: str) -> bool:
    return not url.partition("://")[2].startswith(("127.", "localhost", "[::1]"))


def _checks(
    known: "httpx.Client", stranger: "httpx.Client", model: Model, *, has_key: bool, guarded: bool
) -> Iterator[Check]:
    yield _checked("livez", partial(_status, stranger, "/livez"))
    yield _checked("readyz", partial(_ready, stranger, model))
    yield _checked("refuses strangers", partial(_refuses, stranger, model, has_key=has_key, guarded=guarded))
    yield _checked("known answers", partial(_answers, known, model))
    yield _checked("malformed requests", partial(_malformed, known))
    yield _checked("model", partial(_signed, known, model))
    yield _checked("metrics", partial(_metrics, known))


def _checked(name: str, ask: Callable[[], str | None]) -> Check:
    import httpx

    try:
        return Check(name, ask() or "")
    except (httpx.HTTPError, ValueError) as error:  # ValueError: an answer that is no JSON
        return Check(name, str(error) or type(error).__name__)


def _status(client: "httpx.Client", path: str) -> str | None:
    found = client.get(path).status_code
    return None if found == 200 else f"{path} answers {found}"


def _ready(client: "httpx.Client", model: Model) -> str | None:
    answer = client.get("/readyz")
    if answer.status_code != 200:
        return f"/readyz answers {answer.status_code}"
    found = answer.json().get("model")
    return None if found == identity(model) else f"{found} serves, {identity(model)} was deployed"


def _refuses(client: "httpx.Client", model: Model, *, has_key: bool, guarded: bool) -> str | None:
    found = client.post("/predict", content=questions(model)[0].body, headers=JSON).status_code
    if found == 401:
        if not has_key:
            raise InputError(
                "WATTLINE_API_KEY is not set, and the server wants a key; make one on its host with "
                "`wattline apikey NAME --role predict --role audit` and set it as a masked variable"
            )
        return None
    if guarded or has_key:
        return f"a caller without a key is answered {found}, not 401"
    return None if found == 200 else f"/predict answers {found}"


def _answers(client: "httpx.Client", model: Model) -> str | None:
    for place, question in enumerate(questions(model)):
        answer = client.post("/predict", content=question.body, headers=JSON)
        if answer.status_code != 200:
            return f"golden window {place} is answered {answer.status_code}: {answer.text[:200]}"
        wrong = difference(answer.json(), question, identity=identity(model))
        if wrong:
            return f"golden window {place}: {wrong}"
    return None


def _malformed(client: "httpx.Client") -> str | None:
    for body in MALFORMED:
        answer = client.post("/predict", content=body, headers=JSON)
        if not 400 <= answer.status_code < 500 or answer.status_code in (401, 403) or "error" not in answer.json():
            return f"{body.decode()} is answered {answer.status_code}: {answer.text[:100]}"
    return None


def _signed(client: "httpx.Client", model: Model) -> str | None:
    answer = client.get("/model")
    if answer.status_code != 200:
        return f"/model answers {answer.status_code}; the key of WATTLINE_API_KEY needs the role audit"
    statement = answer.json().get("statement") or {}
    found = (statement.get("predicate") or {}).get("digest")
    return None if found == model.digest else f"the signed statement is about {found}, not about {model.digest}"


def _metrics(client: "httpx.Client") -> str | None:
    answer = client.get("/metrics")
    if answer.status_code != 200:
        return f"/metrics answers {answer.status_code}; the key of WATTLINE_API_KEY needs the role audit"
    return (
        None
        if METRIC in answer.text and model_info(answer.text)
        else f"/metrics holds no {METRIC} or wattline_model_info"
    )


def model_info(text: str) -> bool:
    """Whether the metrics tell which model answers."""
    return "wattline_model_info{" in text
