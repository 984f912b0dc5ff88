# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The cache of converted networks, whole, damaged and out of reach."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.engines import graph_cache
from hier_seg_ros.segmenter.engines.graph_cache import cache_folder, cached_graph
from hier_seg_ros.segmenter.network import HierarchicalNetwork, NetworkOptions, build_network

pytest.importorskip('onnx', reason='PyTorch writes graphs with it')


@pytest.fixture
def network(tiny_network_options: NetworkOptions, street_tree: Hierarchy) -> HierarchicalNetwork:
    torch.manual_seed(0)
    return build_network(tiny_network_options, street_tree).eval()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv('HIER_SEG_CACHE', str(tmp_path / 'cache'))
    return tmp_path / 'cache'


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows with every conversion."""
    made: list[str] = []
    convert = graph_cache.network_graph

    def counted(network: HierarchicalNetwork, root: str) -> bytes:
        made.append(root)
        return convert(network, root)

    monkeypatch.setattr(graph_cache, 'network_graph', counted)
    return made


def test_a_graph_is_converted_once(
    network: HierarchicalNetwork,
    folder: Path,
    conversions: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = cached_graph(network, 'root')
    assert cached_graph(network, 'root') == first
    assert conversions == ['root']
    assert len(list(folder.iterdir())) == 1
    assert caplog.records == []


def test_whatever_changes_the_graph_has_a_file_of_its_own(
    network: HierarchicalNetwork,
    folder: Path,
    conversions: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cached_graph(network, 'root')
    with torch.no_grad():
        next(network.parameters()).flatten()[0] += 1e-3
    cached_graph(network, 'root')
    network.keep_logits('root', [3, 1])
    cached_graph(network, 'root')
    monkeypatch.setattr(graph_cache, 'CONVERSION', 1 << 20)
    cached_graph(network, 'root')
    monkeypatch.setattr(torch, '__version__', '99.0')
    cached_graph(network, 'root')
    assert len(conversions) == len(list(folder.iterdir())) == 5


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def cut_to(size: int) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(path.read_bytes()[:size])


def flip(place: int) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[place] ^= 1
        path.write_bytes(content)

    return change


def replace_by(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.unlink()
        make(path)

    return change


def fill_folder(path: Path) -> None:
    path.mkdir()
    (path / 'file').write_text('mine')


DAMAGES: dict[str, Callable[[Path], object]] = {
    'cut': cut,
    'empty': cut_to(0),
    'a digest alone': cut_to(32),
    'half a digest': cut_to(10),
    'a bit of the digest': flip(3),
    'a bit of the graph': flip(-5000),
    'more at its end': lambda path: path.write_bytes(path.read_bytes() + b'\0'),
    'another file': lambda path: path.write_text('import os; os.system("true")'),
    'a folder': replace_by(fill_folder),
    'a pipe': replace_by(os.mkfifo),
    'a link in a circle': replace_by(lambda path: path.symlink_to(path)),
    'a device': replace_by(lambda path: path.symlink_to('/dev/zero')),
    'a large file': lambda path: os.truncate(path, (2 << 30) + 1),
}


@pytest.mark.parametrize('damage', DAMAGES)
def test_a_damaged_cache_costs_a_line_and_a_conversion(
    network: HierarchicalNetwork,
    folder: Path,
    conversions: list[str],
    caplog: pytest.LogCaptureFixture,
    damage: str,
) -> None:
    graph = cached_graph(network, 'root')
    (path,) = folder.iterdir()
    DAMAGES[damage](path)
    assert cached_graph(network, 'root') == graph
    assert len(conversions) == 2
    (record,) = caplog.records
    assert str(path) in record.getMessage() and '\n' not in record.getMessage()
    # What is no regular file stays: it may be somebody's.
    assert path.is_file() or damage in ('a folder', 'a pipe', 'a link in a circle', 'a device')
    if path.is_file():
        caplog.clear()
        assert cached_graph(network, 'root') == graph
        assert len(conversions) == 2 and caplog.records == []


def no_folder(path: Path) -> None:
    path.write_text('a file')


def link_to_nowhere(path: Path) -> None:
    path.symlink_to('/proc/1/nowhere')


@pytest.mark.parametrize('make', [no_folder, link_to_nowhere])
def test_a_cache_that_cannot_be_written_costs_a_line(
    network: HierarchicalNetwork,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
    make: Callable[[Path], None],
) -> None:
    make(folder)
    assert cached_graph(network, 'root')
    (record,) = caplog.records
    assert record.getMessage().startswith('engine: ') and '\n' not in record.getMessage()


def test_a_full_disk_costs_a_line(
    network: HierarchicalNetwork, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv('HIER_SEG_CACHE', '/dev/full/cache')
    assert cached_graph(network, 'root')
    (record,) = caplog.records
    assert '/dev/full' in record.getMessage()


def test_the_folder_is_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv('HIER_SEG_CACHE')
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
    assert cache_folder() == tmp_path / '.cache' / 'hier_seg_ros'
    monkeypatch.setenv('XDG_CACHE_HOME', 'not/absolute')
    assert cache_folder() == tmp_path / '.cache' / 'hier_seg_ros'
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'x'))
    assert cache_folder() == tmp_path / 'x' / 'hier_seg_ros'


def test_who_has_no_home_has_no_cache(
    network: HierarchicalNetwork, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv('HIER_SEG_CACHE', '~nobody_of_that_name/cache')
    assert cached_graph(network, 'root')
    (record,) = caplog.records
    assert 'there is no cache' in record.getMessage()
