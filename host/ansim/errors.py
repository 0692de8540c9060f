"""The errors a person meets: what happened, what to try next, and the exit code that says so to a script."""

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_PORT = 3
EXIT_DEVICE = 4
EXIT_SERVICE = 5
# As shells say it of a program that Ctrl-C ended.
EXIT_INTERRUPTED = 130


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


class Interrupted(AnsimError):
    """A person ended it, with Ctrl-C or otherwise."""

    exit_code = EXIT_INTERRUPTED

    def __init__(self, message: str = "interrupted", hint: str = "It is safe to run it again.") -> None:
        super().__init__(message, hint)


def unforeseen(error: Exception) -> AnsimError:
    """Return what a person is told of an error that nobody has turned into one of these."""
    if isinstance(error, OSError) and error.strerror:
        hint = "Check who owns it, and that the disk is not full."
        return AnsimError(f"can't use {error.filename or 'a file'}: {error.strerror}", hint)
    # Only its kind: the text of an error that nobody foresaw may hold a secret.
    return AnsimError(f"unexpected {type(error).__name__}", "Run it as ansim --debug ... and report what it says.")
