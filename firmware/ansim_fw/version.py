"""The firmware's version, the only place that states it: device, host and image read it here."""

VERSION = "0.1.0"
