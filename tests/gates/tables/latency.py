from ..cases import Asked
from ..samples import INF, LIMITS, NAN, measurement


def case(promise, evidence, outcome, value=NAN, limit=NAN, *, says=(), provenance="measured"):
    unit = {8.0: "ms", 1024.0: "windows/s"}.get(limit, "1")
    return Asked(promise, "latency", (evidence, LIMITS.latency), outcome, value, limit, says, provenance, unit)


CASES = (
    case(
        "a quick candidate passes",
        measurement(),
        "PASS",
        2.0,
        8.0,
        says=("p99 2 ms <= 8 ms", "5,000 windows/s >= 1,024 windows/s in batches of 256"),
    ),
    case("no measurement fails", None, "FAIL", says=("reports/measure.json is missing",), provenance="computed"),
    case("a percentile at the very limit passes", measurement(latency_p99_ms=8.0), "PASS", 8.0, 8.0),
    case(
        "a percentile over the limit fails", measurement(latency_p99_ms=8.5), "FAIL", 8.5, 8.0, says=("8.5 ms > 8 ms",)
    ),
    case("a throughput at the very limit passes", measurement(throughput_per_second=1024.0), "PASS", 2.0, 8.0),
    case(
        "a throughput under the limit fails",
        measurement(throughput_per_second=1023.0),
        "FAIL",
        1023.0,
        1024.0,
        says=("1,023 windows/s < 1,024 windows/s",),
    ),
    case("no throughput fails", measurement(throughput_per_second=0.0), "FAIL", 0.0, 1024.0),
    case("an infinite throughput fails", measurement(throughput_per_second=INF), "FAIL", INF, 1024.0),
    case(
        "late and slow at once names the latency",
        measurement(latency_p99_ms=9.0, throughput_per_second=1.0),
        "FAIL",
        9.0,
        8.0,
        says=("9 ms > 8 ms", "1 windows/s < 1,024"),
    ),
    case(
        "an answer in no time fails",
        measurement(latency_p50_ms=0.0),
        "FAIL",
        says=("no clock", "0 ms at the median"),
        provenance="computed",
    ),
    case("a median equal to the percentile passes", measurement(latency_p50_ms=2.0), "PASS", 2.0, 8.0),
    case(
        "a median over the percentile fails",
        measurement(latency_p50_ms=2.5),
        "FAIL",
        says=("2.5 ms at the median and 2 ms",),
        provenance="computed",
    ),
    case(
        "infinite latency fails",
        measurement(latency_p50_ms=INF, latency_p99_ms=INF),
        "FAIL",
        INF,
        8.0,
        says=("inf ms >",),
    ),
)
