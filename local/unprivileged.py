"""Who Postgres runs as when root starts it, and where that user can reach its files.

Postgres refuses to run as root. Another user may not enter a private folder such as /root, and
opening one for a database would be a poor trade: what this user needs is put under /var/lib/vitrine.
"""

import hashlib
import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from local.failures import LocalError

NAMES = ("pgserver", "nobody")
SHARED = Path("/var/lib/vitrine")


@dataclass(frozen=True)
class Account:
    """A user of this machine."""

    name: str
    uid: int
    gid: int


class Handover(TypedDict):
    """The arguments with which subprocess starts a program as another user."""

    user: int | None
    group: int | None
    extra_groups: list[int] | None


def handover(account: Account | None) -> Handover:
    """How to start a program as an account; as ourselves without one."""
    if account is None:
        return Handover(user=None, group=None, extra_groups=None)
    return Handover(user=account.uid, group=account.gid, extra_groups=[])


def postgres_account() -> Account | None:
    """The user to run Postgres as; None to stay who we are, which only root cannot.

    Raises LocalError if root has nobody to hand over to.
    """
    if os.geteuid() != 0:
        return None
    if not _find(NAMES[0]):
        _create(NAMES[0])
    for name in NAMES:
        if account := _find(name):
            return account
    raise LocalError(
        "Postgres does not run as root, and this machine has no other user for it: create one called "
        f"{NAMES[0]}, or start Vitrine as an ordinary user."
    )


def _find(name: str) -> Account | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _create(name: str) -> None:
    """Add a system user without home or shell. A bare container may lack the tool: that is no error."""
    if useradd := shutil.which("useradd", path=f"{os.defpath}:/usr/sbin:/sbin"):
        options = ["--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin"]
        subprocess.run([useradd, *options, name], capture_output=True, check=False)


def is_reachable(path: Path) -> bool:
    """Whether every user may pass through all folders above a path."""
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in path.resolve().parents if folder.exists())


def shared_folder(purpose: str, wanted: Path) -> Path:
    """The stand-in under /var/lib/vitrine for a path that other users cannot reach.

    Raises LocalError where it cannot be made.
    """
    place = SHARED / f"{purpose}-{hashlib.sha256(os.fsencode(wanted.resolve())).hexdigest()[:12]}"
    try:
        SHARED.mkdir(mode=0o755, parents=True, exist_ok=True)
        place.mkdir(mode=0o755, exist_ok=True)
    except OSError as problem:
        raise LocalError(
            f"Postgres cannot reach {wanted} as its own user, nor can {place} be made ({problem.strerror}): "
            "set VITRINE_HOME to a folder that every user may pass through."
        ) from problem
    return place


def reachable_programs(folder: Path) -> Path:
    """A folder of programs as it is, or a copy of it that every user can reach."""
    if is_reachable(folder / "bin"):
        return folder
    copy = shared_folder("programs", folder) / folder.name
    if not copy.exists():
        unfinished = copy.with_name(f"{copy.name}.{os.getpid()}")
        shutil.copytree(folder, unfinished, symlinks=True)
        unfinished.rename(copy)
    return copy


def give(path: Path, account: Account) -> None:
    """Make a folder and all that is in it an account's own, also after the account's number changed."""
    if path.stat().st_uid == account.uid:
        return
    for entry in (*path.rglob("*"), path):
        os.chown(entry, account.uid, account.gid, follow_symlinks=False)
