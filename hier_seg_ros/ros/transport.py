# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The transport profile with which large images arrive between processes of one machine."""

import os
from collections.abc import MutableMapping
from pathlib import Path

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.resources import share_folder

# Fast DDS 2 reads the first, Fast DDS 3 (ROS 2 Kilted and later) only the second.
PROFILE_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
SHARED_MEMORY_FOLDER = Path('/dev/shm')
# The segment of config/fastdds_large_images.xml and some room for Fast DDS's own bookkeeping.
SHARED_MEMORY_BYTES = (64 + 4) * 1024 * 1024


def use_dds_profile(
    choice: str = 'auto',
    environment: MutableMapping[str, str] = os.environ,
    shared_memory_folder: Path = SHARED_MEMORY_FOLDER,
) -> str | None:
    """Choose the Fast DDS profile; to be called before rclpy.init.

    Args:
        choice: 'auto' takes config/fastdds_large_images.xml, or the one for UDP where the shared
            memory is too small, unless the user has set a profile or another middleware is in
            use; 'none' changes nothing; anything else is the path of an XML profile.
        environment: the environment variables, which are changed.
        shared_memory_folder: where the system keeps shared memory.

    Returns:
        A line for the log where something is not as wished, else None.

    Raises:
        HierSegError: the profile does not exist.

    """
    if choice == 'none':
        return None
    if choice != 'auto':
        _set_profile(Path(choice), environment)
        return None
    if any(environment.get(variable) for variable in PROFILE_VARIABLES):
        return None
    if 'fastrtps' not in environment.get('RMW_IMPLEMENTATION', 'rmw_fastrtps_cpp'):
        return None
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


def _set_profile(path: Path, environment: MutableMapping[str, str]) -> None:
    if not path.is_file():
        raise HierSegError(
            f'{path}: no such DDS profile; give the path of an XML file, auto or none'
        )
    for variable in PROFILE_VARIABLES:
        environment[variable] = str(path.resolve())


def _free_bytes(folder: Path) -> int:
    try:
        status = os.statvfs(folder)
    except OSError:
        return 0
    return status.f_bavail * status.f_frsize
