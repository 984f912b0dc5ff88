# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Graphs of networks, kept from one start to the next.

A file of the cache is a graph after its SHA-256. Its name is the SHA-256 of all that determines the
graph, the weights first of all, so that no other model's is ever taken. Whatever is wrong with the
cache costs a line in the log and the time of a conversion.
"""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

import timm
import torch

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.writing import write_bytes
from hier_seg_ros.segmenter.engines.conversion import CONVERSION, network_graph
from hier_seg_ros.segmenter.network import HierarchicalNetwork

_ADVICE = 'the network is converted anew at every start; set HIER_SEG_CACHE to another folder'
# ONNX files cannot be larger.
_MOST_BYTES = 2 << 30
_DIGEST_BYTES = hashlib.sha256().digest_size
_log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Return the folder that ``HIER_SEG_CACHE`` names, else one in the user's cache.

    Raises
    ------
    RuntimeError
        The user has no home.

    """
    chosen = os.environ.get('HIER_SEG_CACHE')
    if chosen:
        return Path(chosen).expanduser()
    # What is not absolute is to be ignored (XDG Base Directory Specification).
    base = Path(os.environ.get('XDG_CACHE_HOME', ''))
    return (base if base.is_absolute() else Path.home() / '.cache') / 'hier_seg_ros'


def cached_graph(network: HierarchicalNetwork, root: str) -> bytes:
    """Return what `network_graph` does, from the cache where it is there."""
    try:
        path = cache_folder() / f'{_key(network, root)}.onnx'
        graph, problem = _read(path)
    except RuntimeError as error:
        path, graph, problem = None, None, f'there is no cache ({error}); {_ADVICE}'
    if graph is None:
        graph = network_graph(network, root)
        not_written = '' if path is None else _write(path, graph)
        problem = problem or not_written
    if problem:
        _log.warning('engine: %s', problem)
    return graph


def _key(network: HierarchicalNetwork, root: str) -> str:
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(f'{name} {tuple(tensor.shape)} {tensor.dtype}\n'.encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    made_by = (CONVERSION, torch.__version__, timm.__version__, network.options, root)
    digest.update(repr(made_by).encode())
    return digest.hexdigest()


def _read(path: Path) -> tuple[bytes | None, str]:
    """Return a graph of the cache, None where there is none to be used, and what is wrong."""
    try:
        if not path.exists():
            return None, ''
        # To open a pipe would mean to wait for who writes to it.
        if not path.is_file():
            raise OSError('it is no regular file')
        if path.stat().st_size > _MOST_BYTES:
            raise OSError('it is too large')
        content = path.read_bytes()
        digest, graph = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if hashlib.sha256(graph).digest() != digest:
            raise OSError('it is damaged')
    # What a path that can be no file's raises is no OSError.
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, 'strerror', None) or error
        return None, f'{path}: cannot be read ({reason}); the network is converted anew'
    return graph, ''


def _write(path: Path, graph: bytes) -> str:
    """Keep a graph; return what is wrong, '' for nothing."""
    try:
        write_bytes(path, hashlib.sha256(graph).digest() + graph, _ADVICE)
    except HierSegError as error:
        return str(error)
    return ''
