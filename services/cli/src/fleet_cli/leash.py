"""Runs one command so that it cannot outlive the process that started it.

    python -I -S leash.py --parent PID --signal NUMBER [--user NAME] [--reach] -- COMMAND …

Started as a file, with the standard library alone, because it runs before every child
of the local runner. It replaces itself by the command, so the pid stays the one the
runner knows.

* On Linux the kernel sends the signal when the parent ends (prctl PR_SET_PDEATHSIG).
* Elsewhere (`--pipe`) a watcher waits for the end of standard input, whose other end
  only the parent holds.
* `--user` gives up root, which PostgreSQL refuses. `--reach` keeps the one capability
  that lets that user pass folders closed to others (a checkout under /root), so that
  nobody's permissions on disk have to be widened.
"""

import argparse
import ctypes
import os
import pwd
import select
import signal
import sys
from typing import NoReturn

_PR_SET_PDEATHSIG = 1
_PR_SET_SECUREBITS = 28
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522
_WATCH_SECONDS = 0.5
_CANNOT_RUN = 127


def main() -> NoReturn:
    """Parse the command line and become the command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--signal", type=int, required=True)
    parser.add_argument("--pipe", action="store_true")
    parser.add_argument("--user")
    parser.add_argument("--reach", action="store_true")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    if options.user:
        become(options.user, reach=options.reach)
    if options.pipe:
        watch_pipe(options.signal)
    else:
        # After the change of user, which clears it.
        set_process_option(_PR_SET_PDEATHSIG, options.signal)
    if os.getppid() != options.parent:  # it ended before the kernel was told
        sys.exit(0)
    try:
        os.execv(options.command[0], options.command)  # noqa: S606 - that is its purpose
    except OSError as error:
        sys.stderr.write(f"cannot run {options.command[0]}: {error.strerror}\n")
        sys.exit(_CANNOT_RUN)


def set_process_option(option: int, *arguments: int) -> None:
    """Set a property of this process, as prctl does. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    padded = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    if libc.prctl(option, *padded) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), f"prctl {option}")


def become(user: str, *, reach: bool) -> None:
    """Give up root for `user`; with `reach` keep the right to pass any folder."""
    account = pwd.getpwnam(user)
    if reach:
        # Keeps capabilities over setuid, and lets access(2), which PostgreSQL asks about its
        # own binaries, count them too.
        set_process_option(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP)
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    if reach:
        _keep_only(1 << _CAP_DAC_OVERRIDE)
        set_process_option(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE)


def _keep_only(mask: int) -> None:
    """Effective, permitted and inheritable capabilities become `mask` (capset(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)
    if libc.capset(ctypes.byref(header), ctypes.byref(sets)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "capset")


def watch_pipe(number: int) -> None:
    """Fork a watcher of standard input; the caller keeps its pid and becomes the command."""
    command = os.getpid()
    if os.fork() > 0:
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        return
    os.setsid()
    while os.getppid() == command:
        if select.select([0], [], [], _WATCH_SECONDS)[0] and not os.read(0, 1):
            os.kill(command, number)
            break
    os._exit(0)


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_SETMASK, set())
    main()
