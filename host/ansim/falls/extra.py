"""The extra that training and judging need, and other commands do not."""

from ansim.extras import require_packages

_PACKAGES = ("numpy", "scipy", "sklearn", "matplotlib", "jinja2")


def require_extra() -> None:
    """Check that what ``ansim falls`` needs is installed, without importing it.

    Raises:
        AnsimError: names what is missing.
    """
    require_packages("falls", _PACKAGES)
