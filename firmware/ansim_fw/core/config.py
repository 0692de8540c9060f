"""The settings a device takes, with their limits."""

# name: (lowest, highest, default)
LIMITS = {
    "heartbeat_min": (1, 1440, 60),
    "cancel_s": (0, 120, 30),
    "spread_s": (0, 300, 30),
    "prealarm_s": (0, 60, 30),
    # How the device is worn: 0 tells no falls, 1 on the body (waist, pendant), 2 on the wrist.
    "fall": (0, 2, 1),
}


def check(name: str, value: object) -> int:
    """Return value if the setting name may have it.

    Raises:
        ValueError: no such setting, not an int, or out of its limits; says which.
    """
    if name not in LIMITS:
        raise ValueError("no setting " + str(name)[:24])
    low, high, _ = LIMITS[name]
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{name} must be {low} to {high}")
    return value


def default(name: str) -> int:
    return LIMITS[name][2]
