"""What a request on the control channel says, checked."""

import json
from itertools import pairwise
from typing import Any

from ansim.virtual.motion import Vector

MAX_MG = 32_000

Arguments = dict[str, Any]


class Refused(Exception):
    """A request that can't be done; the text goes to the client."""


def parse(line: bytes) -> Arguments:
    """Return the JSON object on a line, or an empty one, which no command accepts."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return request if isinstance(request, dict) else {}


def whole(request: Arguments, key: str, low: int, high: int) -> int:
    value = request.get(key)
    if type(value) is not int or not low <= value <= high:
        raise Refused(f"{key} must be a whole number from {low} to {high}")
    return value


def number(request: Arguments, key: str, low: float, high: float) -> float:
    value = request.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise Refused(f"{key} must be a number from {low:g} to {high:g}")
    return float(value)


def vector(request: Arguments, key: str) -> Vector:
    """Return three accelerations in mg."""
    value = request.get(key)
    if not isinstance(value, list) or len(value) != 3 or not all(_is_mg(part) for part in value):
        raise Refused(f"{key} must be a list of three numbers from {-MAX_MG} to {MAX_MG}")
    return float(value[0]), float(value[1]), float(value[2])


def _is_mg(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MAX_MG


def ascending(request: Arguments, key: str, most: int, highest: int) -> list[int]:
    """Return whole numbers from 0 to highest, each greater than the one before; an even number of them."""
    values = request.get(key)
    if not isinstance(values, list) or not 2 <= len(values) <= most or len(values) % 2:
        raise Refused(f"{key} must be a list of 2 to {most} numbers, an even number of them")
    if any(type(value) is not int for value in values):
        raise Refused(f"{key} must be whole numbers")
    if values[0] < 0 or values[-1] > highest or any(b <= a for a, b in pairwise(values)):
        raise Refused(f"{key} must be numbers from 0 to {highest}, each greater than the one before")
    return values


def access_points(request: Arguments) -> list[int]:
    points = request.get("access_points", [1])
    if not isinstance(points, list) or any(type(point) is not int or not 0 <= point <= 255 for point in points):
        raise Refused("access_points must be a list of whole numbers from 0 to 255")
    return points


def flag(request: Arguments, key: str) -> bool:
    value = request.get(key)
    if type(value) is not bool:
        raise Refused(f"{key} must be true or false")
    return value


def text(request: Arguments, key: str, shortest: int, longest: int) -> str:
    value = request.get(key)
    if not isinstance(value, str) or not shortest <= len(value.encode()) <= longest:
        raise Refused(f"{key} must be a text of {shortest} to {longest} bytes")
    return value


def one_of(request: Arguments, key: str, allowed: list[str]) -> str:
    value = request.get(key)
    if value not in allowed:
        raise Refused(f"{key} must be one of {', '.join(allowed)}")
    return str(value)
