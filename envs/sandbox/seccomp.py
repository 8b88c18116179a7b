"""A seccomp filter (classic BPF) that refuses system calls by which code could read other processes, hide memory or gain namespaces."""

from __future__ import annotations

import platform
import struct

_ALLOW, _KILL, _EPERM, _ENOSYS = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026
_LOAD, _EQUAL, _AT_LEAST, _BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NEW_USER = 0x10000000
_X32 = 0x40000000

_X86 = {
    "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "pidfd_getfd": 438, "memfd_create": 319, "memfd_secret": 447,
    "userfaultfd": 323, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "bpf": 321, "perf_event_open": 298,
    "add_key": 248, "request_key": 249, "keyctl": 250, "unshare": 272, "setns": 308, "mount": 165, "umount2": 166, "pivot_root": 155,
    "chroot": 161, "open_by_handle_at": 304, "shmget": 29, "msgget": 68, "semget": 64,
}  # fmt: skip
_ARM = {
    "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "pidfd_getfd": 438, "memfd_create": 279, "memfd_secret": 447,
    "userfaultfd": 282, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "bpf": 280, "perf_event_open": 241,
    "add_key": 217, "request_key": 218, "keyctl": 219, "unshare": 97, "setns": 268, "mount": 40, "umount2": 39, "pivot_root": 41,
    "chroot": 51, "open_by_handle_at": 265, "shmget": 194, "msgget": 186, "semget": 190,
}  # fmt: skip
_MACHINES = {"x86_64": (0xC000003E, _X86, 56), "aarch64": (0xC00000B7, _ARM, 220)}
_CLONE3 = 435


def filter_program() -> bytes:
    """The filter for this machine, as ``bwrap --seccomp`` reads it; empty on processors whose numbers are not known here.

    Denied calls fail with EPERM; clone3, whose flags a filter cannot see, with ENOSYS, upon which the C library uses clone. System V
    memory, queues and semaphores, and memfd, are denied because what they hold is charged to no process.
    """
    found = _MACHINES.get(platform.machine())
    if found is None:
        return b""
    arch, numbers, clone = found
    program = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, arch), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    program += [(_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _KILL)]
    for number in sorted(numbers.values()):
        program += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _EPERM)]
    program += [(_EQUAL, 0, 1, _CLONE3), (_RETURN, 0, 0, _ENOSYS)]
    program += [(_EQUAL, 0, 3, clone), (_LOAD, 0, 0, 16), (_BITS, 0, 1, _NEW_USER), (_RETURN, 0, 0, _EPERM)]
    program += [(_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in program)
