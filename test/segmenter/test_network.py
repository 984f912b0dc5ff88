# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The network's shapes, for each published form of it and for any tree."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import segmentation

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.network import (
    DEEPLABV3_RESNET50,
    LIGHT,
    LIGHT_DETAILED,
    NETWORKS,
    PAPER,
    Features,
    HierarchicalNetwork,
    NetworkOptions,
    SubPixelUpsampling,
    build_network,
    classifier_sizes,
    fold_batch_norm,
    parameter_count,
)
from hier_seg_ros.segmenter.network.branch import Correction
from hier_seg_ros.segmenter.network.normalization import NORMALIZATIONS


def randomise(network: nn.Module) -> None:
    """Give every normalisation statistics and weights of its own, as training does."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.2)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2.0)  # type: ignore[arg-type]
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
        if isinstance(module, Correction):
            nn.init.normal_(module.classifier.weight)


@pytest.mark.parametrize(
    ('name', 'stride'),
    [('light', 2), ('light_detailed', 2), ('paper', 4), ('deeplabv3_resnet50', 8)],
)
def test_every_network_gives_logits_for_every_classifier(
    name: str, stride: int, street_tree: Hierarchy
) -> None:
    torch.manual_seed(0)
    network = build_network(NETWORKS[name], street_tree).eval()
    images = torch.randn(2, 3, 64, 96)
    with torch.inference_mode():
        logits = network(images)
    assert network.stride == stride
    assert {name: tuple(values.shape) for name, values in logits.items()} == {
        name: (2, size, 64 // stride, 96 // stride)
        for name, size in classifier_sizes(street_tree).items()
    }
    assert sorted(values.shape[1] - 1 for values in logits.values()) == [2, 3, 10, 43, 53]


@pytest.mark.parametrize('normalization', NORMALIZATIONS)
@pytest.mark.parametrize('name', ['light', 'light_detailed', 'paper', 'deeplabv3_resnet50'])
def test_folding_changes_no_result(name: str, normalization: str, street_tree: Hierarchy) -> None:
    torch.manual_seed(0)
    network = build_network(replace(NETWORKS[name], normalization=normalization), street_tree)
    network.eval()
    randomise(network)
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        logits = network(images)
        fold_batch_norm(network)
        again = network(images)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    for classifier, values in logits.items():
        scale = values.abs().max()
        assert (values - again[classifier]).abs().max() < 1e-4 * scale, classifier


def as_ours(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of torchvision's DeepLabV3 under our names."""
    ours = {
        'classifier.0': 'pyramid.pooling',
        'classifier.1': 'pyramid.fusion.0',
        'classifier.2': 'pyramid.fusion.1',
        'classifier.4': 'branches.0.classifier',
    }
    renamed = {}
    for name, tensor in state.items():
        old = next((old for old in ours if name.startswith(f'{old}.')), '')
        renamed[ours[old] + name.removeprefix(old) if old else name] = tensor
    return renamed


@pytest.mark.parametrize('name', ['deeplabv3_resnet50', 'deeplabv3_resnet101'])
def test_deeplabv3_is_torchvision_s(name: str) -> None:
    torch.manual_seed(0)
    build = getattr(segmentation, name)
    theirs = build(weights=None, weights_backbone=None, num_classes=5, aux_loss=False).eval()
    randomise(theirs)
    network = HierarchicalNetwork(NETWORKS[name], {'root': 5}).eval()
    assert parameter_count(network) == parameter_count(theirs)
    network.load_state_dict(as_ours(theirs.state_dict()))
    images = torch.randn(2, 3, 96, 64)
    with torch.inference_mode():
        logits = network(images)['root']
        enlarged = nn.functional.interpolate(logits, (96, 64), mode='bilinear')
        expected = theirs(images)['out']
    # Random weights must not have made all images the same.
    assert (expected[0] - expected[1]).abs().max() > 1e-3 * expected.abs().max()
    torch.testing.assert_close(enlarged, expected, rtol=1e-4, atol=1e-5 * float(expected.std()))


def test_deeplabv3_starts_as_torchvision_s_does() -> None:
    """What timm does otherwise: residual blocks that start as identities."""
    torch.manual_seed(0)
    theirs = segmentation.deeplabv3_resnet50(
        weights=None, weights_backbone=None, num_classes=5, aux_loss=False
    )
    ours = HierarchicalNetwork(DEEPLABV3_RESNET50, {'root': 5}).state_dict()
    for name, tensor in as_ours(theirs.state_dict()).items():
        if tensor.is_floating_point() and tensor.numel() > 4000:
            assert float(ours[name].std()) == pytest.approx(float(tensor.std()), rel=0.1), name
        elif tensor.ndim == 1 and 'classifier' not in name:
            assert torch.equal(ours[name], tensor), name


def test_dropout_drops_whole_channels_before_each_classifier_in_training_only(
    street_tree: Hierarchy, tiny_network_options: NetworkOptions
) -> None:
    torch.manual_seed(0)
    options = replace(tiny_network_options, shared_channels=64, dropout=0.25)
    network = build_network(options, street_tree)
    inputs: dict[str, Tensor] = {}
    outputs: dict[str, Tensor] = {}
    for name, branch in network.branches.items():

        def before(_: nn.Module, given: tuple[Tensor], name: str = name) -> None:
            inputs[name] = given[0]

        def after(_: nn.Module, given: tuple[Tensor], name: str = name) -> None:
            outputs[name] = given[0]

        branch.dropout.register_forward_pre_hook(before)
        branch.classifier.register_forward_pre_hook(after)
    images = torch.randn(4, 3, 64, 64)
    network.train()(images)
    assert len(outputs) == 5
    dropped = []
    for name, made in outputs.items():
        kept = made.abs().amax((2, 3)) > 0
        silent = inputs[name].abs().amax((2, 3)) == 0
        torch.testing.assert_close(made[kept], inputs[name][kept] / 0.75)
        dropped.append((~kept & ~silent).float().mean())
    # 1280 channels: a standard deviation is 0.012.
    assert float(torch.stack(dropped).mean()) == pytest.approx(0.25, abs=0.06)
    network.eval()(images)
    assert all(torch.equal(outputs[name], inputs[name]) for name in outputs)


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'architecture': 'unet'}, "architecture 'unet': .* pyramid, deeplabv3"),
        ({'architecture': 'deeplabv3'}, r'fused_strides \[8, 16\]: .* one stride'),
        ({'normalization': 'layer'}, "normalization 'layer': .* batch, instance, group, evo"),
        ({'shared_channels': 0}, 'shared_channels 0: must be a whole number of at least 1'),
        ({'branch_channels': True}, 'branch_channels True: must be a whole number of at least 0'),
        ({'detail_channels': -1}, 'detail_channels -1: must be a whole number of at least 0'),
        (
            {'detail_channels': 8, 'learned_upsampling': False},
            'detail_channels 8: .* need .* learned_upsampling',
        ),
        ({'detail_channels': 8, 'fused_strides': (2, 8)}, 'none of stride 1'),
        ({'dropout': 1.0}, 'dropout 1.0: must be at least 0 and less than 1'),
    ],
)
def test_a_wrong_option_is_named(
    change: dict[str, Any],
    words: str,
    street_tree: Hierarchy,
    tiny_network_options: NetworkOptions,
) -> None:
    with pytest.raises(HierSegError, match=words):
        build_network(replace(tiny_network_options, **change), street_tree)


def test_the_paper_network_is_the_paper_s(street_tree: Hierarchy) -> None:
    network = build_network(PAPER, street_tree)
    features = network.features(torch.randn(1, 3, 64, 64))
    assert features.details is None
    assert features.shared.shape == (1, 256, 8, 8), '256 shared channels at output stride 8'
    upsampling = [m for m in network.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert [m.kernel_size for m in upsampling] == [(4, 4)] * 5


@pytest.mark.parametrize('options', [LIGHT, LIGHT_DETAILED])
def test_the_light_networks_fit_a_small_computer(
    options: NetworkOptions, street_tree: Hierarchy
) -> None:
    assert parameter_count(build_network(options, street_tree)) < 6_000_000


def test_details_correct_nothing_before_training(street_tree: Hierarchy) -> None:
    torch.manual_seed(0)
    plain = build_network(LIGHT, street_tree).eval()
    randomise(plain)
    detailed = build_network(LIGHT_DETAILED, street_tree).eval()
    missing, unexpected = detailed.load_state_dict(plain.state_dict(), strict=False)
    assert not unexpected
    assert all(name.startswith('details.') or '.correction.' in name for name in missing)
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        before, after = plain(images), detailed(images)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_details_correct_the_logits_where_they_lie(street_tree: Hierarchy) -> None:
    torch.manual_seed(0)
    network = build_network(LIGHT_DETAILED, street_tree).eval()
    randomise(network)
    with torch.inference_mode():
        shared, details = network.features(torch.randn(1, 3, 64, 96))
        assert shared.shape == (1, 128, 16, 24)
        assert details is not None
        assert details.shape == (1, 32, 32, 48)
        changed = details.clone()
        changed[..., 20, 30] += 1
        for name in network.classifiers:
            before = network.logits(Features(shared, details), name)
            after = network.logits(Features(shared, changed), name)
            rows, columns = torch.nonzero((before - after).abs().amax((0, 1)), as_tuple=True)
            # The 3x3 convolution after the sum spreads a detail by one position.
            assert {(20, 30)} <= set(zip(rows.tolist(), columns.tolist(), strict=True)), name
            assert rows.min() >= 19, name
            assert rows.max() <= 21, name
            assert columns.min() >= 29, name
            assert columns.max() <= 31, name


def test_learned_upsampling_starts_as_the_bilinear_one(street_tree: Hierarchy) -> None:
    branch = build_network(LIGHT, street_tree).branches['0']
    upsampling = branch.upsampling
    coarse = torch.randn(1, upsampling.in_channels, 6, 7)
    bilinear = nn.functional.interpolate(
        coarse, scale_factor=2, mode='bilinear', align_corners=False
    )
    inner = (..., slice(1, -1), slice(1, -1))
    torch.testing.assert_close(upsampling(coarse)[inner], bilinear[inner])


@pytest.mark.parametrize(
    ('channels_in', 'channels_out', 'size'),
    [(1, 1, (1, 1)), (5, 3, (7, 4)), (12, 12, (6, 9)), (3, 8, (1, 5)), (2, 1, (4, 1))],
)
def test_sub_pixels_upsample_as_a_transposed_convolution_does(
    channels_in: int, channels_out: int, size: tuple[int, int]
) -> None:
    torch.manual_seed(3)
    transposed = nn.ConvTranspose2d(channels_in, channels_out, 4, stride=2, padding=1)
    logits = torch.randn(2, channels_in, *size)
    with torch.no_grad():
        torch.testing.assert_close(SubPixelUpsampling(transposed)(logits), transposed(logits))


@pytest.mark.parametrize('depth', [1, 5])
def test_any_tree_gives_a_network(depth: int, tiny_network_options: NetworkOptions) -> None:
    nodes = [
        {'id': i, 'name': f'a.b/{i}', 'color': [i, i, i], 'parent': f'a.b/{i - 1}' if i else None}
        for i in range(depth)
    ]
    tree = Hierarchy({'format': 1, 'name': 'chain', 'nodes': nodes})
    logits = build_network(tiny_network_options, tree).eval()(torch.randn(1, 3, 32, 64))
    assert len(logits) == depth
    assert all(values.shape == (1, 2, 8, 16) for values in logits.values())


def test_only_the_classifiers_that_are_asked_for_run(
    street_tree: Hierarchy, tiny_network_options: NetworkOptions
) -> None:
    network = build_network(tiny_network_options, street_tree).eval()
    assert list(network(torch.randn(1, 3, 32, 32), ['root'])) == ['root']


def test_an_input_of_a_wrong_size_is_told_the_right_one(
    street_tree: Hierarchy, tiny_network_options: NetworkOptions
) -> None:
    network = build_network(tiny_network_options, street_tree)
    with pytest.raises(ValueError, match='40x33; both must be multiples of 32, for example 64x64'):
        network(torch.randn(1, 3, 33, 40))


def test_a_backbone_that_timm_lacks_is_named(
    street_tree: Hierarchy, tiny_network_options: NetworkOptions
) -> None:
    with pytest.raises(HierSegError, match="'resnet5'"):
        build_network(replace(tiny_network_options, backbone='resnet5'), street_tree)
    with pytest.raises(HierSegError, match=r"'test_efficientnet': cannot be built .*'depth': 3"):
        build_network(replace(tiny_network_options, backbone_options={'depth': 3}), street_tree)
    with pytest.raises(HierSegError, match='none of stride 64'):
        build_network(replace(tiny_network_options, fused_strides=(64,)), street_tree)
