"""How does a program find folders under `/` that aren't there? A mount namespace of its own, no root, no container.

This file runs on hosts: standard library only.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

_NEWNS, _NEWUSER = 0x00020000, 0x10000000
_BIND, _REC, _PRIVATE = 0x1000, 0x4000, 0x40000
_libc = ctypes.CDLL(None, use_errno=True)


def entering(root: Path, folders: Mapping[str, Path], hosts: Path | None = None) -> Callable[[], None]:
    """What a child calls before its program: then ``/NAME`` is each of the folders, all else as it was.

    ``root``: an empty folder. ``hosts``: what stands in ``/etc/hosts``. What is called raises OSError if the kernel
    refuses.
    """
    here = Path.cwd()

    def enter() -> None:
        _own_mounts()
        _mount("tmpfs", root, kind="tmpfs")
        for entry in Path("/").iterdir():
            if entry.name not in folders:
                _same(entry, root / entry.name)
        for name, folder in folders.items():
            (root / name).mkdir()
            _mount(str(folder), root / name, _BIND)
        if hosts is not None and Path("/etc/hosts").exists():
            _mount(str(hosts), root / "etc/hosts", _BIND)
        os.chroot(root)
        os.chdir(here)

    return enter


@cache
def why_not() -> str | None:
    """Why a child can't have mounts of its own, in the kernel's words; None if it can. Tried for real."""
    child = os.fork()
    if child == 0:
        try:
            _own_mounts()
        except OSError as error:
            os._exit(error.errno or 1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return None if code == 0 else os.strerror(code)


def _own_mounts() -> None:
    """A mount namespace of this process, in a user namespace where it has to be."""
    user, group = os.geteuid(), os.getegid()
    if user != 0 or _libc.unshare(_NEWNS) != 0:
        _check(_libc.unshare(_NEWUSER | _NEWNS))
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    _mount("none", Path("/"), _REC | _PRIVATE)


def _same(entry: Path, place: Path) -> None:
    """Have one entry of the old root in the new one."""
    if entry.is_symlink():
        place.symlink_to(entry.readlink())
    elif entry.is_dir():
        place.mkdir()
        _mount(str(entry), place, _BIND | _REC)
    elif entry.is_file():
        place.touch()
        _mount(str(entry), place, _BIND)


def _mount(source: str, target: Path, flags: int = 0, kind: str = "") -> None:
    _check(_libc.mount(source.encode(), os.fsencode(target), kind.encode() or None, ctypes.c_ulong(flags), None))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
