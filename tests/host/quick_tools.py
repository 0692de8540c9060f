"""The real esptool and mpremote, in processes of their own; only pyserial's URL handler for rfc2217:// is ours."""

import sys

_RUN = (
    "import runpy, sys; from ansim.virtual.protocol_rfc2217 import use_quick_ports; use_quick_ports(); "
    "del sys.argv[0]; runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
)


def tool_command(module: str, *arguments: object) -> list[str]:
    """Return the command that runs a tool, which then does not wait 50 ms for each answer to DTR and RTS."""
    return [sys.executable, "-c", _RUN, module, *map(str, arguments)]
