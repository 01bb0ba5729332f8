"""decoding: the quick way says what the careful one says, and whatever is not taken is counted with its reason."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wattline.live import packets
from wattline.live.decoding import Decoder
from wattline.sources.epochs import EARLIEST_SECONDS
from wattline.sources.mqtt import payload
from wattline.sources.mqtt.payload import Sample

NOW = 1_790_000_000.0
PREFIX = b"org/cineca/cluster/m100/node/"
METRICS = {"total_power": "power", "core/0/temp": "inlet"}


def decoder(*, maximum_units: int = 3) -> Decoder:
    return Decoder(METRICS, ["power", "inlet"], unit_tag="node", maximum_units=maximum_units)


def topic(node: str, rest: str = "total_power") -> bytes:
    return PREFIX + f"{node}/plugin/ipmi_pub/chnl/data/{rest}".encode()


def cut(*messages: tuple[bytes, bytes]) -> packets.Cut:
    return packets.cut(b"".join(packets.publish(*message) for message in messages))


def test_topics_become_channels_in_the_order_in_which_units_speak():
    one = decoder()
    found = one.decode(
        cut(
            (topic("n1"), b"1;1789999999"),
            (topic("n0"), b"2;1789999999"),
            (topic("n1", "core/0/temp"), b"3;1789999999"),
        ),
        now=NOW,
    )
    assert (list(one.units), found.channels.tolist(), found.values.tolist()) == (["n1", "n0"], [0, 2, 1], [1, 2, 3])
    assert one.taken == 3


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(-3e38, 3e38, allow_nan=False),
            st.integers(EARLIEST_SECONDS * 10**6, int(NOW) * 10**6).map(lambda micro: micro * 1000),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_value_and_microsecond_are_exactly_those_of_the_careful_reader(samples):
    bodies = [payload.formatted(Sample(value, instant)) for value, instant in samples]
    found = decoder().decode(cut(*((topic("n0"), body) for body in bodies)), now=NOW)
    wanted = [payload.parsed(body) for body in bodies]
    np.testing.assert_array_equal(found.instants, [sample.instant for sample in wanted])
    np.testing.assert_array_equal(found.values, np.array([sample.value for sample in wanted], dtype=np.float32))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not `value;seconds`"),
        (b"1", "not `value;seconds`"),
        (b"1;2;3", "not `value;seconds`"),
        (b"1;1789999999\n2;1789999999", "not `value;seconds`"),
        (b'"1";1789999999', "the value is no number"),
        (b"on;1789999999", "the value is no number"),
        (b"nan;1789999999", "the value is not finite"),
        (b"inf;1789999999", "the value is not finite"),
        (b"1e39;1789999999", "the value does not fit in 32 bits"),
        (b"1;1789999999000", payload.MILLISECONDS),
        (b"1;1790009999", "in the future"),
        (b"1;99999", "before 2000"),
        (b"\xff\xfe;1", None),
    ],
)
def test_a_bad_payload_is_counted_and_costs_no_other_sample(body: bytes, reason: str | None):
    one = decoder()
    good = b"5.5;1789999999.25"
    found = one.decode(cut((topic("n0"), good), (topic("n0"), body), (topic("n1"), good)), now=NOW)
    assert found.values.tolist() == [5.5, 5.5]
    assert set(found.instants.tolist()) == {1_789_999_999_250_000_000}
    refused = +one.refused
    assert refused.total() == 1
    assert reason is None or dict(refused) == {reason: 1}
    assert one.taken == 2


def test_topics_that_are_nobodys_are_counted_and_one_that_was_kept_is_old():
    one = decoder(maximum_units=1)
    found = one.decode(
        cut(
            (topic("n0"), b"1;1789999999"),
            (topic("n1"), b"1;1789999999"),
            (topic("n0", "fan"), b"1;1789999999"),
            (b"org/a/total_power", b"1;1789999999"),
            (b"a//b", b"1;1789999999"),
            (b"\xff", b"1;1789999999"),
        ),
        now=NOW,
    )
    assert len(found.channels) == 1
    assert one.unasked == 1
    assert dict(+one.refused) == {
        "beyond live.maximum_units": 1,
        "topic: no tag node": 1,
        "topic: a level is empty": 1,
        "topic: no UTF-8": 1,
    }
    kept = bytes([0x31]) + packets.publish(topic("n0"), b"1;1789999999")[1:]
    assert len(one.decode(packets.cut(kept), now=NOW).channels) == 0
    assert one.refused["kept by the broker from before"] == 1


def test_a_flood_of_topics_fills_no_memory(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("wattline.live.decoding.MOST_UNKNOWN", 10)
    one = decoder(maximum_units=5)
    for number in range(100):
        one.decode(cut((topic(f"n{number}"), b"1;1789999999"), (topic("n0", f"m{number}"), b"1;1789999999")), now=NOW)
    assert len(one._reasons) == 10
    assert (len(one.units), one.refused["beyond live.maximum_units"], one.unasked) == (5, 95, 100)


def test_tags_that_change_with_every_message_fill_no_memory_and_lose_no_sample():
    one = decoder(maximum_units=2)
    for number in range(100):
        changing = f"org/o/cluster/c{number}/node/n{number % 2}/plugin/ipmi_pub/chnl/data/total_power".encode()
        assert len(one.decode(cut((changing, b"1;1789999999"), (topic("n0"), b"2;1789999999")), now=NOW).channels) == 2
        assert len(one._channels) <= 8
    assert (one.taken, list(one.units)) == (200, ["n0", "n1"])


def test_a_topic_of_thousands_of_bytes_is_counted_and_forgotten():
    one = decoder()
    assert not len(one.decode(cut((topic("n" * 5000), b"1;1789999999")), now=NOW).channels)
    assert (dict(+one.refused), len(one._reasons), one.units) == ({"topic: longer than 1000 bytes": 1}, 0, {})


def test_now_is_when_it_arrives_and_not_when_this_was_written():
    body = payload.formatted(Sample(1.0, round(time.time()) * 10**9))
    assert len(decoder().decode(cut((topic("n0"), body)), now=time.time()).channels) == 1
