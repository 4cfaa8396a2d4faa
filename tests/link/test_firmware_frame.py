"""The C of the framing, held to the same vectors and properties as the Python."""

from __future__ import annotations

import ctypes
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_agent.engine.library import LIBRARY, find_native
from schemas.link.frame import HEADER_BYTES, MAX_ENCODED, MAX_FRAME, MAX_PAYLOAD, PROTOCOL, Frame, FrameKind
from schemas.link.opcodes import EVALUATE_MOST, EVENT_BYTES, LinkObject, Opcode
from schemas.link.status import MEANING, Status

VECTORS = json.loads((Path(__file__).parent / "vectors.json").read_text())
FIRMWARE = Path(__file__).resolve().parents[2] / "device_agent" / "firmware"


class CFrame(ctypes.Structure):
    _fields_ = [
        ("kind", ctypes.c_uint8),
        ("opcode", ctypes.c_uint8),
        ("sequence", ctypes.c_uint16),
        ("session", ctypes.c_uint32),
        ("id", ctypes.c_uint32),
        ("payload", ctypes.c_char_p),
        ("length", ctypes.c_uint32),
    ]


class CReceiver(ctypes.Structure):
    _fields_ = [
        ("bytes", ctypes.c_uint8 * MAX_FRAME),
        ("length", ctypes.c_uint32),
        ("block", ctypes.c_uint8),
        ("left", ctypes.c_uint8),
        ("skipping", ctypes.c_bool),
        ("corrupt", ctypes.c_uint32),
    ]


@pytest.fixture(scope="module")
def library():
    library = ctypes.CDLL(str(find_native(LIBRARY)))
    library.bt_frame_encode.restype = ctypes.c_uint32
    library.bt_receiver_feed.restype = ctypes.c_bool
    library.bt_receiver_feed.argtypes = [ctypes.POINTER(CReceiver), ctypes.c_uint8, ctypes.POINTER(CFrame)]
    return library


def encode(library, frame: Frame) -> bytes:
    fields = frame.kind, frame.opcode, frame.sequence, frame.session, frame.id, frame.payload, len(frame.payload)
    out = ctypes.create_string_buffer(2 * MAX_ENCODED)
    count = library.bt_frame_encode(ctypes.byref(CFrame(*fields)), out)
    return out.raw[:count]


def receive(library, receiver: CReceiver, data: bytes) -> list[Frame]:
    frames, out = [], CFrame()
    for byte in data:
        if library.bt_receiver_feed(ctypes.byref(receiver), byte, ctypes.byref(out)):
            payload = bytes(receiver.bytes)[HEADER_BYTES : HEADER_BYTES + out.length]
            frames.append(Frame(out.kind, out.opcode, out.sequence, out.session, out.id, payload))
    return frames


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"])
def test_the_firmware_holds_to_the_shared_vectors(library, vector):
    payload = bytes.fromhex(vector["payload"])
    frame = Frame(vector["kind"], vector["opcode"], vector["sequence"], vector["session"], vector["id"], payload)
    assert encode(library, frame).hex() == vector["encoded"]
    assert receive(library, CReceiver(), bytes.fromhex(vector["encoded"])) == [frame]


@given(st.binary(max_size=600), st.integers(0, 2**32 - 1))
def test_what_one_side_writes_the_other_reads(library, payload, session):
    frame = Frame(1, 2, 3, session, 5, payload)
    assert encode(library, frame) == frame.to_bytes()
    assert receive(library, CReceiver(), frame.to_bytes()) == [frame]


@given(st.binary(max_size=600), st.data())
def test_an_altered_frame_never_comes_out_of_the_firmware(library, payload, data):
    frame = Frame(1, 2, 3, 4, 5, payload)
    encoded = bytearray(frame.to_bytes())
    encoded[data.draw(st.integers(0, len(encoded) - 2))] ^= data.draw(st.integers(1, 255))
    receiver = CReceiver()
    assert receive(library, receiver, bytes(encoded)) == []
    assert receiver.corrupt >= 1
    assert receive(library, receiver, frame.to_bytes()) == [frame]


@given(st.lists(st.integers(1, 255), min_size=1, max_size=40), st.integers(1, 400))
def test_the_firmware_never_writes_over_the_end_of_its_receiver(library, pattern, repeats):
    class Guarded(ctypes.Structure):
        _fields_ = [("receiver", CReceiver), ("guard", ctypes.c_uint8 * 64)]

    guarded = Guarded()
    ctypes.memset(guarded.guard, 0xA5, 64)
    receive(library, guarded.receiver, bytes(pattern) * repeats)
    assert bytes(guarded.guard) == b"\xa5" * 64
    assert guarded.receiver.length <= MAX_FRAME


def test_a_payload_that_is_too_long_is_refused_by_the_firmware(library):
    assert encode(library, Frame(1, payload=bytes(MAX_PAYLOAD + 1))) == b""


def constants(header: str, prefix: str) -> dict[str, int]:
    """Enumerators of a header: `A = 1, B, C` count on."""
    text = re.sub(r"/\*.*?\*/", "", (FIRMWARE / header).read_text(), flags=re.DOTALL)
    found: dict[str, int] = {}
    value = -1
    for name, number in re.findall(rf"\b({prefix}\w+)(?:\s*=\s*(\d+))?\s*[,}}\n]", text):
        value = int(number) if number else value + 1
        found[name.removeprefix(prefix)] = value
    return found


def test_both_sides_give_the_same_numbers_to_requests_objects_and_kinds():
    assert constants("protocol/opcodes.h", "BT_OP_") == {op.name: op for op in Opcode}
    assert constants("protocol/opcodes.h", "BT_OBJECT_") == {o.name: o for o in LinkObject}
    kinds = constants("protocol/frame.h", "BT_FRAME_")
    assert {k.name: k for k in FrameKind} == {k: v for k, v in kinds.items() if k in FrameKind.__members__}


def test_both_sides_know_the_same_states_and_every_one_has_a_meaning():
    text = (FIRMWARE / "include/biotrain/status.h").read_text()
    firmware = {name: int(number) for name, number in re.findall(r"X\(BT_(\w+), (\d+)\)", text)}
    assert firmware == {status.name: status for status in Status}
    assert set(MEANING) == set(Status) - {Status.OK}


def test_both_sides_agree_on_sizes():
    frame, state, event = ((FIRMWARE / f).read_text() for f in ("protocol/frame.h", "app/state.h", "app/event.h"))
    assert f"BT_PROTOCOL = {PROTOCOL}," in frame
    assert f"BT_MAX_PAYLOAD = {MAX_PAYLOAD}," in frame
    assert f"BT_EVALUATE_MOST = {EVALUATE_MOST}," in state
    assert f"BT_EVENT_BYTES = {EVENT_BYTES}," in event
