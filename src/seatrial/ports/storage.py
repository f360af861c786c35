"""What any store may say instead of an answer: not now."""

from __future__ import annotations

import errno

# Numbers that speak of the machine (full, broken, out of something), not of the request.
_OF_THE_MACHINE = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EFBIG,  # the limit of this process or file system
        errno.EIO,
        errno.EROFS,
        errno.ENOMEM,
        errno.ENFILE,
        errno.EMFILE,
        errno.EAGAIN,
    }
)


class StoreUnavailable(Exception):
    """The store did not do it, or cannot say whether it did. It may be asked again."""


def as_unavailable(error: BaseException) -> StoreUnavailable | None:
    """What this failure means, if it is a store's or the machine's own; else None."""
    if isinstance(error, StoreUnavailable):
        return error
    if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
        return StoreUnavailable(f"the disk does not take or give it: {error.strerror}")
    return None
