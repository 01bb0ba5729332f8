"""packets: every message that a broker sends comes out once and whole, however the bytes arrive; junk is refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wattline.live import packets

MESSAGES = st.lists(st.tuples(st.binary(min_size=1, max_size=200), st.binary(max_size=400)), max_size=12)


@settings(max_examples=100, deadline=None)
@given(MESSAGES, st.lists(st.integers(1, 300), max_size=8))
def test_messages_come_out_whole_wherever_the_stream_is_cut(messages, cuts):
    stream = b"".join(packets.publish(topic, payload) for topic, payload in messages)
    found, rest, begin = [], b"", 0
    for end in [*(sum(cuts[: place + 1]) for place in range(len(cuts))), len(stream)]:
        rest += stream[begin:end]
        begin = max(begin, end)
        part = packets.cut(rest)
        rest = rest[part.used :]
        found += zip(part.topics, part.payloads, strict=True)
    assert (found, rest) == (messages, b"")


def test_what_a_broker_may_send_besides_plain_messages_is_told_apart():
    kept = bytes([0x31]) + packets.publish(b"t/kept", b"1;2")[1:]
    acknowledged = bytes([0x32, 10]) + b"\0\3a/b" + b"\0\7" + b"3;4"
    stream = b"\xd0\0" + kept + acknowledged + packets.publish(b"c", b"") + b"\x90\3\0\1\0"
    found = packets.cut(stream)
    assert found.topics == [b"t/kept", b"a/b", b"c"]
    assert found.payloads == [b"1;2", b"3;4", b""]
    assert found.retained == [0]
    assert found.others == [(packets.PINGRESP, b""), (packets.SUBACK, b"\0\1\0")]
    assert found.used == len(stream)


@pytest.mark.parametrize(
    "stream",
    [
        b"\x30\x05\x00\x09abc",  # a topic that is longer than its packet
        b"\x30\x01\x00",
        b"\x30\x00",
        b"\x32\x04\x00\x02ab",  # no place for the packet identifier
        b"\x30\xff\xff\xff\xff\x01",  # a length of five bytes
        b"\x30\xff\xff\xff\x7f",  # a packet of 256 MiB
        b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n" * 4 + b"\x30\xff\xff\xff\xff",
    ],
)
def test_what_is_no_mqtt_is_refused_and_not_waited_for(stream: bytes):
    with pytest.raises(packets.StreamError):
        packets.cut(stream)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_end_in_anything_but_messages_or_a_refusal(stream: bytes):
    try:
        found = packets.cut(stream)
    except packets.StreamError:
        return
    assert 0 <= found.used <= len(stream)
    assert len(found.topics) == len(found.payloads)
