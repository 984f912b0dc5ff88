# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a path to the storage files of a recording: what they are is told by what is in them."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path, PurePath
from typing import Any

from hier_seg_ros.bags.storage import mcap_records, ros1_file, sqlite_file
from hier_seg_ros.bags.storage.compression import ZSTD_MAGIC, unpack_file
from hier_seg_ros.bags.storage.damage import Damage, reason
from hier_seg_ros.bags.storage.mcap_file import McapFile
from hier_seg_ros.bags.storage.ros1_file import Ros1File
from hier_seg_ros.bags.storage.sqlite_file import SqliteFile
from hier_seg_ros.bags.storage.sqlite_pages import log_of
from hier_seg_ros.bags.storage.storage import Storage, printable
from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.reading import read_yaml

METADATA = 'metadata.yaml'
KINDS: dict[str, tuple[bytes, type[McapFile] | type[SqliteFile] | type[Ros1File]]] = {
    '.mcap': (mcap_records.MAGIC, McapFile),
    '.db3': (sqlite_file.MAGIC, SqliteFile),
    '.bag': (ros1_file.MAGIC, Ros1File),
}
ADVICE = 'give a rosbag2 folder, an .mcap, a .db3 or a ROS 1 .bag file'
# Of a recording with thousands of files, or hundreds of topics with many publishers each.
METADATA_FACTOR = 16


def storage_files(
    path: Path, damage: Damage, warnings: list[str]
) -> tuple[list[Path], Counter[str]]:
    """Return a recording's storage files, in their order, and its messages by topic.

    Parameters
    ----------
    path
        A folder or a file.
    damage
        Takes what is missing.
    warnings
        Takes a line for what the description of the recording, metadata.yaml, has wrong.

    Returns
    -------
    tuple[list[Path], Counter[str]]
        The messages are as metadata.yaml has them; none where there is no such file.

    Raises
    ------
    HierSegError
        There is no recording.

    """
    try:
        if not path.exists():
            raise HierSegError(f'{path}: there is no such bag; {ADVICE}')
        if path.name == METADATA:
            raise HierSegError(
                f'{path}: is no bag but its description; give the folder, {path.absolute().parent}'
            )
        if not path.is_dir():
            return [path], Counter()
        present = sorted(filter(_is_storage, path.iterdir()), key=_natural)
    except OSError as error:
        raise _unreadable(path, error) from error
    if not (path / METADATA).exists():
        if not present:
            raise HierSegError(
                f'{path}: is no bag: the folder has no {METADATA} and no storage file; {ADVICE}'
            )
        return present, Counter()
    try:
        named, counts = _metadata(path / METADATA)
    except HierSegError as error:
        damage.add(METADATA, 0, 0, _without_path(error, path))
        return present, Counter()
    return _compared(path, named, present, damage, warnings), counts


def holds_recording(folder: Path) -> bool:
    """Return whether a folder is itself a recording: it has a description or a storage file."""
    try:
        return (folder / METADATA).exists() or any(map(_is_storage, folder.iterdir()))
    except OSError as error:
        raise _unreadable(folder, error) from error


def _metadata(path: Path) -> tuple[list[str], Counter[str]]:
    """Return the names of the storage files and the messages by topic."""
    information = read_yaml(path, factor=METADATA_FACTOR)
    try:
        information = information['rosbag2_bagfile_information']
        names = [printable(PurePath(name).name) for name in information['relative_file_paths']]
        counts: Counter[str] = Counter()
        for topic in information['topics_with_message_count']:
            counts[printable(topic['topic_metadata']['name'])] += int(topic['message_count'])
    except (LookupError, TypeError, ValueError) as error:
        raise HierSegError(f'{path}: is not complete; restore it') from error
    return names, counts


def _compared(
    path: Path, named: list[str], present: list[Path], damage: Damage, warnings: list[str]
) -> list[Path]:
    """Return the files to read: those that metadata.yaml names, or those in their place."""
    files = [path / name for name in named if (path / name).is_file()]
    missing = [name for name in named if not (path / name).is_file()]
    others = [file for file in present if file not in files]
    if not missing:
        if others:
            warnings.append(
                f'{path}: {METADATA} does not name {_listed(others)}, which is left out; give it '
                f'by itself to read it'
            )
        return files
    if len(others) < len(missing):
        damage.add(METADATA, 0, 0, f'{", ".join(missing[len(others) :])} is missing')
    if others:
        warnings.append(
            f'{path}: {METADATA} names {", ".join(missing)}; {_listed(others)} is read in its place'
        )
    return present


def open_storage(path: Path, damage: Damage, stack: ExitStack) -> Storage:
    """Open one storage file of any kind.

    Parameters
    ----------
    path
        The file.
    damage
        Takes what cannot be read.
    stack
        Closes the file, and removes what it was unpacked to, in the end.

    Raises
    ------
    HierSegError
        It is no storage file, or cannot be read.

    """
    if not path.is_file():
        raise HierSegError(f'{path}: is no bag and no regular file at all; {ADVICE}')
    try:
        head = _head(path)
        if head.startswith(ZSTD_MAGIC):
            path = _unpacked(path, damage, stack)
            head = _head(path)
        if not head and log_of(path) is None:
            damage.add(path.name, 'empty', 0, 'the file is empty')
        storage = _kind(path, head)(path, damage)
    except OSError as error:
        raise _unreadable(path, error) from error
    stack.callback(storage.close)
    return storage


def _kind(path: Path, head: bytes) -> type[McapFile] | type[SqliteFile] | type[Ros1File]:
    for magic, kind in KINDS.values():
        if head.startswith(magic):
            return kind
    # One that is named so may be damaged at its very beginning; a text is something else.
    is_text = head != b'' and _is_text(head)
    if path.suffix not in KINDS or is_text:
        what = 'a text file' if is_text else 'nothing that is known'
        raise HierSegError(f'{path}: is no bag but {what}; {ADVICE}')
    return KINDS[path.suffix][1]


def _head(path: Path) -> bytes:
    with path.open('rb') as file:
        return file.read(64)


def _is_text(data: bytes) -> bool:
    text = data.decode('ascii', errors='replace')
    return all(character.isprintable() or character.isspace() for character in text)


def _unpacked(path: Path, damage: Damage, stack: ExitStack) -> Path:
    try:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix='bag-'))
        target = Path(folder) / path.name.removesuffix('.zstd').removesuffix('.zst')
        unpack_file(path, target, damage)
    except OSError as error:
        raise HierSegError(
            f'{path}: cannot be unpacked ({reason(error)}); make room in {tempfile.gettempdir()}, '
            f'or set TMPDIR to another folder'
        ) from error
    return target


def _unreadable(path: Path, error: OSError) -> HierSegError:
    return HierSegError(f'{path}: cannot be read ({reason(error)}); check path and permissions')


def _is_storage(path: Path) -> bool:
    return Path(path.name.removesuffix('.zstd')).suffix in KINDS and path.is_file()


def _natural(path: Path) -> list[Any]:
    """Return what sorts run_10 behind run_9: texts and numbers in turn."""
    return [int(part) if part.isdigit() else part for part in re.split(r'(\d+)', path.name)]


def _listed(paths: list[Path]) -> str:
    return ', '.join(path.name for path in paths)


def _without_path(error: HierSegError, path: Path) -> str:
    return str(error).removeprefix(f'{path}/').rpartition(';')[0]
