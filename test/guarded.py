# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs commands in a process that ends where one of them does what SECURITY.md rules out.

    guarded.py [--middleware] MARK COMMANDS

COMMANDS is a list in JSON; each command is a list of the exit code that is expected, then
``module:function`` or the path of a program, then its arguments. MARK is a word that the data hold
and no program does: where it is compiled, run or imported, data have become code. With
``--middleware``, Python alone may open no internet sockets: those of DDS are made by C++.
"""

from __future__ import annotations

import ctypes
import faulthandler
import importlib
import json
import os
import platform
import runpy
import signal
import socket
import sys
import traceback
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

# The exit code of a process that was ended, and how its explanation begins.
FORBIDDEN = 77
EXPLANATION = 'forbidden:'

INTERNET = (socket.AF_INET, socket.AF_INET6)
LOOKED_UP = {
    'ftplib.connect', 'http.client.connect', 'imaplib.open', 'smtplib.connect',
    'socket.getaddrinfo', 'socket.gethostbyaddr', 'socket.gethostbyname', 'socket.getnameinfo',
    'urllib.Request',
}  # fmt: skip
SHELLS = {'bash', 'csh', 'dash', 'fish', 'ksh', 'sh', 'tcsh', 'zsh'}
STARTS = {'os.exec', 'os.posix_spawn', 'os.spawn', 'subprocess.Popen'}
# Python reports imports by the statement only.
IMPORT = 'an import'
# What these processes of one program tell one another is no file.
BETWEEN_PROCESSES = ('concurrent.futures', 'multiprocessing', 'torch.multiprocessing')

# The machine's number of the system call `socket`, and what the kernel calls the machine
# (linux/audit.h). Elsewhere only Python's sockets are seen.
SOCKET_CALLS = {'aarch64': (198, 0xC00000B7), 'x86_64': (41, 0xC000003E)}
LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06  # linux/bpf_common.h
NUMBER, MACHINE, FIRST_ARGUMENT = 0, 4, 16  # places in struct seccomp_data, linux/seccomp.h
ALLOW, TRAP = 0x7FFF0000, 0x00030000
PR_SET_SECCOMP, SECCOMP_MODE_FILTER, PR_SET_NO_NEW_PRIVS = 22, 2, 38


class Instruction(ctypes.Structure):
    _fields_ = (
        ('code', ctypes.c_uint16),
        ('if_true', ctypes.c_uint8),
        ('if_false', ctypes.c_uint8),
        ('value', ctypes.c_uint32),
    )


class Filter(ctypes.Structure):
    _fields_ = (('length', ctypes.c_uint16), ('instructions', ctypes.POINTER(Instruction)))


def forbid_internet_sockets() -> None:
    """Let the kernel end the process where any code, that of C libraries too, asks for one."""
    if platform.machine() not in SOCKET_CALLS:
        return
    number, machine = SOCKET_CALLS[platform.machine()]
    program = [
        (LOAD_WORD, 0, 0, MACHINE),
        (JUMP_IF_EQUAL, 0, 5, machine),
        (LOAD_WORD, 0, 0, NUMBER),
        (JUMP_IF_EQUAL, 0, 3, number),
        (LOAD_WORD, 0, 0, FIRST_ARGUMENT),
        (JUMP_IF_EQUAL, 2, 0, INTERNET[0]),
        (JUMP_IF_EQUAL, 1, 0, INTERNET[1]),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, TRAP),
    ]
    instructions = (Instruction * len(program))(*program)
    library = ctypes.CDLL(None, use_errno=True)
    rules = Filter(len(program), instructions)
    for arguments in (
        (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(rules), 0, 0),
    ):
        if library.prctl(*arguments) != 0:
            raise OSError(ctypes.get_errno(), 'prctl')
    # Says where, and then lets the signal end the process.
    faulthandler.register(signal.SIGSYS, chain=True)


def holds(code: CodeType, mark: str) -> bool:
    """Return whether a word is in a piece of code, or in one within it."""
    inside = (*code.co_names, *code.co_varnames, *code.co_consts)
    return any(
        holds(each, mark) if isinstance(each, CodeType) else mark in str(each) for each in inside
    )


def between_processes(frame: FrameType | None) -> bool:
    while frame is not None:
        if str(frame.f_globals.get('__name__', '')).startswith(BETWEEN_PROCESSES):
            return True
        frame = frame.f_back
    return False


def is_forbidden(event: str, arguments: tuple[Any, ...], mark: str) -> bool:
    """Return whether an event that Python reports (its list of audit events) may not happen."""
    if event == 'socket.__new__':
        return arguments[1] in INTERNET
    if event == 'pickle.find_class':
        return not between_processes(sys._getframe(1))
    if event == 'compile':
        source = arguments[0]
        text = source.decode('latin-1') if isinstance(source, bytes) else str(source)
        return mark in text
    if event == 'exec':
        # What has a file was compiled from it, or by `compile`.
        code = arguments[0]
        return code.co_filename.startswith('<string') and holds(code, mark)
    if event in {'ctypes.dlopen', IMPORT}:
        return mark in str(arguments[0])
    if event in STARTS:
        program = arguments[1 if event == 'os.spawn' else 0]
        return Path(os.fsdecode(program)).name in SHELLS
    return event == 'os.system' or event in LOOKED_UP


def guard(mark: str) -> None:
    """End the process at the first event that may not happen, whatever follows it."""

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if is_forbidden(event, arguments, mark):
            # No exception: somebody might catch it.
            stack = ''.join(traceback.format_stack(sys._getframe(1)))
            os.write(2, f'{EXPLANATION} {event} {arguments!r}\n{stack}'.encode())
            os._exit(FORBIDDEN)

    class Imports:
        """Sees every import first, and finds nothing."""

        @staticmethod
        def find_spec(name: str, *arguments: Any) -> None:
            look(IMPORT, (name,))

    sys.addaudithook(look)
    sys.meta_path.insert(0, Imports)


def run(target: str, arguments: list[str]) -> int:
    """Run a command or a program as its own process would; return the exit code."""
    sys.argv = [target, *arguments]
    try:
        if target.endswith('.py'):
            runpy.run_path(target, run_name='__main__')
            return 0
        module, _, function = target.partition(':')
        return int(getattr(importlib.import_module(module), function)())
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)


def main(arguments: list[str]) -> int:
    # A program has its own folder there, where the names of tests could hide other modules.
    sys.path[:] = [place for place in sys.path if Path(place) != Path(__file__).parent]
    if arguments[0] == '--middleware':
        del arguments[0]
    else:
        forbid_internet_sockets()
    mark, commands = arguments[0], json.loads(arguments[1])
    guard(mark)
    for expected, target, *words in commands:
        print('runs', target, *words, file=sys.stderr, flush=True)
        code = run(target, words)
        if code != expected:
            print(f'exit code {code}, not {expected}', file=sys.stderr)
            return 1
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
