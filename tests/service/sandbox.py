"""Runs a command with what a unit's SystemCallFilter= and MemoryDenyWriteExecute= leave of it.

    python sandbox.py PROGRAM ARGUMENT...

The kernel does the same for a service; only systemd does not run where tests run.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

SET = "@system-service"
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | 1  # with EPERM, as the unit's SystemCallErrorNumber=
PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1


def system_calls(name: str = SET) -> set[str]:
    """The system calls of one of systemd's sets, those of the sets in it included."""
    listed = subprocess.run(
        ["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True
    ).stdout
    words = [line.strip() for line in listed.splitlines() if line.startswith(" ")]
    found: set[str] = set()
    for word in words:
        if word.startswith("@"):
            found |= system_calls(word)
        elif not word.startswith("#"):
            found.add(word)
    return found


def restrict(names: set[str]) -> None:
    """Take everything else from this process and its children."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0) != 0:
        sys.exit("this kernel (before 6.3) cannot refuse writable code")
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    rules = ctypes.c_void_p(library.seccomp_init(REFUSE))
    for name in sorted(names):
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:
            library.seccomp_rule_add(rules, ctypes.c_uint32(ALLOW), number, 0)
    if library.seccomp_load(rules) != 0:  # sets NoNewPrivileges= too
        sys.exit("the kernel refuses the filter")


if __name__ == "__main__":
    restrict(system_calls())
    os.execv(sys.argv[1], sys.argv[1:])
