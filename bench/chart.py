"""Draws latency second by second, with the checkpoints beneath, as an SVG by hand."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _LEFT, _RIGHT = 960, 72, 20
_TOP, _HEIGHT, _GAP, _LANE = 84, 260, 46, 70
# Shown on white and on black pages alike, so that it brings its own ground.
_LINES = (("max_ms", "slowest", "#c9a9a6"), ("p99_ms", "p99", "#c0392b"), ("p50_ms", "p50", "#1f618d"))
_MODES = {"PASSIVE": "#7d9d6c", "RESTART": "#b9770e"}


@dataclass(frozen=True)
class Checkpoint:
    """When it began, in seconds of the measurement, and how long it took."""

    at_s: float
    ms: float
    mode: str


def draw(
    seconds: Sequence[dict[str, float | None]],
    checkpoints: Sequence[Checkpoint],
    title: str,
    machine: str,
) -> str:
    """Both scales in milliseconds, logarithmic above and linear beneath."""
    span = max(1, len(seconds))
    inner = _WIDTH - _LEFT - _RIGHT
    bottom = _TOP + _HEIGHT + _GAP + _LANE + 40

    def x(at_s: float) -> float:
        return round(_LEFT + inner * at_s / span, 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {bottom}" font-family="sans-serif">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{bottom}" fill="#ffffff"/>',
        _text(_LEFT, 24, title, size=16),
        _text(_LEFT, 44, machine, fill="#666666"),
        *_latency(seconds, x),
        *_lane([one for one in checkpoints if one.at_s < span], x),
        *_axis(span, x, bottom - 22),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _latency(seconds: Sequence[dict[str, float | None]], x: Callable[[float], float]) -> list[str]:
    known = [value for second in seconds for value in second.values() if value]
    low = 10 ** math.floor(math.log10(min(known, default=1)))
    high = 10 ** math.ceil(math.log10(max(known, default=10)))
    decades = max(1, round(math.log10(high / low)))

    def y(ms: float) -> float:
        return round(_TOP + _HEIGHT * (1 - math.log10(max(ms, low) / low) / decades), 1)

    parts = []
    for power in range(decades + 1):
        value = low * 10**power
        parts.append(_rule(y(value)))
        parts.append(_text(_LEFT - 6, y(value) + 4, f"{value:g} ms", anchor="end"))
    for place, (key, name, colour) in enumerate(_LINES):
        points = " ".join(
            f"{x(number + 0.5)},{y(second[key])}"
            for number, second in enumerate(seconds)
            if second[key] is not None
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.2"/>')
        parts.append(_text(_WIDTH - _RIGHT - 200 + 75 * place, _TOP - 10, name, fill=colour))
    parts.append(_text(_LEFT, _TOP - 10, "latency of each second's messages", fill="#666666"))
    return parts


def _lane(checkpoints: Sequence[Checkpoint], x: Callable[[float], float]) -> list[str]:
    base = _TOP + _HEIGHT + _GAP + _LANE
    most = max((one.ms for one in checkpoints), default=0)
    parts = [_rule(base)]
    for one in checkpoints:
        height = round(max(1, _LANE * one.ms / most), 1)
        parts.append(
            f'<rect x="{x(one.at_s)}" y="{base - height}" width="1.4" height="{height}" fill="{_MODES[one.mode]}"/>'
        )
    words = "no checkpoints of the server's own"
    if checkpoints:
        words = f"checkpoints: {len(checkpoints)}, the longest {most:.0f} ms"
        for place, (mode, colour) in enumerate(_MODES.items()):
            parts.append(
                _text(_WIDTH - _RIGHT - 130 + 70 * place, base - _LANE - 8, mode.lower(), fill=colour)
            )
    parts.append(_text(_LEFT, base - _LANE - 8, words, fill="#666666"))
    return parts


def _axis(span: int, x: Callable[[float], float], y: float) -> list[str]:
    step = next(step for step in (1, 2, 5, 10, 30, 60, 300, 600, 3600) if span / step <= 12 or step == 3600)
    return [_text(x(at), y, f"{at} s", anchor="middle") for at in range(0, span + 1, step)]


def _rule(y: float) -> str:
    return f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}" stroke="#dddddd"/>'


def _text(
    x: float, y: float, words: str, *, anchor: str = "start", fill: str = "#333333", size: int = 12
) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{fill}" font-size="{size}">{escape(words)}</text>'
