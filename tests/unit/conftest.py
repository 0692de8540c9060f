"""How hypothesis runs here: without a clock, as machines are busy at times."""

from hypothesis import settings

settings.register_profile("ansim", deadline=None)
settings.load_profile("ansim")
