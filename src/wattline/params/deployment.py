"""Knobs of the deployment: how containers run on the serving host, and what one must show before it is promoted."""

from typing import Literal, Self

from pydantic import Field, model_validator

from wattline.params.section import Fraction, Positive, Section


class EnvironmentParams(Section):
    """One environment on a serving host.

    name: of its container; the one on trial has `-trial` behind it
    address: where the server listens; anything but loopback wants a TLS proxy in front
    port: of that address
    url: how callers reach it, where a proxy is in front; it is asked at the end of a deployment. "": address and port
    memory: most that the container may use, as the engine spells it
    state: folder that remembers what runs and what ran before; outside the checkout, which CI cleans
    data: a volume's name, or an absolute folder, for predictions and newest samples; they outlive a container
    keys_file: API keys on the host. Its folder is mounted, so that a key that is revoked is revoked at once. "": the
        image asks for none
    user: who runs the server inside, number:number; "": as the image says
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,50}$")
    address: str = Field(pattern=r"^[0-9A-Za-z.:-]+$")
    port: int = Field(ge=1, le=65535)
    url: str = Field(default="", pattern=r"^$|^https?://[^\s@?#]+$")
    memory: str = Field(pattern=r"^[1-9][0-9]*[bkmg]$")
    state: str = Field(min_length=1)
    data: str = Field(pattern=r"^(/[^:\s]*|[a-zA-Z0-9][a-zA-Z0-9_.-]*)$")
    keys_file: str = Field(default="", pattern=r"^$|^/[^:\s]*/wattline_api_keys$")
    user: str = Field(default="", pattern=r"^$|^[0-9]+:[0-9]+$")


class LoadParams(Section):
    """What the load test asks of a running container.

    requests: in each window that is metered, sent over all connections as fast as they are answered
    repeats: windows that are metered
    connections: kept open, each with one request under way
    paced_requests: sent one by one at a fixed rate, for the latency
    rate_per_second: of those; a request that has to wait for its turn has waited since it was due [1/s]
    idle_seconds: before and after each metered window [s]
    timeout_seconds: longest time for one answer [s]
    """

    requests: int = Field(ge=10)
    repeats: int = Field(ge=2, le=30)
    connections: int = Field(ge=1, le=1024)
    paced_requests: int = Field(ge=100)
    rate_per_second: Positive
    idle_seconds: Positive
    timeout_seconds: Positive


class AcceptanceLimits(Section):
    """What a running container must show.

    p99_ms: 99th percentile of an answer at `load.rate_per_second` [ms]
    maximum_error_rate: share of requests that were not answered, or answered otherwise than the model does
    throughput_per_second: requests answered, with all connections busy [1/s]
    budget_joules: energy of 1,000 predictions through the server, upper bound [J]
    evidence: "estimated" accepts an estimate, "measured" refuses it
    """

    p99_ms: Positive
    maximum_error_rate: Fraction
    throughput_per_second: Positive
    budget_joules: Positive
    evidence: Literal["estimated", "measured"]


class DeploymentParams(Section):
    """How images reach a serving host.

    engine: podman or docker, on the serving host
    network: host: the server listens itself; bridge: the engine publishes its port
    ready_seconds: longest time from the start of a container to /readyz [s]
    stop_seconds: time that a container gets to finish its answers [s]
    tag: what a promoted image is called in its repository
    """

    engine: Literal["podman", "docker"]
    network: Literal["host", "bridge"]
    ready_seconds: Positive
    stop_seconds: int = Field(ge=1, le=600)
    tag: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$")
    staging: EnvironmentParams
    production: EnvironmentParams
    load: LoadParams
    limits: AcceptanceLimits

    @model_validator(mode="after")
    def _environments_are_two(self) -> Self:
        """Raise where one would answer, or remember, for the other."""
        for field in ("name", "port", "state", "data"):
            value = getattr(self.staging, field)
            if value == getattr(self.production, field):
                raise ValueError(f"staging and production have the same {field}, {value}; give each its own")
        return self
