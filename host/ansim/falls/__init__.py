"""Falls: recordings of movement, the detector trained and judged on them, replayed and recorded.

What needs NumPy and its company (the extra ``falls``) is imported when it is used, so that every other command starts
without it.
"""
