"""What to try when a phase fails, by its name; the same for a proof and for a device's own self-test."""

ADVICE = {
    "identity": "Give it its identity again: ansim provision. If that does not help, look which device is on the port.",
    "storage": "Its flash does not keep what is written: replace it.",
    "memory": "Too little memory is free: flash it again.",
    "sensor": "Look at the sensor's wires and part (docs/sensors.md), and keep the device still during the test.",
    "battery": "Charge the cell, or replace it; a reading of 0 is a divider that is not connected.",
    "supply": "Put it on its charger or mains, and look at the contacts.",
    "wifi": "Look at the antenna, and bring the access point nearer; never joined: are name and passphrase right?",
    "link": "Is ansim broker running, and in reach of the device? ansim info tells what fails (link_fault).",
    "button": "Look at the button's switch and solder; a button that is held or stuck raises no second press.",
    "alarm": "Is ansim receive running? The alarm waits on the device until it is; then prove it again.",
    "outputs": "Look at light, buzzer and motor. If all were there: prove it again, and press once more when asked.",
}
