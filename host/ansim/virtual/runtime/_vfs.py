"""The chip's vfs module: the port's without the host's filesystem."""

import vfs

__name__ = "vfs"
mount = vfs.mount
umount = vfs.umount
VfsFat = vfs.VfsFat
VfsLfs2 = vfs.VfsLfs2
