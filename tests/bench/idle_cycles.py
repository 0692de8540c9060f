"""Runs on the device: goes on duty in the REPL, waits until nothing happens, and prints what idle cycles allocate."""

import gc

CYCLES = 500
# Two seconds: the sensor has had its first look, one after the start, which makes what later ones use.
QUIET_CYCLES = 200


def run() -> None:
    # As main.py does: no garbage between what is loaded.
    gc.collect()
    gc.threshold(8192)
    from ansim_fw import start
    from ansim_fw.board_data import BOARD
    from ansim_fw.hal import watchdog
    from ansim_fw.hal.button import ButtonPin
    from ansim_fw.hal.link import STATE_NAMES

    duty = start.duty(ButtonPin(BOARD["button"]), watchdog.Watchdog(), None)
    quiet = 0
    while quiet < QUIET_CYCLES:
        duty.cycle()
        waiting = duty.device.outbox.entries or duty.announcements
        quiet = 0 if waiting or STATE_NAMES[duty.link.state] != "up" else quiet + 1
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for _ in range(CYCLES):
        duty.cycle()
    allocated = gc.mem_alloc() - before
    gc.enable()
    print("idle", allocated, CYCLES)


run()
