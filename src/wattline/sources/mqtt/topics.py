"""ExaMon's MQTT topics: what a sample is about, as key/value pairs that end in the name of its metric."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote_to_bytes

from wattline.errors import InputError

BASE = ("org", "cluster", "node", "plugin", "chnl")
CHANNEL = "data"
"""Of what `chnl` names: ExaMon's plugins send samples on `data` and take commands on `cmd`."""
LONGEST = 65_535
"""Bytes of a topic: MQTT counts them in 16 bits."""
SPECIAL = frozenset(" +#/%$")


class TopicError(InputError):
    """A topic that cannot be read, or names that make none. reason: the same without the names, to be counted."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Topic:
    """What a sample is about: `org/<org>/cluster/<cluster>/node/<node>/plugin/<plugin>/chnl/data/<metric>`.

    tags: key -> value in the order of the topic, unescaped; further ones than `BASE` may stand anywhere among them
    metric: the last level, unescaped
    """

    tags: Mapping[str, str] = field(hash=False)
    metric: str

    @property
    def channel(self) -> str:
        """The metric behind those tags that are not in `BASE`, escaped: "total_power", or "core/0/temp"."""
        further = [level for key, value in self.tags.items() if key not in BASE for level in (key, value)]
        return "/".join(escaped(level) for level in (*further, self.metric))


def examon(tags: Mapping[str, str], *, org: str, cluster: str, node: str, plugin: str, metric: str) -> Topic:
    """The topic of a sample in ExaMon's order, with further `tags` between `chnl/data` and the metric."""
    base = {"org": org, "cluster": cluster, "node": node, "plugin": plugin, "chnl": CHANNEL}
    twice = sorted(base.keys() & tags.keys())
    if twice:
        raise TopicError("a key comes twice", f"tag {twice[0]!r} is part of every topic; give another name to yours")
    return Topic({**base, **tags}, metric)


def formatted(topic: Topic) -> str:
    """The topic as it is sent. `parsed` gives back exactly `topic`.

    Raises TopicError for a name that is empty or no Unicode text, and for more than 65,535 bytes.
    """
    levels = [level for pair in topic.tags.items() for level in pair]
    text = "/".join(escaped(level) for level in (*levels, topic.metric))
    if len(text.encode()) > LONGEST:
        raise TopicError("longer than 65,535 bytes", f"topic {text[:60]}... has more than {LONGEST} bytes; shorten it")
    return text


def parsed(text: str) -> Topic:
    """What a topic says. A `%` that begins no escape stands for itself, as others may send it.

    Raises TopicError when levels do not make pairs and a metric, a level is empty, a key comes twice, or an escape is
    no UTF-8.
    """
    levels = [unescaped(level) for level in text.split("/")]
    if len(levels) % 2 == 0:
        raise TopicError(
            "no pairs and a metric", f"topic {text!r} has {len(levels)} levels: pairs and a metric are odd"
        )
    if "" in levels:
        raise TopicError("a level is empty", f"topic {text!r} has an empty level; every key and value needs a name")
    keys = levels[:-1:2]
    if len(set(keys)) < len(keys):
        raise TopicError("a key comes twice", f"topic {text!r} has a key twice; every key may come once")
    return Topic(dict(zip(keys, levels[1::2], strict=True)), levels[-1])


def escaped(name: str) -> str:
    """One level of a topic: space, `+`, `#`, `/`, `%`, `$` and what does not print as `%XX` of its UTF-8 bytes.

    `+` and `#` are MQTT's wildcards, `/` divides levels, a topic that begins with `$` belongs to the broker, and
    brokers hang up on control characters.
    """
    if not name:
        raise TopicError("a level is empty", "a key, a value or the metric of a topic is empty; give it a name")
    try:
        return "".join(
            letter if letter.isprintable() and letter not in SPECIAL else quote(letter, safe="") for letter in name
        )
    except UnicodeEncodeError:
        raise TopicError("no Unicode text", f"{name!r} cannot be part of a topic: it is no Unicode text") from None


def unescaped(level: str) -> str:
    """The name that `escaped` made this level of. Raises TopicError for bytes that are no UTF-8."""
    try:
        return unquote_to_bytes(level).decode()
    except UnicodeError:
        raise TopicError("an escape is no UTF-8", f"topic level {level!r} has escapes that are no UTF-8") from None
