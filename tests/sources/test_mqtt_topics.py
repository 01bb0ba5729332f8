"""ExaMon's topics and payloads: what is written is read back exactly, and what cannot be read is named."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wattline.errors import InputError
from wattline.sources import epochs
from wattline.sources.mqtt import payload, topics
from wattline.sources.mqtt.payload import PayloadError, Sample
from wattline.sources.mqtt.topics import Topic, TopicError

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
AWKWARD = st.sampled_from(
    [" ", "+", "#", "/", "%", "%2F", "a b", "50%", "$SYS", "\x00", "\u0085", "\ufdd0", "é", "日本"]
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(NAMES | AWKWARD, NAMES | AWKWARD, max_size=6), NAMES | AWKWARD)
def test_any_names_come_back_exactly(tags: dict[str, str], metric: str) -> None:
    topic = Topic(tags, metric)
    text = topics.formatted(topic)
    assert topics.parsed(text) == topic
    assert list(topics.parsed(text).tags) == list(tags)
    assert topics.formatted(topics.parsed(text)) == text
    assert not set(text) & set(" +#$")
    assert text.isprintable()


def test_a_topic_of_examon_is_what_its_documents_say() -> None:
    topic = topics.examon({}, org="cineca", cluster="m100", node="r205n01", plugin="ipmi_pub", metric="total_power")
    text = "org/cineca/cluster/m100/node/r205n01/plugin/ipmi_pub/chnl/data/total_power"
    assert topics.formatted(topic) == text
    assert topics.parsed(text).tags["node"] == "r205n01"
    assert topics.parsed(text).channel == "total_power"


@pytest.mark.parametrize(
    "text", ["org/a/node/n/chnl/data/core/0/temp", "org/a/rack/3/node/n/chnl/data/core/0/temp", "rack/3/core/0/temp"]
)
def test_further_tags_stand_before_the_metric(text: str) -> None:
    assert topics.parsed(text).channel == ("rack/3/core/0/temp" if "rack" in text else "core/0/temp")


def test_what_others_did_not_escape_is_read_as_it_stands() -> None:
    topic = topics.parsed("node/r1 n2/load 50%")
    assert topic == Topic({"node": "r1 n2"}, "load 50%")
    assert topics.parsed(topics.formatted(topic)) == topic


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("node/n1/plugin/p", "no pairs and a metric"),
        ("node//power", "a level is empty"),
        ("/n/power", "a level is empty"),
        ("node/a/node/b/power", "a key comes twice"),
        ("node/%ff/power", "an escape is no UTF-8"),
    ],
)
def test_an_odd_topic_is_named(text: str, reason: str) -> None:
    with pytest.raises(TopicError) as error:
        topics.parsed(text)
    assert error.value.reason == reason
    assert str(error.value).startswith(("topic", "topic level"))
    assert "%ff" in str(error.value) or repr(text) in str(error.value)


def test_names_that_make_no_topic_are_refused() -> None:
    for topic in (Topic({"node": ""}, "power"), Topic({}, "\ud800"), Topic({"node": "n" * 70_000}, "power")):
        with pytest.raises(TopicError):
            topics.formatted(topic)
    with pytest.raises(TopicError, match="'node'"):
        topics.examon({"node": "b"}, org="o", cluster="c", node="a", plugin="p", metric="m")


@settings(max_examples=200, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 2**63 - 1))
def test_any_value_and_instant_come_back_exactly(value: float, instant: int) -> None:
    found = payload.parsed(payload.formatted(Sample(value, instant)))
    assert found.instant == instant
    assert found.value.hex() == value.hex()


@pytest.mark.parametrize(
    ("sent", "sample"),
    [
        (b"540.0;1583798400", Sample(540.0, 1583798400_000000000)),
        (b"540;1583798400.5", Sample(540.0, 1583798400_500000000)),
        (b" -1e3 ; 1583798400.1234567899 \n", Sample(-1000.0, 1583798400_123456789)),
        (b"1;1583798400000", Sample(1.0, 1583798400000_000000000)),
    ],
)
def test_what_others_write_is_read(sent: bytes, sample: Sample) -> None:
    assert payload.parsed(sent) == sample


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"", "not `value;seconds`"),
        (b"540", "not `value;seconds`"),
        (b"540;", "not `value;seconds`"),
        (b"540;1;2", "not `value;seconds`"),
        (b"540;1583798400e3", "not `value;seconds`"),
        (b"\xff\x00;1", "the value is no number"),
        (b"on;1583798400", "the value is no number"),
        (b"1_0;1583798400", "the value is no number"),
        (b"0x1A;1583798400", "the value is no number"),
        (b"nan;1583798400", "the value is not finite"),
        (b"1e999;1583798400", "the value is not finite"),
        (b"1;-5", "before 1970"),
        (b"1;" + b"9" * 500_000, "not `value;seconds`"),
    ],
)
def test_junk_is_named(sent: bytes, reason: str) -> None:
    with pytest.raises(PayloadError) as error:
        payload.parsed(sent)
    assert error.value.reason == reason
    assert len(str(error.value)) < 400


@pytest.mark.parametrize("sample", [Sample(float("nan"), 1), Sample(float("inf"), 1), Sample(1.0, -1)])
def test_what_is_no_sample_is_not_sent(sample: Sample) -> None:
    with pytest.raises(InputError):
        payload.formatted(sample)


def test_one_stamp_is_judged_as_many_are() -> None:
    now = 1_750_000_000.0
    seconds = [1_750_000_000, 1_750_000_060, 1_750_000_061, 946_684_799, 946_684_800, 1_750_000_000_000, 10**15, 0]
    found = [payload.doubt(second * 10**9, now=now) for second in seconds]
    many = epochs.nanoseconds(seconds, unit="s", where="here", now=now)
    assert [reason is None for reason in found] == many.taken.tolist()
    assert Counter(reason for reason in found if reason) == many.refused
