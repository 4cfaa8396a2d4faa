"""What an agent can ask, as in `firmware/protocol/opcodes.h`."""

from __future__ import annotations

from enum import IntEnum, IntFlag


class Opcode(IntEnum):
    """What a request asks for. Numbers are never used for anything else later."""

    HELLO = 1
    INFO = 2
    STATISTICS = 3
    BEGIN = 4
    """An upload; answers how much of it is already held."""
    CHUNK = 5
    """One-way."""
    END = 6
    """Checks the upload and executes it."""
    READ = 7
    LABEL = 8
    STOP_FIT = 9
    COMMIT = 10
    DISCARD = 11
    ROLL_BACK = 12
    ACKNOWLEDGE = 13
    REPLAY = 14
    START_RECORDING = 15
    STOP_RECORDING = 16
    PING = 17
    """One-way; an agent that is there says so."""
    WEARERS = 18
    CHOOSE_WEARER = 19
    ERASE_WEARER = 20
    FACTORY_RESET = 21
    """With the device's own name, so that nothing does it by accident."""
    KEYS = 22
    """Which keys are trusted."""
    TRUST = 23
    """Trust these instead."""


class LinkObject(IntEnum):
    """What can be uploaded or read."""

    WINDOW = 1
    PLAN = 2
    WEIGHTS = 3
    FIT = 4
    EVALUATION = 5
    NAMES = 6


class Capability(IntFlag):
    """What a wearable's firmware can beyond the first one of its protocol version."""

    FIT_SETTINGS = 1 << 0
    """A fit carries settings behind its windows; plans that train over a whole batch are trained."""
    WEARERS = 1 << 1
    """Several people's weights on one device; erasing one of them; factory reset."""
    TRUST = 1 << 2
    """Keys of a site: signed plans and weights, and nothing else from then on."""


#: The plan's optimiser, as a wearable tells it and a fit may ask for it; 0: none of these, or whichever it is.
OPTIMIZERS = ("", "sgd", "adam", "adamw")
#: Windows of one evaluation: its answer is one frame.
EVALUATE_MOST = 512
EVENT_BYTES = 84
