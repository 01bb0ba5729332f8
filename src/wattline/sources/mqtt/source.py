"""Samples that arrive on an MQTT broker while we listen."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

from pydantic import Field

from wattline.errors import InputError
from wattline.params import Section
from wattline.settings import settings
from wattline.sources.channels import joined
from wattline.sources.metrics import CINECA, Metric, Pattern, Text, columns, group_of
from wattline.sources.mqtt import address, payload
from wattline.sources.mqtt.address import Address
from wattline.sources.mqtt.listening import Collector, listen
from wattline.sources.mqtt.topics import BASE, CHANNEL, escaped
from wattline.sources.source import NoSamplesError, Source, UnitSeries


class Options(Section):
    """Which broker, what of it, and for how long. Credentials come from the environment.

    broker: mqtt://HOST:1883, or mqtts://HOST:8883 with TLS
    seconds: how long to listen [s]
    metrics: what becomes of each metric; one with tags of its own before it is called core/0/temp
    org: of the topics; any, where it is absent
    cluster: of the topics; any, where it is absent
    plugin: of the topics, the collector; any, where it is null
    topics: MQTT filters to subscribe to instead, where topics are built in another order than ExaMon's
    unit_tag: key of the topic whose value names the unit
    group_pattern: regular expression of a unit's name; its (group) names the rack
    patience_seconds: how long the broker may take for an answer, or be away at the end [s]
    maximum_samples: more are counted and not taken; each takes 16 bytes while we listen
    cadence_seconds: nominal distance of two samples [s]
    name: what the dataset is called
    licence: under which its rows may be used, for the model card
    citation: whom to cite, for the model card
    """

    broker: Text
    seconds: float = Field(default=60, gt=0)
    metrics: Mapping[str, Metric] = Field(min_length=1)
    org: Text | None = None
    cluster: Text | None = None
    plugin: Text | None = "ipmi_pub"
    topics: tuple[Text, ...] = ()
    unit_tag: Text = "node"
    group_pattern: Pattern | None = CINECA
    patience_seconds: float = Field(default=10, gt=0)
    maximum_samples: int = Field(default=10_000_000, ge=1)
    cadence_seconds: float = Field(default=20, gt=0)
    name: Text = "mqtt"
    licence: Text = "internal"
    citation: Text = "samples of our own monitoring"

    def filters(self) -> tuple[str, ...]:
        """What to subscribe to: no more than what is asked for, so that the broker sends nothing else."""
        if self.topics:
            return self.topics
        values = {"org": self.org, "cluster": self.cluster, "plugin": self.plugin, "chnl": CHANNEL}
        parts = [f"{key}/{escaped(value) if (value := values.get(key)) else '+'}" for key in BASE]
        return tuple("/".join((*parts, metric)) for metric in self.metrics)


def open(options: Options, *, seed: int) -> Source:  # noqa: A001, ARG001
    """Say what is asked for. The broker is asked when the units are read: they take `seconds`."""
    place = address.parsed(options.broker)
    return Source(
        name=options.name,
        home="local",
        licence=options.licence,
        citation=options.citation,
        cadence_seconds=options.cadence_seconds,
        columns=columns(options.metrics),
        labelled=False,
        units=_Listening(place, options),
        notes=(f"samples that arrived within {options.seconds:g} s on {', '.join(options.filters())}",),
    )


class _Listening:
    """Listens whenever it is gone through."""

    def __init__(self, place: Address, options: Options) -> None:
        self._place = place
        self._options = options

    def __iter__(self) -> Iterator[UnitSeries]:
        return _units(self._place, self._options)


def _units(place: Address, options: Options) -> Iterator[UnitSeries]:
    heard = collector(options)
    listen(
        place,
        settings(),
        options.filters(),
        into=heard,
        seconds=options.seconds,
        patience=options.patience_seconds,
    )
    yield from units(heard, options)


def collector(options: Options) -> Collector:
    """What takes the samples that are asked for."""
    names = {metric: found.column or metric for metric, found in options.metrics.items()}
    return Collector(names, unit_tag=options.unit_tag, maximum_samples=options.maximum_samples)


def units(heard: Collector, options: Options) -> tuple[UnitSeries, ...]:
    """Rows of each unit that has two, by name; what was not taken is told with the unit, or else with the first.

    Raises InputError saying why when there is none; NoSamplesError when nothing was wrong either.
    """
    if not heard.taken:
        raise _silence(options, heard)
    found = {unit: series for unit in sorted(heard.units) if (series := _rows(unit, options, heard))}
    if not found:
        raise NoSamplesError(
            f"{options.broker}: no unit had two rows within {options.seconds:g} s; listen for longer than two cadences"
        )
    left_over = Counter(heard.refused)
    left_over["a unit with a single row"] += len(heard.units) - len(found)
    for unit, refused in heard.refused_of.items():
        if unit not in found:
            left_over.update(refused)
    first, *others = found.values()
    return replace(first, quarantined=Counter(first.quarantined) + left_over), *others


def _rows(unit: str, options: Options, heard: Collector) -> UnitSeries | None:
    """None when there are less than two: a unit that appeared just now."""
    channels = {column: arrivals.channel() for column, arrivals in heard.units[unit].items()}
    names = tuple(column.name for column in columns(options.metrics))
    series = joined(unit, group_of(unit, options.group_pattern), names, channels)
    if series is None or len(series.series.timestamps) < 2:
        return None
    return replace(series, quarantined=dict(heard.refused_of.get(unit, {})))


def _silence(options: Options, heard: Collector) -> InputError:
    """Why nothing was taken: nothing came, or everything was wrong, which is no empty answer."""
    refused = sum(heard.refused_of.values(), Counter(heard.refused))
    asked = f"{options.broker} sent no usable sample of {', '.join(options.filters())} within {options.seconds:g} s"
    if refused[payload.MILLISECONDS] and refused[payload.MILLISECONDS] == refused.total():
        return InputError(f"{asked}: all {refused.total()} have {payload.MILLISECONDS}; repair the sender")
    if refused:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in refused.most_common(3))
        return InputError(f"{asked}; not taken were {reasons}; repair the sender")
    others = f"; {heard.unasked} messages were of other metrics" if heard.unasked else ""
    return NoSamplesError(f"{asked}{others}; check org, cluster, plugin and metrics against the topics there")
