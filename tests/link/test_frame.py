"""Framing: whatever happens to the bytes, a frame comes out whole or not at all."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.link.frame import (
    HEADER_BYTES,
    MAX_ENCODED,
    MAX_FRAME,
    MAX_PAYLOAD,
    Frame,
    FrameError,
    Receiver,
    cobs_decode,
    cobs_encode,
    newer,
)

VECTORS = json.loads((Path(__file__).parent / "vectors.json").read_text())

u8, u16, u32 = (st.integers(0, 2**bits - 1) for bits in (8, 16, 32))
payloads = (
    st.binary(max_size=700) | st.integers(0, MAX_PAYLOAD).map(bytes) | st.integers(0, 600).map(lambda n: b"\7" * n)
)
frames = st.builds(Frame, u8, u8, u16, u32, u32, payloads)


@given(payloads)
def test_cobs_has_no_zero_and_gives_the_data_back(data):
    encoded = cobs_encode(data)
    assert 0 not in encoded
    assert cobs_decode(encoded) == data


@given(frames, st.randoms(use_true_random=False))
def test_a_frame_comes_out_whole_however_its_bytes_are_cut(frame, random):
    data, receiver, out = frame.to_bytes(), Receiver(), []
    assert len(data) <= MAX_ENCODED
    while data:
        count = random.choice([1, 1, 2, 50, 5000])
        out += receiver.feed(data[:count])
        data = data[count:]
    assert out == [frame]
    assert receiver.corrupt == 0


@given(frames, st.data())
def test_an_altered_frame_is_thrown_away_and_the_next_one_is_read(frame, data):
    encoded = bytearray(frame.to_bytes())
    at = data.draw(st.integers(0, len(encoded) - 2))
    encoded[at] ^= data.draw(st.integers(1, 255))
    receiver = Receiver()
    out = receiver.feed(bytes(encoded))
    assert frame not in out
    assert out == []
    assert receiver.corrupt >= 1
    assert receiver.feed(frame.to_bytes()) == [frame]


@given(frames, st.data())
def test_a_cut_frame_is_thrown_away_and_the_next_one_is_read(frame, data):
    encoded = frame.to_bytes()
    cut = data.draw(st.integers(1, len(encoded) - 2))
    receiver = Receiver()
    assert receiver.feed(encoded[:cut] + b"\0") == []
    assert receiver.corrupt == 1
    assert receiver.feed(encoded) == [frame]


@given(st.binary(max_size=10 * MAX_ENCODED), frames)
def test_the_receiver_holds_at_most_one_frame_and_resynchronises(garbage, frame):
    receiver = Receiver()
    receiver.feed(garbage)
    assert len(receiver._held) <= MAX_ENCODED
    assert receiver.feed(b"\0" + frame.to_bytes())[-1] == frame


def test_an_endless_frame_is_skipped_and_counted_once():
    receiver, frame = Receiver(), Frame(1, payload=b"after")
    for _ in range(100):
        assert receiver.feed(b"\1" * 1000) == []
        assert len(receiver._held) <= MAX_ENCODED
    assert receiver.feed(b"\0" + frame.to_bytes()) == [frame]
    assert receiver.corrupt == 1


def test_a_payload_that_is_too_long_is_refused():
    with pytest.raises(FrameError, match="2049 bytes, at most 2048"):
        Frame(1, payload=bytes(MAX_PAYLOAD + 1)).to_bytes()


def test_room_for_a_frame_is_as_much_as_the_largest_one_takes():
    largest = Frame(1, 1, 0x0101, 0x01010101, 0x01010101, b"\1" * MAX_PAYLOAD)
    assert MAX_FRAME == HEADER_BYTES + MAX_PAYLOAD + 4
    assert len(largest.to_bytes()) == MAX_ENCODED
    receiver = Receiver()
    assert receiver.feed(largest.to_bytes()[:-1]) == []
    assert receiver.feed(b"\0") == [largest]
    # One byte more than any frame has: skipped, however its parts come.
    assert receiver.feed(b"\1" * MAX_ENCODED) == []
    assert receiver.feed(b"\1") == []
    assert len(receiver._held) == 0
    assert receiver.feed(b"\0") == []
    assert receiver.corrupt == 1


def test_what_is_not_named_is_zero():
    assert Frame(2).to_bytes() == Frame(2, 0, 0, 0, 0, b"").to_bytes()


def test_a_block_of_254_bytes_is_followed_by_another_one():
    assert cobs_encode(b"\7" * 253) == b"\xfe" + b"\7" * 253
    assert cobs_encode(b"\7" * 254) == b"\xff" + b"\7" * 254 + b"\1"
    assert cobs_encode(b"\7" * 255) == b"\xff" + b"\7" * 254 + b"\2\7"
    assert cobs_encode(b"") == b"\1"


@pytest.mark.parametrize(
    "encoded", [b"\0", b"\1\0", b"\2", b"\3a", b"\1\4ab", b"\2a\5bcd", b"\2a\2", b"\xff" + b"a" * 253]
)
def test_blocks_that_cannot_be_are_refused(encoded):
    with pytest.raises(FrameError):
        cobs_decode(encoded)


@pytest.mark.parametrize("size", [0, 1, 7, HEADER_BYTES - 1, HEADER_BYTES + MAX_PAYLOAD + 1, HEADER_BYTES + 5000])
def test_a_good_checksum_does_not_make_up_for_a_wrong_length(size):
    body = bytes(range(1, 251)) * 30
    whole = body[:size] + zlib.crc32(body[:size]).to_bytes(4, "little")
    with pytest.raises(FrameError, match="cut" if size < HEADER_BYTES else "too long"):
        Frame.from_bytes(cobs_encode(whole))


def test_the_shortest_and_the_longest_frame_are_read():
    for size in (HEADER_BYTES, HEADER_BYTES + MAX_PAYLOAD):
        whole = bytes(size) + zlib.crc32(bytes(size)).to_bytes(4, "little")
        assert len(Frame.from_bytes(cobs_encode(whole)).payload) == size - HEADER_BYTES


def test_sequence_numbers_go_round():
    assert [newer(*pair) for pair in ((1, 0), (0, 65535), (5, 65530))] == [True] * 3
    assert [newer(*pair) for pair in ((7, 7), (6, 7), (65535, 0))] == [False] * 3


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"])
def test_python_holds_to_the_shared_vectors(vector):
    frame = Frame(
        vector["kind"],
        vector["opcode"],
        vector["sequence"],
        vector["session"],
        vector["id"],
        bytes.fromhex(vector["payload"]),
    )
    assert frame.to_bytes().hex() == vector["encoded"]
    assert Frame.from_bytes(bytes.fromhex(vector["encoded"])[:-1]) == frame
