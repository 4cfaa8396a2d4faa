"""A first data set file for a folder of recordings, from what their headers say."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from biotrain.data.headers import SUFFIXES, Header, read_header
from biotrain.data.naming import guess_pattern
from schemas.errors import UserError

_LONGEST_S = 4.0
"""Of a window whose events have no duration."""
_SELDOM = 0.2
"""Of the most frequent label's count: what occurs less often than that is no class of a task, but happened in it."""
_ROOM = 0.8
"""Of the time to the next event, likewise."""


def continuous_files(folder: Path) -> list[Path]:
    """The recordings in `folder` and below, of the format that most of them have."""
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")
    )
    most = Counter(path.suffix for path in found).most_common(1)
    return [path for path in found if path.suffix == most[0][0]] if most else []


def draft(folder: Path, tell: Callable[[int, int], None] = lambda done, of: None) -> str:
    """The text of a dataset.yaml that reads the recordings in `folder`. `tell` hears how many headers were read.

    Raises UserError where there is nothing to describe, naming the file and what it lacks.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder")
    files = continuous_files(folder)
    if not files:
        raise UserError(f"{folder}: holds no recordings: expected files that end in {', '.join(SUFFIXES)}")
    pattern = guess_pattern([path.relative_to(folder).as_posix() for path in files])
    if pattern is None:
        raise UserError(
            f"{folder}: {len(files)} {files[0].suffix} files whose names do not say person and session in one way, as "
            f"{files[0].relative_to(folder)}: rename them (anna/day1{files[0].suffix}), or write dataset.yaml by hand "
            "with a pattern for those that you mean (docs/sources.md)"
        )
    headers: dict[Path, Header] = {}
    for path in files:
        headers[path] = read_header(path)
        tell(len(headers), len(files))
    return _text(folder.resolve().name or "recordings", pattern, headers)


def _text(name: str, pattern: str, headers: dict[Path, Header]) -> str:
    """Raises UserError where files have no channel or no two labels in common."""
    channels = _common(header.channels for header in headers.values())
    if not channels:
        raise UserError(f"{next(iter(headers))}: has no channel in common with the others")
    labels, rare = _labels(headers)
    rates = sorted({header.sampling_rate_hz for header in headers.values()})
    stim = next((header.stim_channel for header in headers.values() if header.stim_channel), None)
    lines = [
        "# Drafted from the recordings' headers: look at classes, window and filters before you train on it.",
        f"name: {_scalar(name)}",
        "format: mne",
        f"pattern: {_scalar(pattern)}",
        f"channels: [{', '.join(map(_scalar, channels))}]",
        "classes:  # class: [labels of the events that mean it]; events with other labels are left out",
        *(f"  {_scalar(name)}: [{_scalar(label)}]" for name, label in zip(_class_names(labels), labels, strict=True)),
        *(f"  # {_scalar(label)}: {times}" for label, times in rare),
        *_window(headers.values(), labels),
        *_preprocessing({kind for header in headers.values() for kind in header.kinds}, rates[0]),
        "split:",
        "  test_share: 0.2",
    ]
    if len(rates) > 1 or stim is not None:
        lines.append("reading:")
        if len(rates) > 1:
            lines.append(f"  resample_hz: {rates[0]:g}  # the recordings have {', '.join(f'{r:g}' for r in rates)}")
        if stim is not None:
            lines.append(f"  stim_channel: {_scalar(stim)}")
    return "\n".join(lines) + "\n"


def _common(channels: Iterable[tuple[str, ...]]) -> list[str]:
    """What all have, in the first one's order."""
    every = list(channels)
    return [name for name in every[0] if all(name in others for others in every)]


def _labels(headers: dict[Path, Header]) -> tuple[list[str], list[tuple[str, str]]]:
    """Those that most recordings have, none far more seldom than the others; and the rest, with how often it occurs."""
    within = Counter(label for header in headers.values() for label in header.events)
    total = sum((header.events for header in headers.values()), Counter[str]())
    often = _SELDOM * max(total.values(), default=0)
    labels = sorted(label for label in within if 2 * within[label] >= len(headers) and total[label] >= often)
    if len(labels) < 2:
        found = ", ".join(f"{label!r} ({count})" for label, count in total.most_common(12)) or "no events at all"
        raise UserError(
            f"{next(iter(headers))} and {len(headers) - 1} others: events are {found}: two labels that most of them "
            "have are needed: annotations, or codes on a trigger channel"
        )
    rare = [
        (label, f"{total[label]} events, in {within[label]} of {len(headers)} recordings")
        for label in sorted(within)
        if label not in labels
    ]
    return labels, rare


def _window(headers: Collection[Header], labels: list[str]) -> list[str]:
    shortest = min(length for header in headers for label, length in header.shortest_s.items() if label in labels)
    if shortest > 0:
        return ["window:", "  start_s: 0", f"  length_s: {shortest:g}  # the shortest event"]
    pace = min((header.pace_s for header in headers if header.pace_s > 0), default=_LONGEST_S / _ROOM)
    length = max(round(min(pace * _ROOM, _LONGEST_S), 2), 0.01)
    why = f"events have no duration; {pace:.3g} s lie between two of them"
    return ["window:", "  start_s: 0", f"  length_s: {length:g}  # {why}"]


def _preprocessing(kinds: set[str], rate_hz: float) -> list[str]:
    """The usual band of the signal, below half the sampling rate."""
    low, high, reference = 1.0, 40.0, "average"
    if kinds == {"emg"}:
        low, high, reference = 20.0, 450.0, "none"
    elif kinds == {"eog"}:
        low, high, reference = 0.3, 20.0, "none"
    high = min(high, 0.45 * rate_hz)
    lines = ["preprocessing:  # runs on the wearable, causally", f"  reference: {reference}"]
    if low < high:
        lines += ["  filters:", f"    - {{kind: bandpass, low_hz: {low:g}, high_hz: {high:g}, order: 2}}"]
    return [*lines, "  scale: channel"]


def _class_names(labels: list[str]) -> list[str]:
    """As people write classes: one lower-case word each, or the label itself where two would be the same."""
    words = ["_".join("".join(one if one.isalnum() else " " for one in label).split()).lower() for label in labels]
    return words if len(set(words)) == len(words) and all(words) else labels


def _scalar(text: str) -> str:
    """Quoted where YAML would read something else; JSON's strings are YAML's."""
    plain = text.replace("_", "").isalnum() and text.isascii() and not text[0].isdigit()
    return text if plain and text.lower() not in _WORDS else json.dumps(text, ensure_ascii=False)


_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none", "nan", "inf"}
