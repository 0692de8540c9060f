"""How long a step of a wake keeps a chip awake, from what the virtual board counts in it.

Counts hold for hardware; what each of them costs there does not come from a chip of this project, and is NOT CHECKED:
docs/power.md says where it comes from. Time that a step waits, for the sensor or the air, is not in it.
"""

from collections.abc import Mapping

# Milliseconds for each, by the names of the virtual board's runs.
COST_MS = {
    # At most 128 bytes, the size of LittleFS's cache: the call and 13 us on the bus (40 MHz, two lines).
    "flash_reads": 0.03,
    # What is read is loaded: 0.04 ms a KB in MicroPython's unix port here, on a processor 75 times as fast (CoreMark).
    "flash_read_bytes": 0.003,
    "nvs_reads": 0.1,
    # A write or a read, of which a register takes two; then 9 clocks a byte at 400 kHz.
    "i2c_transfers": 0.1,
    "i2c_bytes": 9 / 400,
}
# The program's own steps between these.
_PROGRAM_MS = 10.0


def work_ms(counts: Mapping[str, int]) -> float:
    """Return how long a chip works for these counts, names as in the virtual board's runs."""
    return _PROGRAM_MS + sum(cost * counts.get(name, 0) for name, cost in COST_MS.items())
