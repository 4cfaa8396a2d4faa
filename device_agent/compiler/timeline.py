"""The arena over one training step as a picture: each buffer a named box, the peak and L2's size as lines. SVG."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from device_agent.compiler.memory.problem import Problem

#: GAP9's.
L2_BYTES = 1_500_000
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 1200.0, 640.0, 84.0, 24.0, 56.0, 48.0
_KINDS = {"#4878a8": "input", "#6aa56e": "activation", "#c8743c": "gradient", "#8c78b4": "small sums"}
_STEPS = (1, 2, 5)


def draw_timeline(
    problem: Problem[Any],
    offsets: Mapping[Any, int],
    labels: Mapping[Any, str],
    title: str,
    besides: int,
    without_reuse: bool = False,
    l1_from: int = 0,
) -> str:
    """`offsets` and `labels` by the buffers' keys; `besides`: bytes of the training state that are not the arena.

    What lies at `l1_from` and above is in L1 (0: nothing is).
    `without_reuse` stacks all buffers as if nothing were ever free: what the planner saves.
    """
    places = {buffer.key: offsets[buffer.key] for buffer in problem.buffers}
    if without_reuse:
        total = 0
        for buffer in sorted(problem.buffers, key=lambda b: (b.start, b.name)):
            places[buffer.key] = total
            total += buffer.bytes
    steps = max(buffer.end for buffer in problem.buffers)
    arena = max(places[buffer.key] + buffer.bytes for buffer in problem.buffers)
    room = L2_BYTES - besides
    top = max(arena, room) if room < 2.5 * arena else arena
    across, up = (_WIDTH - _LEFT - _RIGHT) / steps, (_HEIGHT - _TOP - _BOTTOM) / (top * 1.04)

    def y(size: float) -> float:
        return _HEIGHT - _BOTTOM - size * up

    body = [_text(_LEFT, 24, title, 16), _text(_LEFT, 42, _caption(arena, problem, besides, without_reuse), 12, "#555")]
    for mark in _marks(top):
        body.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(mark):.1f}" y2="{y(mark):.1f}" stroke="#e4e4e4"/>'
        )
        body.append(_text(_LEFT - 6, y(mark) + 4, f"{mark / 1000:,.0f} KB", 11, "#555", "end"))
    for buffer in sorted(problem.buffers, key=lambda b: -b.bytes):
        left, width = _LEFT + buffer.start * across, max((buffer.end - buffer.start) * across, 0.6)
        head, height = y(places[buffer.key] + buffer.bytes), max(buffer.bytes * up, 0.4)
        name = labels.get(buffer.key, buffer.name)
        label = f"{name}: {buffer.bytes:,} bytes at {places[buffer.key]:,}, steps {buffer.start} to {buffer.end}"
        body.append(
            f'<rect x="{left:.1f}" y="{head:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'fill="{_colour(buffer.name)}" fill-opacity="0.78" stroke="#fff" stroke-width="0.6">'
            f"<title>{escape(label)}</title></rect>"
        )
        if height > 11 and width > 6.2 * len(name) + 6:
            body.append(_text(left + 4, head + min(height / 2 + 4, 14), name, 10.5, "#fff"))
    if not without_reuse:
        step, live = problem.peak()
        at = _LEFT + (step + 0.5) * across
        body.append(
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{y(0):.1f}" stroke="#b02a2a" stroke-dasharray="4 3"/>'
        )
        anchor = "end" if at > _WIDTH / 2 else "start"
        body.append(
            _text(at + (-5 if anchor == "end" else 5), _TOP + 10, f"peak {live:,} bytes", 12, "#b02a2a", anchor)
        )
    if l1_from and not without_reuse:
        level = f'x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(l1_from):.1f}" y2="{y(l1_from):.1f}"'
        body.append(f'<line {level} stroke="#2a6a2a" stroke-dasharray="8 3"/>')
        body.append(_text(_LEFT + 4, y(l1_from) - 4, f"above: {arena - l1_from:,} bytes in L1", 11, "#2a6a2a"))
    if room <= top:
        body.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(room):.1f}" y2="{y(room):.1f}" stroke="#222"/>')
        body.append(
            _text(
                _WIDTH - _RIGHT,
                y(room) - 5,
                f"L2: {L2_BYTES:,} bytes, weights and gradients left out",
                11,
                "#222",
                "end",
            )
        )
    body.append(_text(_LEFT, _HEIGHT - 14, "operations of one training step, in order; loops once", 11, "#555"))
    x = _WIDTH - _RIGHT
    for colour, name in reversed(_KINDS.items()):
        body.append(_text(x, _HEIGHT - 14, name, 11, colour, "end"))
        x -= 8.0 * len(name) + 14
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" font-family="sans-serif">'
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(body)}</svg>\n'
    )


def _caption(arena: int, problem: Problem[Any], besides: int, without_reuse: bool) -> str:
    if without_reuse:
        return (
            f"arena {arena:,} bytes if every buffer had memory of its own, L2 has {L2_BYTES:,}; "
            f"{len(problem.buffers)} buffers"
        )
    bound = problem.lower_bound()
    return (
        f"arena {arena:,} bytes, {arena / bound:.3f} × the largest live set ({bound:,}); "
        f"with weights, gradients, optimiser and slots {arena + besides:,} of L2's {L2_BYTES:,}; "
        f"{len(problem.buffers)} buffers"
    )


def _marks(top: int) -> list[int]:
    """Round numbers, four to ten of them."""
    unit = 1
    while True:
        for step in _STEPS:
            if top / (step * unit) <= 10:
                return [at * step * unit for at in range(int(top / (step * unit)) + 1)]
        unit *= 10


def _colour(name: str) -> str:
    colours = {kind: colour for colour, kind in _KINDS.items()}
    if name.startswith("input"):
        return colours["input"]
    if name.startswith(("tap ", "sums", "means")) or name.endswith((".rows", ".counts", ".active")):
        return colours["small sums"]
    return colours["gradient" if name.startswith("d_") else "activation"]


def _text(x: float, y: float, text: str, size: float, fill: str = "#111", anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{fill}" text-anchor="{anchor}">{escape(text)}</text>'
    )
