"""The module that building an image makes from boards/*.toml: how this device is wired, and which build it runs."""

from typing import Any

BOARD: dict[str, Any]
BUILD: str
