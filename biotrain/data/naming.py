"""How the files of a folder are named: which part of each path is the person, and which the session."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from device_agent.sources.dataset import path_regex

_TOKEN = re.compile(r"[A-Za-z]+|\d+|.")
_YEAR = re.compile(r"(19|20)\d\d")


@dataclass(frozen=True, slots=True)
class _Candidate:
    pattern: str
    person_first: bool
    a_year: bool
    """What would be the person looks like one."""
    starts: bool
    ends: bool
    """The person's part begins, and ends, where a word does."""
    length: int

    @property
    def rank(self) -> tuple[bool, bool, bool, bool, int]:
        return self.person_first, not self.a_year, self.starts, self.ends, -self.length


def guess_pattern(paths: Sequence[str]) -> str | None:
    """A data set's `pattern` that names every file of `paths` (relative, with /) once; None when there is none.

    Of several, one whose person comes before the session, is a whole word, and is short: `anna/day1.edf` ->
    `{subject}/day{session}.edf`, `S001/S001R03.edf` -> `*/{subject}R{session}.edf`. Files without a number are one
    session each.
    """
    if not paths:
        return None
    fitting = [candidate for candidate in _candidates(paths[0]) if _fits(candidate.pattern, paths)]
    if fitting:
        return max(fitting, key=lambda candidate: candidate.rank).pattern
    suffix = re.escape(paths[0][paths[0].rfind(".") :])
    alone = "{subject}" + re.sub(r"\\(.)", r"\1", suffix)
    return next((pattern for pattern in (alone, "*/" + alone) if _fits(pattern, paths)), None)


def _candidates(path: str) -> Iterator[_Candidate]:
    """Every choice of tokens of the first path as person and session; other folders stay, or become `*`."""
    stem, suffix = path[: path.rfind(".")], path[path.rfind(".") :]
    tokens = _TOKEN.findall(stem)
    for number, token in enumerate(tokens):
        if not token.isdecimal():
            continue
        for first in range(len(tokens)):
            for last in range(first + 1, len(tokens) + 1):
                within = tokens[first:last]
                if "/" in within or first <= number < last or not (within[0].isalnum() and within[-1].isalnum()):
                    continue
                marked = [
                    "{session}" if at == number else "{subject}" if at == first else "" if first < at < last else one
                    for at, one in enumerate(tokens)
                ]
                pattern = "".join(marked) + suffix
                for written in dict.fromkeys((pattern, _open_folders(pattern))):
                    yield _Candidate(
                        written,
                        person_first=first < number,
                        a_year=_YEAR.fullmatch("".join(within)) is not None,
                        starts=first == 0 or not tokens[first - 1].isalnum(),
                        ends=last == len(tokens) or not tokens[last].isalnum(),
                        length=last - first,
                    )


def _open_folders(pattern: str) -> str:
    """`*` for the folders that name nobody."""
    *folders, name = pattern.split("/")
    return "/".join([folder if "{" in folder else "*" for folder in folders] + [name])


def _fits(pattern: str, paths: Sequence[str]) -> bool:
    regex = path_regex(pattern)
    named = [regex.fullmatch(path) for path in paths]
    keys = {(one["subject"], one.groupdict().get("session")) for one in named if one is not None}
    if len(keys) < len(paths):
        return False
    # `anna1`, `anna2`, `bert1` are people and sessions; `A01`, `A02`, `A03` are people only
    people = {person for person, _ in keys}
    apart = "}{" not in pattern
    return apart or 1 < len(people) < len(keys)
