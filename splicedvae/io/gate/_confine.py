"""The child takes from itself what reading a file does not need.

No files but the one asked for and the code of Python and its packages, no network and no other
programs, by Landlock and seccomp where the kernel has them; bounds on memory, processor time, open
files and what is written, by setrlimit.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import site
import struct
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from splicedvae.io.gate._bounds import Bounds

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_SECCOMP: Final = 22
_PR_SET_NO_NEW_PRIVS: Final = 38

#: Landlock: numbers of its calls on every architecture, and its rights.
_CREATE, _ADD, _RESTRICT = 444, 445, 446
_READ_FILE, _READ_DIR, _TRUNCATE = 1 << 2, 1 << 3, 1 << 14
_FILE_RIGHTS: Final = (1 << 0) | (1 << 1) | _READ_FILE | _TRUNCATE | (1 << 15)
#: Rights that each version of Landlock added to those of the first.
_RIGHTS: Final = {1: (1 << 13) - 1, 2: 1 << 13, 3: _TRUNCATE, 5: 1 << 15}

#: Calls that seccomp refuses: other programs and processes, the network, the kernel's inside.
_REFUSED: Final = {
    "x86_64": (
        0xC000003E,
        # socket, connect, bind, vfork, fork, execve, kill, ptrace, mount, add_key, request_key,
        # keyctl, unshare, perf_event_open, open_by_handle_at, setns, process_vm_readv and writev,
        # bpf, execveat, userfaultfd, io_uring_setup, pidfd_open, pidfd_getfd
        (
            *(41, 42, 49, 57, 58, 59, 62, 101, 165, 248, 249, 250, 272, 298, 304, 308, 310, 311),
            *(321, 322, 323, 425, 434, 438),
        ),
        56,
    ),
    "aarch64": (
        0xC00000B7,
        (
            *(198, 203, 200, 221, 129, 117, 40, 217, 218, 219, 97, 241, 265, 268, 270, 271),
            *(280, 281, 282, 425, 434, 438),
        ),
        220,
    ),
}
_CLONE3: Final = 435
_CLONE_THREAD: Final = 0x10000
_ERROR: Final = 0x00050000
_ALLOW: Final = 0x7FFF0000
_KILL: Final = 0x80000000

#: What Python and its packages read besides themselves.
_SYSTEM: Final = (
    *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo"),
    *("/etc/ld.so.cache", "/etc/localtime", "/dev/null", "/dev/urandom", "/proc/self"),
    *("/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu", "/sys/fs/cgroup"),
)


def end_with_parent() -> None:
    """Have the kernel end this process when its parent ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def confine(place: Path, scratch: Path) -> list[str]:
    """Give up all files but some, the network and other programs.

    Parameters
    ----------
    place
        File or folder to read.
    scratch
        Folder to write into.

    Returns
    -------
    What could not be given up here, in words.
    """
    left = []
    if not sys.platform.startswith("linux"):
        return ["other files", "the network"]
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if not _only_files(libc, place, scratch):
        left.append("other files")
    if not _refuse_calls(libc):
        left.append("the network")
    return left


def bound(bounds: Bounds) -> list[str]:
    """Set bounds on memory, processor time, open files and the size of files.

    Returns
    -------
    What could not be bounded here, in words.
    """
    try:
        import resource
    except ImportError:  # no such module on Windows; the caller watches memory and the clock
        return ["memory", "processor time"]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (bounds.seconds, bounds.seconds + 2))
    written = 2 * max(bounds.memory, bounds.arrays)
    for kind, most in ((resource.RLIMIT_FSIZE, written), (resource.RLIMIT_NOFILE, 256)):
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))
    if not sys.platform.startswith("linux"):
        return ["memory"]
    pages = Path("/proc/self/statm").read_text("ascii").split()
    taken = int(pages[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + bounds.memory,) * 2)
    return []


def _readable() -> Iterable[str]:
    """Yield folders of Python, its packages and this one."""
    paths = sysconfig.get_paths()
    yield from (paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    yield from (one for one in sys.path if one.endswith(("site-packages", "dist-packages")))
    yield site.getusersitepackages()
    yield str(Path(__file__).resolve().parents[2])
    yield str(Path(sys.base_prefix) / "lib")
    yield from _SYSTEM


def _only_files(libc: ctypes.CDLL, place: Path, scratch: Path) -> bool:
    version = libc.syscall(_CREATE, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return False
    handled = 0
    for since, rights in _RIGHTS.items():
        handled |= rights if version >= since else 0
    # The second and third field, network and signals, came with versions 4 and 6.
    fields = (handled, 0b11 if version >= 4 else 0, 0b11 if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    rules = libc.syscall(_CREATE, struct.pack("=3Q", *fields), ctypes.c_size_t(size), 0)
    if rules < 0:
        return False
    reading = _READ_FILE | _READ_DIR
    try:
        _allow(libc, rules, place, reading)
        _allow(libc, rules, scratch, handled & ~1)
        for folder in _readable():
            _allow(libc, rules, Path(folder), reading)
        done: bool = libc.syscall(_RESTRICT, rules, 0) == 0
    finally:
        os.close(rules)
    return done


def _allow(libc: ctypes.CDLL, rules: int, place: Path, rights: int) -> None:
    try:
        opened = os.open(place, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # not on this machine
        return
    try:
        rights = rights if place.is_dir() else rights & _FILE_RIGHTS
        libc.syscall(_ADD, rules, 1, struct.pack("=Qi", rights, opened), 0)
    finally:
        os.close(opened)


def _refuse_calls(libc: ctypes.CDLL) -> bool:
    known = _REFUSED.get(platform.machine())
    if known is None or sys.byteorder != "little":
        return False
    architecture, refused, clone = known

    def step(code: int, value: int, then: int = 0, other: int = 0) -> bytes:
        return struct.pack("=HBBI", code, then, other, value)

    load, equal, at_least, test, give = 0x20, 0x15, 0x35, 0x45, 0x06
    steps = [
        step(load, 4),
        step(equal, architecture, 1, 0),
        step(give, _KILL),
        step(load, 0),
        # Numbers of another calling convention of the same processor.
        step(at_least, 0x40000000, 0, 1),
        step(give, _ERROR | 1),
        # Unknown (38), so that libraries fall back on clone, of which the flags can be seen.
        step(equal, _CLONE3, 0, 1),
        step(give, _ERROR | 38),
    ]
    for number in refused:
        steps += [step(equal, number, 0, 1), step(give, _ERROR | 1)]
    steps += [
        step(equal, clone, 0, 3),
        step(load, 16),
        step(test, _CLONE_THREAD, 1, 0),
        step(give, _ERROR | 1),
        step(give, _ALLOW),
    ]
    program = ctypes.create_string_buffer(b"".join(steps))
    header = struct.pack("@HP", len(steps), ctypes.addressof(program))
    return bool(libc.prctl(_PR_SET_SECCOMP, 2, header, 0, 0) == 0)
