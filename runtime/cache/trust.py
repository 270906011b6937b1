"""Whether a file that holds native code may be loaded: only this user, or root, may have been able to write it."""

import os
import pwd
import stat
from pathlib import Path

from netc.netspec.errors import UserError


def refuse_foreign(root: Path, *paths: Path) -> None:
    """Raise UserError if another user owns `root` or one of `paths`, or if every user can write to it.

    What root owns is trusted. Group members who can write are trusted too: many systems give each user a group of
    their own. Paths that do not exist are passed over.
    """
    me = os.geteuid()
    for path in (root, *paths):
        try:
            found = path.stat()
        except OSError:
            continue  # reading it says more
        if found.st_uid not in (me, 0):
            got, advice = f"{path}, which belongs to {_user(found.st_uid)}", f"chown -R it to {_user(me)}"
        elif found.st_mode & stat.S_IWOTH:
            got, advice = f"{path}, which every user can write to", f"chmod -R o-w {root}"
        else:
            continue
        raise UserError(
            f"the cache wants a folder that only {_user(me)} can write to, because its content runs as native code, "
            f"got {got}; {advice}, or set NETC_CACHE_DIR to a folder of your own"
        )


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
