"""The chip's os module: the port's without what only a host has."""

from collections import namedtuple

import _counting
import _link
import uos

chdir = uos.chdir
getcwd = uos.getcwd
ilistdir = uos.ilistdir
listdir = uos.listdir
mkdir = uos.mkdir
mount = _counting.mount
remove = uos.remove
rename = uos.rename
rmdir = uos.rmdir
sep = uos.sep
statvfs = uos.statvfs
umount = uos.umount
unlink = uos.unlink
urandom = uos.urandom
VfsFat = uos.VfsFat
VfsLfs2 = uos.VfsLfs2


def stat(path):
    _link.counts[_link.STATS] += 1
    return uos.stat(path)


def uname():
    import sys

    release = ".".join(str(part) for part in sys.implementation.version[:3])
    version = sys.version.split("; ")[1]
    fields = namedtuple("uname", ("sysname", "nodename", "release", "version", "machine"))
    return fields("esp32", "esp32", release, version, sys.implementation._machine)


def sync():
    pass
