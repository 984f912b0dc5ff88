# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Model folders: what is written is read again, and what is damaged is refused by name."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from model_folders import (
    SMALL_TREE,
    as_format_1,
    change_header,
    change_tree,
    change_weights,
    change_yaml,
    first_weight,
    split_weights,
    swap_nodes,
    write_untrained_model,
)
from safetensors.torch import load_file

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter import Segmenter
from hier_seg_ros.segmenter.model_folder import (
    InputOptions,
    ModelDescription,
    read_model_folder,
    write_model_folder,
)
from hier_seg_ros.segmenter.network import ARCHITECTURES, NetworkOptions, build_network
from hier_seg_ros.segmenter.network.normalization import NORMALIZATIONS

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(untrained_model: Path, tmp_path: Path) -> Path:
    """Return a copy of a good model folder, to be damaged."""
    return Path(shutil.copytree(untrained_model, tmp_path / 'model'))


def refused(folder: Path) -> str:
    with pytest.raises(HierSegError) as caught:
        Segmenter.load(folder, 'cpu')
    message = str(caught.value)
    assert '\n' not in message
    return message


def test_what_is_written_is_read_again(untrained_model: Path, tmp_path: Path) -> None:
    description, hierarchy, network = read_model_folder(untrained_model)
    write_model_folder(tmp_path / 'copy', description, hierarchy, network, '# card\n')
    again, tree, copied = read_model_folder(tmp_path / 'copy')
    assert again == description
    assert tree == hierarchy
    state = copied.state_dict()
    assert all(torch.equal(state[name], value) for name, value in network.state_dict().items())
    assert sorted(path.name for path in (tmp_path / 'copy').iterdir()) == [
        'README.md', 'hierarchy.yaml', 'model.yaml', 'weights.safetensors',
    ]  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ['copy'], 'nothing half-written is left'


@pytest.mark.parametrize('normalization', NORMALIZATIONS)
@pytest.mark.parametrize('architecture', ARCHITECTURES)
def test_every_kind_of_network_is_read_again(
    architecture: str,
    normalization: str,
    street_tree: Hierarchy,
    tiny_network_options: NetworkOptions,
    tmp_path: Path,
) -> None:
    torch.manual_seed(0)
    options = replace(
        tiny_network_options,
        fused_strides=(8, 16) if architecture == 'pyramid' else (16,),
        architecture=architecture,
        normalization=normalization,
        dropout=0.1,
    )
    network = build_network(options, street_tree)
    with torch.no_grad():
        for _ in range(3):
            network.train()(torch.randn(4, 3, 64, 64))
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    names = tuple(node.name for node in street_tree.nodes)
    image = InputOptions(128, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    description = ModelDescription('kind', options, image, names)
    write_model_folder(tmp_path / 'model', description, street_tree, network, '')
    again, _, copied = read_model_folder(tmp_path / 'model')
    assert again == description
    images = torch.randn(2, 3, 64, 96)
    network.eval()
    with torch.inference_mode():
        for name, values in network(images).items():
            assert torch.equal(copied(images)[name], values), name

    picture = np.random.default_rng(0).integers(0, 256, (80, 100, 3), dtype=np.uint8)
    direct = Segmenter(description, street_tree, network, device='cpu')
    (expected,) = direct.segment([picture])
    (result,) = Segmenter.load(tmp_path / 'model', 'cpu', engine='torch').segment([picture])
    assert len(np.unique(expected.finest)) > 1
    assert np.array_equal(result.finest, expected.finest)


def test_a_model_folder_from_before_there_were_other_networks_is_read(folder: Path) -> None:
    expected, _, _ = read_model_folder(folder)

    def as_before(content: dict[str, Any]) -> None:
        for key in ('architecture', 'normalization', 'dropout'):
            del content['network'][key]

    change_yaml(folder, as_before)
    description, _, network = read_model_folder(folder)
    assert description == expected
    options = description.network
    assert (options.architecture, options.normalization) == ('pyramid', 'batch')
    assert options.dropout == 0
    assert network.options == options


def test_only_a_model_folder_is_replaced(untrained_model: Path, tmp_path: Path) -> None:
    description, hierarchy, network = read_model_folder(untrained_model)
    (tmp_path / 'precious').mkdir()
    (tmp_path / 'precious' / 'thesis.tex').touch()
    with pytest.raises(HierSegError, match='exists and is no model folder'):
        write_model_folder(tmp_path / 'precious', description, hierarchy, network, '')
    write_model_folder(tmp_path / 'm', description, hierarchy, network, 'old')
    write_model_folder(tmp_path / 'm', description, hierarchy, network, 'new')
    assert (tmp_path / 'm' / 'README.md').read_text(encoding='utf-8') == 'new'


def test_a_place_that_cannot_be_written_is_named(untrained_model: Path, tmp_path: Path) -> None:
    description, hierarchy, network = read_model_folder(untrained_model)
    file = tmp_path / 'file'
    file.write_text('no folder', encoding='utf-8')
    with pytest.raises(HierSegError, match=r'file/model: cannot be written \('):
        write_model_folder(file / 'model', description, hierarchy, network, '')
    for name in ('n' * 300, 'a\0b'):
        with pytest.raises(HierSegError, match=r'cannot be written \('):
            write_model_folder(tmp_path / name, description, hierarchy, network, '')


def test_a_missing_folder_or_file_is_named(folder: Path) -> None:
    assert 'does not exist' in refused(folder / 'absent')
    for name in ('model.yaml', 'hierarchy.yaml', 'weights.safetensors'):
        hidden = folder / f'{name}.hidden'
        (folder / name).rename(hidden)
        assert f'{folder / name}: is missing' in refused(folder)
        hidden.rename(folder / name)


def test_a_wrong_sha256_is_told_with_both(folder: Path) -> None:
    path = folder / 'weights.safetensors'
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    message = refused(folder)
    assert hashlib.sha256(data).hexdigest() in message
    assert 'model.yaml says' in message


def test_weights_that_are_no_safetensors_are_refused(folder: Path) -> None:
    torch.save({'w': torch.zeros(1)}, folder / 'weights.safetensors')
    digest = hashlib.sha256((folder / 'weights.safetensors').read_bytes()).hexdigest()
    change_yaml(folder, lambda content: content.update(weights_sha256=digest))
    assert 'is no safetensors file' in refused(folder)


def _some(tensors: dict[str, torch.Tensor]) -> str:
    return next(name for name in tensors if name.endswith('weight'))


def test_tensors_are_checked_by_name_shape_and_value(folder: Path) -> None:
    original = folder.with_name('original')
    shutil.copytree(folder, original)

    def missing(tensors: dict[str, torch.Tensor]) -> None:
        del tensors[_some(tensors)]

    def unknown(tensors: dict[str, torch.Tensor]) -> None:
        tensors['surprise'] = torch.zeros(1)

    def shape(tensors: dict[str, torch.Tensor]) -> None:
        tensors[_some(tensors)] = torch.zeros(1, 2, 3)

    def not_a_number(tensors: dict[str, torch.Tensor]) -> None:
        tensors[_some(tensors)].view(-1)[0] = float('nan')

    def infinite(tensors: dict[str, torch.Tensor]) -> None:
        tensors[_some(tensors)].view(-1)[0] = float('-inf')

    for change, words in (
        (missing, 'is missing'),
        (unknown, "'surprise' is unknown"),
        (shape, 'has shape [1, 2, 3], not'),
        (not_a_number, 'holds NaN or infinity'),
        (infinite, 'holds NaN or infinity'),
    ):
        shutil.rmtree(folder)
        shutil.copytree(original, folder)
        change_weights(folder, change)
        message = refused(folder)
        assert words in message, message
        assert 'weights.safetensors: the tensor' in message


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (lambda c: c.update(format=3), 'format is 3; this version reads formats 1 and 2'),
        (lambda c: c.pop('weights_sha256'), "has no 'weights_sha256'"),
        (lambda c: c.pop('supervised'), "has no 'supervised'"),
        (lambda c: c['network'].update(depth=3), 'network or input cannot be used'),
        (lambda c: c['network'].update(backbone='resnet5'), "model.yaml: backbone 'resnet5'"),
        (lambda c: c['network'].update(architecture='unet'), "model.yaml: architecture 'unet'"),
        (lambda c: c['network'].update(normalization='no'), "model.yaml: normalization 'no'"),
        (lambda c: c['network'].update(dropout=1.5), 'model.yaml: dropout 1.5'),
        (lambda c: c['network'].update(dropout='much'), 'network or input cannot be used'),
        (
            lambda c: c['network'].update(shared_channels='many'),
            "model.yaml: shared_channels 'many'",
        ),
        (lambda c: c['network'].update(branch_channels=-1), 'model.yaml: branch_channels -1'),
        (lambda c: c['network'].update(detail_channels=0.5), 'model.yaml: detail_channels 0.5'),
        (lambda c: c['input'].update(mean=[0.5]), 'mean has 1 values, not 3'),
        (lambda c: c['input'].update(long_side=-5), 'long_side is -5'),
        (lambda c: c['input'].update(minimum_long_side=5000), 'number from 0 to long_side'),
        (lambda c: c['input'].update(minimum_long_side='64'), "minimum_long_side is '64'"),
        (lambda c: c['input'].update(standard_deviation=[1, 0, 1]), 'is not positive'),
        (lambda c: c['supervised'].append('unicorn'), "class 'unicorn' is not in"),
        (lambda c: c['classifiers'].update(root=7), 'are not those of the weights'),
    ],
)
def test_model_yaml_is_checked(
    change: Callable[[dict[str, Any]], None], words: str, folder: Path
) -> None:
    change_yaml(folder, change)
    message = refused(folder)
    assert words in message
    assert str(folder) in message


def test_model_yaml_that_is_none_is_refused(folder: Path) -> None:
    for text in ('[', '- 1', '!!python/name:os.system'):
        (folder / 'model.yaml').write_text(text, encoding='utf-8')
        assert f'{folder / "model.yaml"}: ' in refused(folder)


def test_a_tree_that_does_not_fit_the_weights_is_refused(folder: Path) -> None:
    other = Hierarchy(
        {'format': 1, 'name': 'other', 'nodes': [{'id': 0, 'name': 'a', 'color': [0, 0, 0]}]}
    )
    other.save(folder / 'hierarchy.yaml')
    assert 'restore the tree that the model was trained with' in refused(folder)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Return a model folder whose tree has two classifiers of one size."""
    return write_untrained_model(tmp_path / 'small', Hierarchy(SMALL_TREE))


def test_the_folder_says_which_classes_the_weights_are_for(small: Path) -> None:
    names = {'root': ['road', 'sky', 'thing'], 'road': ['lane', 'curb'], 'thing': ['sign', 'pole']}
    content = yaml.safe_load((small / 'model.yaml').read_text(encoding='utf-8'))
    assert content['format'] == 2
    assert content['classifiers'] == names
    assert list(content['classifiers']) == list(names)
    header, _ = split_weights(small)
    stored = json.loads(header['__metadata__']['classifiers'])
    assert stored == names
    assert list(stored) == list(names)


RESTORE = 'restore the tree that the model was trained with'
ROOT_SWAPPED = (
    "hierarchy.yaml: its classifiers are not those of the weights: class 1 of classifier 'root' is "
    f"'sky' in the tree and 'road' in the weights; {RESTORE}"
)


@pytest.mark.parametrize(
    ('swapped', 'words'),
    [
        (('road', 'sky'), ROOT_SWAPPED),
        (('lane', 'curb'), "class 1 of classifier 'road' is 'curb' in the tree and 'lane' in the"),
        (('sign', 'pole'), "class 1 of classifier 'thing' is 'pole' in the tree and 'sign' in the"),
        # Each classifier keeps its classes and their order, but the branches change places.
        (('lane', 'sign'), "classifier 2 is 'thing' in the tree and 'road' in the weights"),
    ],
)
def test_classes_that_changed_places_are_named(
    swapped: tuple[str, str], words: str, small: Path
) -> None:
    if swapped == ('lane', 'sign'):
        swap_nodes(small, 'curb', 'pole')
    swap_nodes(small, *swapped)
    assert words in refused(small)


def test_classes_that_changed_places_in_the_tree_and_model_yaml_are_not_those_of_the_weights(
    small: Path,
) -> None:
    swap_nodes(small, 'road', 'sky')
    names = Hierarchy.load(small / 'hierarchy.yaml').classifier_names()
    change_yaml(small, lambda content: content.update(classifiers=names))
    assert ROOT_SWAPPED in refused(small)


def test_a_class_by_another_name_is_another_class(small: Path) -> None:
    change_tree(small, lambda content: content['nodes'][1].update(name='heaven'))
    assert "class 2 of classifier 'root' is 'heaven' in the tree and 'sky'" in refused(small)


def test_more_and_fewer_classes_are_named(small: Path) -> None:
    more = {'id': 9, 'name': 'wall', 'color': [0, 0, 0]}
    change_tree(small, lambda content: content['nodes'].append(more))
    assert "class 4 of classifier 'root' is 'wall' in the tree and none in" in refused(small)
    change_tree(small, lambda content: content['nodes'].pop())
    change_tree(small, lambda content: content['nodes'].pop())
    assert "class 2 of classifier 'thing' is none in the tree and 'pole' in" in refused(small)


def test_the_default_models_sky_cannot_become_a_road(tmp_path: Path) -> None:
    folder = shutil.copytree(REPOSITORY / 'models' / 'street_lite0', tmp_path / 'model')
    content = yaml.safe_load((folder / 'model.yaml').read_text(encoding='utf-8'))
    assert content['format'] == 2
    swap_nodes(folder, 'nature--sky', 'construction--driveable')
    assert (
        "class 8 of classifier 'root' is 'nature--sky' in the tree and 'construction--driveable' "
        'in the weights'
    ) in refused(folder)


def test_a_folder_of_format_1_is_read_as_it_is(small: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (80, 100, 3), dtype=np.uint8)
    (expected,) = Segmenter.load(small, 'cpu').segment([picture])
    as_format_1(small)
    (result,) = Segmenter.load(small, 'cpu').segment([picture])
    assert np.array_equal(result.finest, expected.finest)
    # It does not say which classes they are: what changed places cannot be noticed.
    swap_nodes(small, 'road', 'sky')
    Segmenter.load(small, 'cpu')
    # Their numbers it does say.
    swap_nodes(small, 'road', 'sky')
    change_yaml(small, lambda content: content['classifiers'].update(root=3))
    assert 'are not those of the weights' in refused(small)


def test_a_folder_of_format_1_whose_weights_name_their_classes_is_checked_by_them(
    small: Path,
) -> None:
    sizes = {'root': 4, 'road': 3, 'thing': 3}
    change_yaml(small, lambda content: content.update(format=1, classifiers=sizes))
    Segmenter.load(small, 'cpu')
    swap_nodes(small, 'road', 'sky')
    assert ROOT_SWAPPED in refused(small)


def test_weights_of_fewer_bits_are_read(small: Path) -> None:
    for dtype in (torch.float16, torch.bfloat16):

        def halve(tensors: dict[str, torch.Tensor], dtype: torch.dtype = dtype) -> None:
            for name, tensor in tensors.items():
                tensors[name] = tensor.to(dtype)

        change_weights(small, halve)
        _, _, network = read_model_folder(small)
        stored = load_file(small / 'weights.safetensors')
        state = network.state_dict()
        assert state[first_weight(stored)].dtype == torch.float32
        assert all(torch.equal(state[name], tensor.float()) for name, tensor in stored.items())


def test_a_file_may_be_a_link(small: Path, tmp_path: Path) -> None:
    for name in ('weights.safetensors', 'hierarchy.yaml', 'model.yaml'):
        (small / name).rename(tmp_path / name)
        (small / name).symlink_to(tmp_path / name)
    Segmenter.load(small, 'cpu')


@pytest.mark.skipif(os.geteuid() == 0, reason='the superuser may read every file')
@pytest.mark.parametrize('name', ['weights.safetensors', 'hierarchy.yaml', 'model.yaml'])
def test_a_file_that_may_not_be_read_is_named(name: str, small: Path) -> None:
    (small / name).chmod(0)
    assert f'{name}: cannot be read (Permission denied)' in refused(small)


def test_an_unusual_order_of_the_tensors_is_none_of_the_readers_business(small: Path) -> None:
    def reverse(header: dict[str, Any]) -> None:
        for name in sorted(header, reverse=True):
            header[name] = header.pop(name)

    change_header(small, reverse)
    Segmenter.load(small, 'cpu')


def test_what_is_the_users_own_stays(untrained_model: Path, tmp_path: Path) -> None:
    description, hierarchy, network = read_model_folder(untrained_model)
    folder = tmp_path / 'm'
    write_model_folder(folder, description, hierarchy, network, 'old')
    (folder / 'notes' / 'deep').mkdir(parents=True)
    (folder / 'notes' / 'deep' / 'a.txt').write_text('mine')
    (folder / 'model.onnx').write_bytes(b'mine')
    (folder / '.git').mkdir()
    (folder / 'link').symlink_to('notes')
    with torch.no_grad():
        next(network.parameters()).add_(1.0)
    changed = replace(description, name='changed')
    write_model_folder(folder, changed, hierarchy, network, 'new')
    again, _, copied = read_model_folder(folder)
    assert again == changed
    assert torch.equal(next(copied.parameters()), next(network.parameters()))
    assert (folder / 'README.md').read_text() == 'new'
    assert (folder / 'notes' / 'deep' / 'a.txt').read_text() == 'mine'
    assert (folder / 'model.onnx').read_bytes() == b'mine'
    assert (folder / '.git').is_dir()
    assert (folder / 'link').readlink() == Path('notes')
    assert [path.name for path in tmp_path.iterdir()] == ['m']


@pytest.mark.parametrize('error', [OSError(28, 'No space left on device'), KeyboardInterrupt()])
def test_a_model_that_cannot_be_written_leaves_the_one_before(
    error: BaseException,
    untrained_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    description, hierarchy, network = read_model_folder(untrained_model)
    folder = tmp_path / 'm'
    write_model_folder(folder, description, hierarchy, network, 'old')
    (folder / 'mine').touch()

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(os, 'fsync', fail)
    with pytest.raises(HierSegError if isinstance(error, OSError) else type(error)):
        write_model_folder(folder, description, hierarchy, network, 'new')
    monkeypatch.undo()
    read_model_folder(folder)
    assert (folder / 'README.md').read_text() == 'old'
    assert (folder / 'mine').exists()
    assert [path.name for path in tmp_path.iterdir()] == ['m']


def test_a_model_that_everybody_may_read(untrained_model: Path, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_model_folder(tmp_path / 'm', *read_model_folder(untrained_model), '')
    finally:
        os.umask(before)
    assert (tmp_path / 'm').stat().st_mode & 0o777 == 0o755
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in (tmp_path / 'm').iterdir())
