"""One file a revision, in one chain."""
