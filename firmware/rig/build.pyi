"""The module that flashing a rig makes: a hash over the other ones."""

BUILD: str
