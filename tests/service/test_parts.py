"""The supervisor's pure parts."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from messaging import Delivery
from schemas.fault import FaultKind
from schemas.state import DeviceState, State
from schemas.topics import Kind
from service.feed import Feed, LiveEvent
from service.parse import parse_delivery, poison_key
from service.ranges import as_ranges
from service.store.batch import Arrived, Poison
from service.store.fleet import DeviceNews, news_of
from tests.service.story import Published, Story

NOW = datetime(2026, 3, 2, tzinfo=UTC)


@given(st.sets(st.tuples(st.integers(1, 3), st.integers(1, 30))))
def test_ranges_hold_exactly_the_numbers_and_are_as_few_as_can_be(numbers: set[tuple[int, int]]) -> None:
    ranges = list(as_ranges(numbers))
    assert {(boot, seq) for boot, first, last in ranges for seq in range(first, last + 1)} == numbers
    for a, b in pairwise(ranges):
        assert (a[0], a[2] + 1) < (b[0], b[1]), "two ranges that touch are one"


def arrived(published: Published, *, retained: bool = False, later_s: float = 0) -> Arrived:
    delivery = Delivery(published.topic, published.payload, qos=1, retained=retained, acknowledge=lambda: True)
    parsed = parse_delivery(delivery, NOW + timedelta(seconds=later_s))
    assert isinstance(parsed, Arrived)
    return parsed


def last_will(boot: int) -> Arrived:
    message = State(site="lab", device="band-1", boot=boot, seq=0, state=DeviceState.OFFLINE)
    return Arrived(message, Kind.STATE, message.to_json().decode(), NOW, retained=True)


def folded(*messages: Arrived) -> DeviceNews:
    news = news_of(messages[0])
    for one in messages:
        news.fold(one)
    return news


def test_a_device_is_connected_until_its_last_will_and_again_when_it_is_heard() -> None:
    story = Story()
    state = arrived(story.state_now())
    assert folded(state).connected
    gone = folded(state, last_will(boot=1))
    assert not gone.connected
    assert json.loads(gone.state or "")["state"] == "online", "the will says nothing about what it was doing"
    back = folded(state, last_will(boot=1), arrived(story.telemetry(0.9, 0.9), later_s=5))
    assert back.connected
    assert back.last_seen == NOW + timedelta(seconds=5)


def test_the_last_will_of_an_earlier_boot_changes_nothing() -> None:
    assert folded(arrived(Story(boot=2).state_now()), last_will(boot=1)).connected


def test_a_retained_message_does_not_mean_that_the_device_is_there() -> None:
    assert not folded(arrived(Story().state_now(), retained=True)).connected


def test_an_old_state_that_comes_late_does_not_become_the_newest() -> None:
    story = Story()
    old, new = arrived(story.state(DeviceState.STARTING)), arrived(story.state(DeviceState.ADAPTING))
    assert json.loads(folded(new, old).state or "")["state"] == "adapting"
    next_boot = arrived(Story(boot=2).state(DeviceState.STARTING))
    late = folded(new, old, next_boot, new)
    assert json.loads(late.state or "")["state"] == "starting", "a new boot counts from 1"
    assert late.boot == 2


def test_a_poison_message_is_acknowledged_by_the_number_that_can_be_read() -> None:
    topic = "biotrain/v1/lab/band-1/telemetry"

    def key(payload: bytes, topic: str = topic) -> object:
        return poison_key(Poison(topic, payload, "", NOW))

    good = b'{"site":"lab","device":"band-1","boot":2,"seq":7}'
    assert key(good) == ("lab", "band-1", 2, 7)
    assert key(good, "biotrain/v1/lab/band-2/telemetry") is None, "not another device's"
    assert key(good, "elsewhere") is None
    for payload in (
        b"",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 50_000,
        b'{"site":"lab","device":"band-1","boot":2}',
        good.replace(b"7", b"true"),
        good.replace(b"7", b"0"),
        good.replace(b"7", b"-1"),
        good.replace(b"7", b"1e3"),
        good.replace(b"7", b"99999999999999999999"),
    ):
        assert key(payload) is None, payload[:60]


async def test_a_reader_that_does_not_keep_up_is_let_go_and_the_others_are_not() -> None:
    feed = Feed(subscribers=2, events=3)
    with feed.subscribe() as slow, feed.subscribe() as quick:
        assert feed.is_full
        seen = []
        for number in range(6):
            feed.publish([LiveEvent(number, "drift", "lab", "band-1", "{}")])
            event = await quick.get()
            assert event is not None
            seen.append(event.id)
        assert seen == list(range(6))
        assert [one.id if (one := await slow.get()) else None for _ in range(4)] == [0, 1, 2, None]
    assert not feed.is_full


def test_the_page_has_words_for_every_fault(repository: Path) -> None:
    words = (repository / "service/web/static/js/words.js").read_text(encoding="utf-8")
    table = words[words.index("const FAULTS") : words.index("};", words.index("const FAULTS"))]
    assert [kind.value for kind in FaultKind if f"{kind.value}: " not in table] == []
