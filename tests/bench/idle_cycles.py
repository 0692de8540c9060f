"""Runs on the device: goes on duty in the REPL, waits until nothing happens, and prints what idle cycles allocate."""

import gc

from ansim_fw import start
from ansim_fw.board_data import BOARD
from ansim_fw.core import link_watch
from ansim_fw.hal import pins, watchdog

CYCLES = 500


def run() -> None:
    duty = start.duty(pins.ButtonPin(BOARD["button"]), watchdog.Watchdog())
    quiet = 0
    while quiet < 50:
        duty.cycle()
        waiting = duty.device.outbox.entries or duty._announcements
        quiet = 0 if waiting or duty.inputs.link != link_watch.UP else quiet + 1
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for _ in range(CYCLES):
        duty.cycle()
    allocated = gc.mem_alloc() - before
    gc.enable()
    print("idle", allocated, CYCLES)


run()
