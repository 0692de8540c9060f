"""The rig: does what it is asked for at its moment, and tells what its inputs see. docs/rig.md has the requests."""

import gc
import json
import os
from time import sleep_us, ticks_diff, ticks_us

from machine import unique_id
from micropython import const
from rig.build import BUILD
from rig.console import Console, refusal
from rig.lines import Edges, Input, Output

# What each line does; of the outputs, whether it is on while nobody asked for anything.
_OUTPUTS = {"button": False, "power": True, "reset": False}
_INPUTS = ("led", "buzzer", "vibration")

_TICK_MS = const(20)
# What is due so soon is waited for and nothing else is done, as exactly as this chip can.
_NEAR_US = const(3000)
_MOST_EDGES = const(200)
_MOST_ACTS = const(400)
_LONGEST_MS = const(600_000)
_LONGEST_US = const(600_000_000)
_LONGEST_LISTEN_S = const(3600)
_RESET_US = const(50_000)


class Clock:
    """Microseconds since the rig's start. To be asked again within minutes: ticks are of 30 bits."""

    def __init__(self) -> None:
        self._us = 0
        self._ticks = ticks_us()

    def now_us(self) -> int:
        ticks = ticks_us()
        self._us += ticks_diff(ticks, self._ticks)
        self._ticks = ticks
        return self._us

    def at_us(self, ticks: "_TicksUs") -> int:
        """Return the moment at which ticks_us() was ticks, some minutes ago at the most."""
        return self._us + ticks_diff(ticks, self._ticks)


class Rig:
    """Answers requests, does what is due, and tells edges while somebody listens."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._clock = Clock()
        self._edges = Edges()
        self._given: "dict[str, list[int]]" = {}
        self._outputs: "dict[str, Output]" = {}
        self._inputs: "dict[str, Input]" = {}
        # (moment in us, output, on, number of the request that is answered after it, if any), the next one first.
        self._acts: "list[tuple[int, Output, bool, int | None]]" = []
        self._bounce_us: "list[int]" = []
        self._listens_until_us = -1
        self._commands = {
            "info": self._info,
            "lines": self._lines,
            "check": self._check,
            "press": self._press,
            "edges": self._take_edges,
            "bounce": self._bounce,
            "button": self._button,
            "power": self._power,
            "reset": self._reset,
            "listen": self._listen,
        }

    def run(self) -> None:
        """Work for ever."""
        self._console.tell({"event": "ready", "build": BUILD})
        while True:
            text = self._console.read(self._patience_ms())
            if text is not None:
                answer = self._answer(text)
                if answer is not None:
                    self._console.tell(answer)
            self._act()
            self._watch()

    def _patience_ms(self) -> int:
        if not self._acts:
            return _TICK_MS
        return min(_TICK_MS, max(0, (self._acts[0][0] - _NEAR_US - self._clock.now_us()) // 1000))

    def _act(self) -> None:
        while self._acts:
            left_us = self._acts[0][0] - self._clock.now_us()
            if left_us > _NEAR_US:
                return
            if left_us > 0:
                sleep_us(left_us)
            _, output, on, number = self._acts.pop(0)
            self._set(output, on)
            if number is not None:
                self._console.tell(_done(number, {}))

    def _set(self, output: Output, on: bool) -> None:
        if output.on != on:
            output.set(on)
            self._edges.put(output.name, on)

    def _watch(self) -> None:
        """Tell what the lines did, if somebody listens."""
        if self._listens_until_us < 0:
            self._edges.clear()
            return
        now_us = self._clock.now_us()
        for each in self._inputs.values():
            each.put_right(now_us)
        self._tell_edges()
        if now_us >= self._listens_until_us:
            self._deafen()

    def _tell_edges(self) -> None:
        while True:
            edge = self._edges.take()
            if edge is None:
                break
            self._console.tell({"event": "edge", "line": edge[1], "on": edge[2], "us": self._clock.at_us(edge[0])})
        if self._edges.lost:
            self._console.tell({"event": "lost", "edges": self._edges.lost})
            self._edges.lost = 0

    def _deafen(self) -> None:
        for each in self._inputs.values():
            each.deafen()
        if self._listens_until_us >= 0:
            self._listens_until_us = -1
            self._console.tell({"event": "listened"})

    # Requests

    def _answer(self, text: bytes) -> "dict[str, object] | None":
        """Return the answer to a request; None: it comes when what was asked for is done. Never raises."""
        try:
            request = json.loads(text)
        except (ValueError, TypeError):
            # TypeError: MicroPython's reader takes any key, and a list can't be one.
            return refusal(None, "not JSON")
        if not isinstance(request, dict) or type(request.get("id")) is not int:
            return refusal(None, "a request is an object with an int id and a cmd")
        number, name = request["id"], request.get("cmd")
        command = self._commands.get(name) if isinstance(name, str) else None
        if command is None:
            return refusal(number, "no such cmd", ", ".join(sorted(self._commands)))
        try:
            result = command(request, number)
        except ValueError as error:
            return refusal(number, str(error))
        except MemoryError:
            return refusal(number, "no memory", "Ask for less at once.")
        return None if result is None else _done(number, result)

    def _info(self, _request: "Request", _number: int) -> "Result":
        gc.collect()
        system = os.uname()
        return {
            "build": BUILD,
            "micropython": system.release,
            "mac": unique_id().hex(),
            "lines": self._given,
            "heap_free": gc.mem_free(),
            "up_s": self._clock.now_us() // 1_000_000,
        }

    def _lines(self, request: "Request", _number: int) -> "Result":
        """Take what is on which pin, or tell it. The same again changes nothing: a device's power stays as it is."""
        wanted = request.get("set", self._given)
        if wanted != self._given:
            _check_lines(wanted)
            self._let_go()
            try:
                self._make(wanted)
            except ValueError:
                self._let_go()
                raise
        return {"lines": self._given}

    def _let_go(self) -> None:
        self._deafen()
        for each in list(self._outputs.values()) + list(self._inputs.values()):
            each.let_go()
        self._acts.clear()
        self._outputs, self._inputs, self._given = {}, {}, {}

    def _make(self, wanted: "dict[str, list[int]]") -> None:
        for name, (gpio, active) in wanted.items():
            if name in _OUTPUTS:
                self._outputs[name] = Output(name, gpio, active, _OUTPUTS[name])
            else:
                self._inputs[name] = Input(name, gpio, active, self._edges)
        self._given = wanted

    def _output(self, name: str) -> Output:
        if name not in self._outputs:
            raise ValueError("there is no line " + name)
        return self._outputs[name]

    def _check(self, _request: "Request", _number: int) -> "Result":
        """Return what each line is, and whether it looks as if its wire were there. Moves nothing."""
        if self._listens_until_us >= 0:
            raise ValueError("somebody listens")
        found: "dict[str, object]" = {name: each.check() for name, each in self._outputs.items()}
        found.update({name: each.check() for name, each in self._inputs.items()})
        return found

    def _free_button(self) -> Output:
        button = self._output("button")
        if button.on or any(act[1] is button for act in self._acts):
            raise ValueError("the button is held down already")
        return button

    def _press(self, request: "Request", number: int) -> "Result | None":
        hold_ms = _whole(request, "hold_ms", 1, _LONGEST_MS)
        self._play(self._free_button(), [0, hold_ms * 1000], number)
        return None

    def _take_edges(self, request: "Request", _number: int) -> "Result":
        """Take moments of the next bounce, behind those taken before."""
        edges = request.get("us")
        if not isinstance(edges, list) or len(self._bounce_us) + len(edges) > _MOST_EDGES:
            raise ValueError("us must be a list, with %d moments in all" % _MOST_EDGES)
        last = self._bounce_us[-1] if self._bounce_us else -1
        for each in edges:
            if type(each) is not int or not last < each <= _LONGEST_US:
                raise ValueError("us must be whole numbers to %d, each greater than the one before" % _LONGEST_US)
            last = each
        self._bounce_us += edges
        return {"edges": len(self._bounce_us)}

    def _bounce(self, _request: "Request", number: int) -> "Result | None":
        """Close and open the button's contact in turn at the moments that were taken."""
        edges, self._bounce_us = self._bounce_us, []
        if not edges or len(edges) % 2:
            raise ValueError("a bounce has an even number of edges")
        self._play(self._free_button(), edges, number)
        return None

    def _play(self, output: Output, edges_us: "list[int]", number: int) -> None:
        """Switch an output on and off in turn, and answer when that is over."""
        if len(self._acts) + len(edges_us) > _MOST_ACTS:
            raise ValueError("too much waits already")
        now_us = self._clock.now_us()
        last = len(edges_us) - 1
        for place, edge_us in enumerate(edges_us):
            self._acts.append((now_us + edge_us, output, place % 2 == 0, number if place == last else None))
        self._acts.sort(key=_moment)

    def _button(self, request: "Request", _number: int) -> "Result":
        down = _truth(request, "down")
        button = self._output("button")
        self._acts = [act for act in self._acts if act[1] is not button]
        self._set(button, down)
        return {}

    def _power(self, request: "Request", _number: int) -> "Result":
        """Switch the device's power now, or in after_us; what waited before is forgotten."""
        on = _truth(request, "on")
        after_us = _whole(request, "after_us", 0, _LONGEST_US) if "after_us" in request else 0
        power = self._output("power")
        self._acts = [act for act in self._acts if act[1] is not power]
        if after_us:
            self._acts.append((self._clock.now_us() + after_us, power, on, None))
            self._acts.sort(key=_moment)
        else:
            self._set(power, on)
        return {}

    def _reset(self, _request: "Request", number: int) -> "Result | None":
        self._play(self._output("reset"), [0, _RESET_US], number)
        return None

    def _listen(self, request: "Request", _number: int) -> "Result":
        """Tell edges for some seconds from now on, or (0) no more; return what is on now."""
        seconds = _whole(request, "seconds", 0, _LONGEST_LISTEN_S)
        self._deafen()
        self._edges.clear()
        now_us = self._clock.now_us()
        on: "dict[str, object]" = {name: each.on for name, each in self._outputs.items()}
        on.update({name: each.is_on() for name, each in self._inputs.items()})
        if seconds:
            self._listens_until_us = now_us + seconds * 1_000_000
            for each in self._inputs.values():
                each.listen()
        return {"us": now_us, "on": on}


def _moment(act: "tuple[int, Output, bool, int | None]") -> int:
    return act[0]


def _done(number: int, result: "Result") -> "dict[str, object]":
    return {"id": number, "ok": True, "result": result}


def _whole(request: "Request", key: str, low: int, high: int) -> int:
    value = request.get(key)
    if type(value) is not int or not low <= value <= high:
        raise ValueError("%s must be a whole number from %d to %d" % (key, low, high))
    return value


def _truth(request: "Request", key: str) -> bool:
    value = request.get(key)
    if type(value) is not bool:
        raise ValueError(key + " must be true or false")
    return value


def _check_lines(wanted: object) -> None:
    """Raise ValueError unless wanted is lines: name to GPIO and active level."""
    if not isinstance(wanted, dict):
        raise ValueError("set must be an object")
    pins = []
    for name, line in wanted.items():
        if name not in _OUTPUTS and name not in _INPUTS:
            raise ValueError("lines are " + ", ".join(list(_OUTPUTS) + list(_INPUTS)))
        # Of whole numbers alone, as 1.0 is 1, too.
        if not isinstance(line, list) or [type(each) for each in line] != [int, int] or line[1] not in (0, 1):
            raise ValueError("a line is [gpio, 0 or 1]")
        pins.append(line[0])
    if len(set(pins)) != len(pins):
        raise ValueError("a pin is one line's")


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from _mpy_shed.time_mp import _TicksUs

    Request = dict[str, Any]
    Result = dict[str, object]
