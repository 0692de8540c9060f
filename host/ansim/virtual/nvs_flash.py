class NvsError(Exception):
    code = 0x1101


class NvsFlash:
    def __init__(self, flash, offset, size):
        pass
