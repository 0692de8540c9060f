"""What a command needs that not everybody installs: the optional extras of the package."""

import importlib.util
from collections.abc import Sequence

from ansim.errors import AnsimError


def require_packages(extra: str, packages: Sequence[str]) -> None:
    """Check that packages, which this extra brings, are installed, without importing them.

    Raises:
        AnsimError: names what is missing.
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise AnsimError(f"not installed: {', '.join(missing)}", f"pip install 'ansim[{extra}]'")
