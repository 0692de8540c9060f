"""The line: many boards at once, each flashed, proven and told of by itself (docs/line.md)."""
