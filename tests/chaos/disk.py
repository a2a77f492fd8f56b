"""A small disk of the database's own, to be filled: a tmpfs in this process's mount namespace.

Needs root with CAP_SYS_ADMIN on Linux; elsewhere the disk is left out, with the reason.
"""

import asyncio
import contextlib
import ctypes
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from fleet_cli.folder import DataFolder, load_kept, write_kept
from fleet_cli.foundation import PortBook
from fleet_cli.postgres_process import NAME, PostgresPlan, prepare_postgres

_CLONE_NEWNS = 0x00020000
_MS_PRIVATE_RECURSIVE = 1 << 18 | 1 << 14
_BLOCK = b"\0" * (1 << 20)


@dataclass
class Disk:
    """A file system that holds the database's data and nothing else."""

    path: Path
    fills: int = 0

    async def full(self, seconds: float) -> None:
        """Fill it to the last byte, wait, and make room again."""
        self.fills += 1
        ballast = self.path / "ballast"
        try:
            await asyncio.to_thread(_fill, ballast)
            end = asyncio.get_running_loop().time() + seconds
            while asyncio.get_running_loop().time() < end:
                await asyncio.sleep(0.1)
                # What the database deleted meanwhile is taken too.
                await asyncio.to_thread(_fill, ballast)
        finally:
            ballast.unlink(missing_ok=True)


def _fill(ballast: Path) -> None:
    descriptor = os.open(ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        block = _BLOCK
        while block:
            try:
                written = os.write(descriptor, block)
            except OSError:
                block = block[: len(block) // 16]
            else:
                block = block if written == len(block) else block[: len(block) // 16]
    finally:
        os.close(descriptor)


async def own_disk(folder: DataFolder, size_mb: int) -> Disk | str:
    """Put the folder's database on a disk of `size_mb`; why not, when it cannot be done."""
    if size_mb == 0:
        return "none was asked for"
    reason = _own_mounts()
    if reason is not None:
        return reason
    path = folder / "database-disk"
    path.mkdir()
    reason = _mount_tmpfs(path, size_mb)
    if reason is not None:
        return reason
    path.chmod(0o711)
    await _initialise(folder)
    data = folder / NAME
    shutil.copytree(data, path / NAME, symlinks=True)
    _give_like(data, path / NAME)
    shutil.rmtree(data)
    data.symlink_to(path / NAME)
    return Disk(path)


async def _initialise(folder: DataFolder) -> None:
    """Make the database as the runner's first start does, with the password it will use."""
    kept = load_kept(folder)
    write_kept(folder, kept)
    port = PortBook(folder, kept).give(NAME)
    await prepare_postgres(folder, PostgresPlan(port, kept.database_password))


def _give_like(original: Path, copy: Path) -> None:
    for source in (original, *original.rglob("*")):
        status = source.lstat()
        os.lchown(copy / source.relative_to(original), status.st_uid, status.st_gid)


def _own_mounts() -> str | None:
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a mount of one's own needs root on Linux"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) != 0:
        return f"unshare: {os.strerror(ctypes.get_errno())}"
    if libc.mount(b"none", b"/", None, _MS_PRIVATE_RECURSIVE, None) != 0:
        return f"mount namespace: {os.strerror(ctypes.get_errno())}"
    return None


def _mount_tmpfs(path: Path, size_mb: int) -> str | None:
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"size={size_mb}m,mode=711".encode()
    if libc.mount(b"chaos", os.fsencode(path), b"tmpfs", 0, options) != 0:
        return f"mount of a tmpfs: {os.strerror(ctypes.get_errno())}"
    return None


def take_off(disk: Disk) -> None:
    """Unmount it; its content is gone."""
    libc = ctypes.CDLL(None, use_errno=True)
    with contextlib.suppress(OSError):
        libc.umount2(os.fsencode(disk.path), 2)  # MNT_DETACH
