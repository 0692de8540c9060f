"""Answers whoever asks at the console. Loaded when somebody does, and not kept: the memory is of use elsewhere."""

from ansim_fw.hal import console_port, modules

_MODULES = (
    "ansim_fw.requests",
    "ansim_fw.improv_port",
    "ansim_fw.networks",
    "ansim_fw.answers",
    "ansim_fw.core.improv",
    "ansim_fw.core.lock",
)


def serve(duty: "Duty", console: "console_port.ConsolePort", told: int) -> None:
    """Answer what console.read() told of: TEXT, TOO_LONG or PACKET."""
    try:
        # Whoever imports it next finds it.
        name = "ansim_fw.improv_port" if told == console_port.PACKET else "ansim_fw.requests"
        try:
            __import__(name)
        except MemoryError:
            duty.make_room()
            __import__(name)
        if told == console_port.PACKET:
            from ansim_fw import improv_port

            if improv_port.answer(console.reader.text(), duty):
                console.attend()
            return
        from ansim_fw import requests

        if told == console_port.TOO_LONG:
            answer = requests.refusal(None, "longer than 200 bytes")
        else:
            answer = requests.answer(console.reader.text(), duty)
    finally:
        unload()
    if answer["id"] is not None:
        console.attend()
    # What it asked for is done, and not to be done again; what did it has given its memory back.
    try:
        console.write(answer)
    except MemoryError:
        duty.make_room()
        console.write(answer)


def unload() -> None:
    """Give the memory back of what the console alone needs."""
    for name in _MODULES:
        modules.drop(name)


TYPE_CHECKING = False
if TYPE_CHECKING:
    from ansim_fw.loop import Duty
