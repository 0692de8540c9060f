"""The errors a person meets: what happened, what to try next, and the exit code that says so to a script."""

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_PORT = 3
EXIT_DEVICE = 4
EXIT_SERVICE = 5


class AnsimError(Exception):
    """Something went wrong that a person can act on.

    Args:
        message: what happened, and to which device, port or file. Never holds a secret.
        hint: what to try next, as one or two sentences; empty where nothing helps.
    """

    exit_code = EXIT_FAILED

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class BadInput(AnsimError):
    """An option, a file or a value that can't be used as it is."""

    exit_code = EXIT_BAD_INPUT


class PortError(AnsimError):
    """A serial port that is missing, busy, or went away."""

    exit_code = EXIT_PORT


class DeviceError(AnsimError):
    """A device that answers wrongly, not at all, or fails its test."""

    exit_code = EXIT_DEVICE


class ServiceError(AnsimError):
    """The registry, broker or receiver can't be reached or refuses."""

    exit_code = EXIT_SERVICE
