"""Every way a request can end: the numbers of `firmware/include/biotrain/status.h`, which a test compares."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """How a request has ended; the runtime's own codes come first, with the same numbers as in C."""

    OK = 0
    BAD_MAGIC = 1
    BAD_VERSION = 2
    BAD_LENGTH = 3
    BAD_CRC = 4
    BAD_PLAN = 5
    NO_MEMORY = 6
    WRONG_PLAN = 7
    NOT_FINITE = 8
    BAD_ARGUMENT = 9
    NO_PLAN = 10
    NO_WEIGHTS = 11
    WRONG_STATE = 12
    UNKNOWN_WINDOW = 13
    STORAGE_FAILED = 14
    BUSY = 15
    UNSUPPORTED = 16
    LOG_FULL = 17
    NO_SESSION = 18
    FORGOTTEN = 19
    INCOMPLETE = 20
    TOO_MANY_WEARERS = 21
    UNKNOWN_WEARER = 22
    WRONG_CLASS = 23
    UNSIGNED = 24
    UNKNOWN_KEY = 25
    BAD_SIGNATURE = 26
    OLDER_PLAN = 27
    FOREIGN_WEIGHTS = 28


#: What each means to a person, and what to do.
MEANING: dict[Status, str] = {
    Status.BAD_MAGIC: "this is no such file",
    Status.BAD_VERSION: "the file has another format version: compile it again with this biotrain",
    Status.BAD_LENGTH: "the file is cut or padded: transfer it again",
    Status.BAD_CRC: "the file has been altered: transfer it again",
    Status.BAD_PLAN: "the plan holds something impossible: compile it again",
    Status.NO_MEMORY: "it does not fit into the wearable's memory",
    Status.WRONG_PLAN: "the weights belong to another plan: write that plan first, or use its own weights",
    Status.NOT_FINITE: "a value is NaN or infinite",
    Status.BAD_ARGUMENT: "a shape, label or setting is out of range",
    Status.NO_PLAN: "the wearable has no plan yet: write one",
    Status.NO_WEIGHTS: "the wearable has no weights yet: write them",
    Status.WRONG_STATE: "not possible in the wearable's present state",
    Status.UNKNOWN_WINDOW: "a window is not (or no longer) in the wearable's ring",
    Status.STORAGE_FAILED: "the wearable's storage failed",
    Status.BUSY: "the wearable is busy with a fit or an evaluation",
    Status.UNSUPPORTED: "this firmware does not know the request",
    Status.LOG_FULL: "the wearable's event log is full: acknowledge events first",
    Status.NO_SESSION: "the handshake must come first",
    Status.FORGOTTEN: "the answer is no longer held: it is unknown whether the request was executed",
    Status.INCOMPLETE: "parts of the upload are missing",
    Status.TOO_MANY_WEARERS: "every place for a wearer is taken: erase one first",
    Status.UNKNOWN_WEARER: "no such wearer is known on this device",
    Status.WRONG_CLASS: "the plan was made for another class of device: compile it for this one",
    Status.UNSIGNED: "this device takes only what its site has signed: sign the file with `biotrain sign`",
    Status.UNKNOWN_KEY: "the file was signed with a key that this device does not trust (any more): sign it with a key "
    "of `biotrain certs keys`, or bring the device its site's newer keys with `biotrain trust`",
    Status.BAD_SIGNATURE: "the file was altered after it was signed: transfer it again, or sign it again",
    Status.OLDER_PLAN: "what runs was signed later: to go back to an older plan, sign it again with `biotrain sign`",
    Status.FOREIGN_WEIGHTS: "the weights were neither signed for this device nor committed by it: sign them with "
    "`biotrain sign`",
}


def status_name(code: int) -> str:
    """The status' name; a number that newer firmware knows stays a number."""
    return Status(code).name if code in Status._value2member_map_ else f"STATUS_{code}"
