# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The transport profile with which large images arrive between processes of one machine."""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import MutableMapping, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.resources import share_folder

# Fast DDS 2 reads the first, Fast DDS 3 (ROS 2 Kilted and later) only the second.
PROFILE_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
# Chooses among Fast DDS's own transports, such as LARGE_DATA; a profile would take its place.
TRANSPORTS_VARIABLE = 'FASTDDS_BUILTIN_TRANSPORTS'
SHARED_MEMORY_FOLDER = Path('/dev/shm')
# The segment of config/fastdds_large_images.xml and some room for Fast DDS's own bookkeeping.
SHARED_MEMORY_BYTES = (64 + 4) * 1024 * 1024
# Fast DDS's segments, of versions 2 and 3. The owner of one keeps a lock on the file of the same
# name with this suffix; `fastdds shm clean` tells by the same lock whether the owner is alive.
SEGMENT_NAME = re.compile(r'(fastrtps|fastdds)_[0-9a-f]{16}')
LOCK_SUFFIX = '_el'
# A younger lock file may be one that its owner has made and not locked yet.
LEFTOVER_SECONDS = 60.0


def use_dds_profile(
    choice: str = 'auto',
    environment: MutableMapping[str, str] = os.environ,
    shared_memory_folder: Path = SHARED_MEMORY_FOLDER,
) -> str | None:
    """Choose the Fast DDS profile; to be called before rclpy.init.

    Parameters
    ----------
    choice
        'auto' takes config/fastdds_large_images.xml, or the one for UDP where the shared
        memory is too small, unless the user has set a profile or a transport or another
        middleware is in use. What killed processes have left in shared memory is removed
        before. 'none' changes nothing; anything else is the path of an XML profile.
    environment
        The environment variables, which are changed.
    shared_memory_folder
        Where the system keeps shared memory.

    Returns
    -------
    str | None
        A line for the log where something is not as wished, else None.

    Raises
    ------
    HierSegError
        The profile does not exist.

    """
    if choice == 'none':
        return None
    if choice != 'auto':
        _set_profile(Path(choice), environment)
        return None
    if any(environment.get(variable) for variable in (*PROFILE_VARIABLES, TRANSPORTS_VARIABLE)):
        return None
    if 'fastrtps' not in environment.get('RMW_IMPLEMENTATION', 'rmw_fastrtps_cpp'):
        return None
    _remove_leftovers(shared_memory_folder)
    free_bytes = _free_bytes(shared_memory_folder)
    if free_bytes >= SHARED_MEMORY_BYTES:
        _set_profile(share_folder() / 'config' / 'fastdds_large_images.xml', environment)
        return None
    _set_profile(share_folder() / 'config' / 'fastdds_large_images_udp.xml', environment)
    return (
        f'{shared_memory_folder} has {free_bytes // 1024**2} MB free of the '
        f'{SHARED_MEMORY_BYTES // 1024**2} MB that fast transport of large images needs: going on '
        f'by UDP, where some may get lost (in a container: docker run --shm-size=512m)'
    )


def profile_variables() -> tuple[str, ...]:
    """Return the variables from which Fast DDS takes its profile here.

    Only one where the release is known: Kilted (rclpy 9) and later warn wherever the old one is
    set.
    """
    try:
        release = int(metadata.version('rclpy').partition('.')[0])
    except metadata.PackageNotFoundError:
        return PROFILE_VARIABLES
    return PROFILE_VARIABLES[1:] if release >= 9 else PROFILE_VARIABLES[:1]


def _set_profile(path: Path, environment: MutableMapping[str, str]) -> None:
    if not path.is_file():
        raise HierSegError(
            f'{path}: no such DDS profile; give the path of an XML file, auto or none'
        )
    for variable in PROFILE_VARIABLES:
        environment.pop(variable, None)
    for variable in profile_variables():
        environment[variable] = str(path.resolve())


def _remove_leftovers(folder: Path) -> None:
    """Remove the segments of processes that have ended without doing so.

    Nothing else ever does: each process that is killed would cost 64 MB until the next reboot.
    """
    for lock_path in folder.glob(f'*{LOCK_SUFFIX}'):
        segment_path = folder / lock_path.name.removesuffix(LOCK_SUFFIX)
        if not SEGMENT_NAME.fullmatch(segment_path.name):
            continue
        try:
            if time.time() - lock_path.stat().st_mtime < LEFTOVER_SECONDS:
                continue
            with lock_path.open('ab') as lock_file:
                fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                segment_path.unlink(missing_ok=True)
                lock_path.unlink()
        # In use, another user's, or already removed by another process that starts.
        except OSError:
            continue


def own_segments() -> list[Path]:
    """Return the shared memory of Fast DDS that is this process's own: it has the lock files open.

    There is none where another middleware or another transport is in use.
    """
    found = []
    for descriptor in Path('/proc/self/fd').iterdir():
        # The one that lists the folder is closed by then.
        with suppress(OSError):
            path = descriptor.readlink()
            segment = path.with_name(path.name.removesuffix(LOCK_SUFFIX))
            if segment != path and SEGMENT_NAME.fullmatch(segment.name):
                found.append(segment)
    return found


def wait_for_removal(segments: Sequence[Path], seconds: float = 1.0) -> None:
    """Wait until Fast DDS has removed shared memory, but no longer than that.

    Threads of its own do that once the last participant is gone; a process that ends meanwhile
    would leave it.
    """
    until = time.monotonic() + seconds
    while any(segment.exists() for segment in segments) and time.monotonic() < until:
        time.sleep(0.005)


def _free_bytes(folder: Path) -> int:
    try:
        status = os.statvfs(folder)
    except OSError:
        return 0
    return status.f_bavail * status.f_frsize
