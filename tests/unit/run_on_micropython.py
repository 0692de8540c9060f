"""Runs the tests of one file on MicroPython: each function named test_*, and says which one failed."""

import sys


def main(firmware, folder, name):
    sys.path.insert(0, folder)
    sys.path.insert(0, firmware)
    module = __import__(name)
    failed = 0
    count = 0
    for test in dir(module):
        if test.startswith("test_"):
            count += 1
            try:
                getattr(module, test)()
            except Exception as error:
                failed += 1
                print("FAILED", name, test)
                sys.print_exception(error)
    print(count, "passed" if not failed else f"run, {failed} failed")
    return 1 if failed or not count else 0


sys.exit(main(*sys.argv[1:]))
