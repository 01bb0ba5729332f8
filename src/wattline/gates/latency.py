"""Gate: does the candidate answer in time?"""

import math

from wattline.gates.evidence import Insufficient, fails_closed, present
from wattline.params import LatencyLimits
from wattline.records import Measurement, Verdict


@fails_closed
def latency(evidence: Measurement | None, limits: LatencyLimits) -> Verdict:
    """The 99th percentile of one answer and the throughput of batches are within their limits."""
    found = present(evidence, "measure").candidate
    if not found.latency_p50_ms or found.latency_p50_ms > found.latency_p99_ms:
        raise Insufficient(
            f"latency is {found.latency_p50_ms:.4g} ms at the median and {found.latency_p99_ms:.4g} ms at the "
            "99th percentile, which no clock can show; run `dvc repro --force measure`"
        )
    punctual = found.latency_p99_ms <= limits.p99_ms
    rate = found.throughput_per_second
    fast = math.isfinite(rate) and rate >= limits.throughput_per_second
    reason = (
        f"p99 {found.latency_p99_ms:.4g} ms {'<=' if punctual else '>'} {limits.p99_ms:.4g} ms for one window; "
        f"{rate:,.0f} windows/s {'>=' if fast else '<'} {limits.throughput_per_second:,.0f} windows/s "
        f"in batches of {found.batch}"
    )
    throughput_decides = punctual and not fast
    return Verdict(
        name="latency",
        passed=punctual and fast,
        value=rate if throughput_decides else found.latency_p99_ms,
        limit=limits.throughput_per_second if throughput_decides else limits.p99_ms,
        unit="windows/s" if throughput_decides else "ms",
        reason=reason,
        evidence=("reports/measure.json",),
        provenance="measured",
    )
