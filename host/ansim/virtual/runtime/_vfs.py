"""The chip's vfs module: the port's without the host's filesystem."""

import _counting
import vfs

__name__ = "vfs"
mount = _counting.mount
umount = vfs.umount
VfsFat = vfs.VfsFat
VfsLfs2 = vfs.VfsLfs2
