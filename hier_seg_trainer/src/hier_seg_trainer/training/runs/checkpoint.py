# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: written as a whole or not at all, checked before they are used."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.writing import written_file

CHECKPOINT = 'checkpoint.pt'
BEST = 'best.pt'
FORMAT = 2


def write_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint; the one before is kept until this one is whole and on the disk.

    Raises
    ------
    HierSegError
        It cannot be written, a full disk among the reasons; nothing of it is left behind.

    """
    kept = 'the checkpoint before it is kept' if path.exists() else 'there is none before it'
    with written_file(path, f'{kept}: make room and give the same command again') as partial:
        try:
            with partial.open('wb') as file:
                torch.save({'format': FORMAT, **content}, file)
        except RuntimeError as error:
            # PyTorch turns some failed writes into its own error.
            raise OSError(_reason(error)) from error


def finished_checkpoint(run_folder: Path) -> Path:
    """Return the checkpoint to export: the best one if the run kept it, else the last.

    Raises
    ------
    HierSegError
        There is none.

    """
    for name in (BEST, CHECKPOINT):
        if (run_folder / name).is_file():
            return run_folder / name
    raise HierSegError(
        f'{run_folder / CHECKPOINT}: is missing; train first, or give the right run folder'
    )


def read_checkpoint(path: Path) -> Mapping[str, Any]:
    """Return a checkpoint's content, on the CPU.

    Raises
    ------
    HierSegError
        It cannot be read.

    """
    try:
        # torch.load does not look at the checksums.
        with zipfile.ZipFile(path) as archive:
            # PyTorch compresses nothing; what another program has packed may unpack to anything.
            if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
                raise ValueError('its parts are compressed')
            if sum(part.file_size for part in archive.infolist()) > path.stat().st_size:
                raise ValueError('its parts overlap')
            damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f'its part {damaged} is damaged')
        content = torch.load(path, map_location='cpu', weights_only=True)
    # What torch.load raises for a file that is none depends on what it holds.
    except (
        OSError,
        RuntimeError,
        EOFError,
        ValueError,
        KeyError,
        zipfile.BadZipFile,
        zlib.error,
        UnpicklingError,
    ) as error:
        raise HierSegError(
            f'{path}: is no checkpoint ({_reason(error)}); remove it to start anew'
        ) from error
    if not isinstance(content, dict) or content.get('format') != FORMAT:
        raise HierSegError(f'{path}: is no checkpoint of this version; remove it to start anew')
    return content


def _reason(error: Exception) -> str:
    return ' '.join(str(error).split())[:200]
