"""One file a command: each holds a click command (or group) named ``command``; cli.py finds them."""
