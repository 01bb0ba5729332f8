"""The section of the server: where it listens, what it bounds, whom it trusts."""

from typing import Literal

from pydantic import Field

from wattline.params.section import Fraction, Positive, Section


class BatchingParams(Section):
    """How concurrent requests share one run of the graph.

    maximum_windows: windows in one run
    maximum_delay_ms: how long a request may wait for others that are on their way [ms]; 0: not at all
    threads: CPU threads of one run; 0: as many as the container's CPU quota allows, shared among the workers
    device: what the graph runs on; cuda needs onnxruntime-gpu in the image and falls back to nothing
    """

    maximum_windows: int = Field(ge=1, le=4096)
    maximum_delay_ms: float = Field(ge=0, le=1000)
    threads: int = Field(ge=0, le=1024)
    device: Literal["cpu", "cuda"]


class LimitsParams(Section):
    """What one caller, and all of them together, may ask for.

    body_bytes: largest body, also after it was decompressed [bytes]
    bodies_bytes: of all requests that are being received or answered; more are answered 503 with Retry-After [bytes]
    header_bytes: largest request line and headers [bytes]
    header_seconds: from the first byte of a request to the end of its headers [s]
    body_seconds: from the end of the headers to the end of the body, and for a caller to read its answer [s]
    idle_seconds: a kept-open connection without a request [s]
    deadline_seconds: from the end of the body to the answer; a caller may ask for less with X-Deadline-Ms [s]
    request_windows: windows in one request
    queue_windows: windows that wait or run, of all requests; more are answered 503 with Retry-After
    queue_share: of the time that a request has; one is answered 503 too when the windows before it will take longer
    connections: open at once; more are answered 503 and closed
    """

    body_bytes: int = Field(ge=1024)
    bodies_bytes: int = Field(ge=1024)
    header_bytes: int = Field(ge=1024, le=1048576)
    header_seconds: Positive
    body_seconds: Positive
    idle_seconds: Positive
    deadline_seconds: Positive
    request_windows: int = Field(ge=1)
    queue_windows: int = Field(ge=1)
    queue_share: Fraction
    connections: int = Field(ge=1)


class ModelParams(Section):
    """Which model is served, and what it must carry.

    origin: "folder" (what `wattline champion` fetched) or "registry" (the server of MLFLOW_TRACKING_URI, over HTTP)
    signature: whether a model without a valid signed statement is refused
    trusted_keys: PEM files with the public keys of those who may promote
    poll_seconds: how often a new champion is looked for [s]; 0: only when told by POST /admin/reload
    reload_seconds: the deadline of /admin/reload and /admin/canary, which wait for what they start [s]
    """

    origin: Literal["folder", "registry"]
    signature: Literal["required", "optional"]
    trusted_keys: tuple[str, ...]
    poll_seconds: float = Field(ge=0)
    reload_seconds: Positive


class CanaryParams(Section):
    """How a challenger is tried on live requests. Both versions' figures stand side by side in /metrics.

    mode: off; "canary" answers a share of the requests with the challenger; "shadow" copies that share to it and
        never lets its answers out
    percent: share of requests, sticky by unit or by the header X-Sticky-Key [%]
    minimum_requests: of the challenger, before it is judged
    maximum_error_rate: share of its requests that may fail
    maximum_latency_ratio: its mean time in the graph over the champion's
    """

    mode: Literal["off", "canary", "shadow"]
    percent: float = Field(ge=0, le=100)
    minimum_requests: int = Field(ge=1)
    maximum_error_rate: Fraction
    maximum_latency_ratio: Positive


class AuthParams(Section):
    """Who may ask what. Roles: predict, feedback, operate, audit.

    mode: "none" (loopback only), "keys" (hashed API keys), "jwt" (bearer tokens of an OIDC issuer), "both"
    keys_file: YAML list of {id, sha256, roles}; `wattline apikey` prints an entry
    issuer: what `iss` of a token must be
    audience: what `aud` of a token must contain
    jwks_url: where the issuer's public keys are
    roles_claim: claim of a token that lists its roles
    leeway_seconds: allowed difference of clocks [s]
    refresh_seconds: how often the issuer's keys are fetched [s]
    rate_per_second: requests of one caller, on average [1/s]; 0: without limit
    burst: requests of one caller, at once
    """

    mode: Literal["none", "keys", "jwt", "both"]
    keys_file: str
    issuer: str
    audience: str
    jwks_url: str
    roles_claim: str
    leeway_seconds: float = Field(ge=0, le=300)
    refresh_seconds: Positive
    rate_per_second: float = Field(ge=0)
    burst: int = Field(ge=1)


class LogParams(Section):
    """Where answers are written down.

    folder: of the Parquet files, one partition for each day; empty: nothing is written
    queue_records: answers that wait to be written; more are dropped and counted
    flush_seconds: at most so long until an answer is in a file [s]
    """

    folder: str
    queue_records: int = Field(ge=1)
    flush_seconds: Positive


class ObserveParams(Section):
    """Live scoring of units that send one sample at a time.

    file: where the newest samples of each unit are kept across restarts; empty: /observe is off
    future_seconds: how far ahead of the server's clock a timestamp may be [s]
    gap_steps: missing samples in a row that are filled with nulls; after a longer gap a unit's window starts anew
    maximum_units: units that are kept
    """

    file: str
    future_seconds: float = Field(ge=0)
    gap_steps: int = Field(ge=0)
    maximum_units: int = Field(ge=1)


class ServingParams(Section):
    """The server.

    host: address it listens on
    port: 0 means any free one
    workers: processes that share the address
    drain_seconds: from SIGTERM, how long it goes on serving with /readyz off, so that balancers notice [s]
    extra_columns: whether a column that the model does not know is refused by name or ignored
    """

    host: str
    port: int = Field(ge=0, le=65535)
    workers: int = Field(ge=1, le=64)
    drain_seconds: float = Field(ge=0)
    extra_columns: Literal["refuse", "ignore"]
    model: ModelParams
    batching: BatchingParams
    limits: LimitsParams
    canary: CanaryParams
    auth: AuthParams
    log: LogParams
    observe: ObserveParams
