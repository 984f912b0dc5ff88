# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Other normalisations than batch normalisation, for networks that are built with it.

timm and torchvision build batch normalisation in. Its layers are exchanged afterwards, so that one
option holds for the backbone, the shared features and the branches alike.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import torch
from timm.layers import EvoNorm2dS0, convert_sync_batchnorm
from torch import Tensor, nn

from hier_seg_ros.errors import HierSegError, shown

NORMALIZATIONS = ('batch', 'instance', 'group', 'evo')

_ACTIVATIONS = (
    nn.ELU,
    nn.GELU,
    nn.Hardswish,
    nn.LeakyReLU,
    nn.Mish,
    nn.PReLU,
    nn.ReLU,
    nn.ReLU6,
    nn.SiLU,
)


class InstanceNorm2d(nn.InstanceNorm2d):
    """Instance normalisation that accepts a map of a single position too.

    PyTorch's own refuses it, but at stride 32 an image of 32x32 pixels is one. Its value is its
    mean, so the result is the layer's bias.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Return `features` (N, C, h, w), each channel of each image normalised by itself."""
        return torch.instance_norm(
            features, self.weight, self.bias, None, None, True, 0.0, self.eps, True
        )


def replace_batch_norm(network: nn.Module, normalization: str, example: Tensor) -> None:
    """Exchange every ``nn.BatchNorm2d`` of `network`, timm's with an activation included, in place.

    `normalization` is one of

    - 'batch': nothing changes;
    - 'instance': instance normalisation (Ulyanov et al., arXiv 1607.08022);
    - 'group': group normalisation (Wu & He, ECCV 2018) with ``group_count`` groups;
    - 'evo': EvoNorm-S0 (Liu et al., NeurIPS 2020), which is the activation as well: the one that
      followed goes away. Where none followed, it is a learned scale and shift, as in the paper.

    None of them depends on the other images of a batch. Instance and group normalisation keep the
    weight and bias that were there. EvoNorm applies its own after the activation and starts with 1
    and 0; its scale and shift start as what batch normalisation does in evaluation mode.

    `example` is an input of `network` whose coarsest features have more than one position. One
    forward pass with it shows which activation follows which normalisation, and which of them see a
    single value per channel, as in image pooling: those have nothing to normalise by and go away.

    Raises
    ------
    HierSegError
        An unknown normalisation, and if EvoNorm would have to replace an activation that also
        follows something else.

    """
    if normalization not in NORMALIZATIONS:
        raise HierSegError(
            f'normalization {shown(normalization)}: is not known; choose among '
            f'{", ".join(NORMALIZATIONS)}'
        )
    if normalization == 'batch':
        return
    trace = _trace(network, example)
    if normalization == 'evo':
        _remove_activations(network, trace)
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.BatchNorm2d):
            new = _replacement(
                module,
                normalization,
                single_position=name in trace.single_position,
                activation_follows=name in trace.activation_of,
            )
            _replace(network, name, new)


def group_count(channels: int) -> int:
    """Return the groups that `channels` are normalised in: 32, or fewer where there are few.

    That is the largest divisor of `channels` up to 32 that leaves two channels per group: with one,
    it would be instance normalisation.
    """
    return max(
        (count for count in range(1, min(32, channels // 2) + 1) if channels % count == 0),
        default=1,
    )


def synchronise_batch_norm(network: nn.Module) -> nn.Module:
    """Return `network` with batch normalisation over the images of all processes, for training.

    Its parameters and buffers stay the same objects under the same names.

    Raises
    ------
    HierSegError
        PyTorch cannot do it: with several processes on CPUs.

    """
    several = torch.distributed.is_available() and torch.distributed.is_initialized()
    if several and next(network.parameters()).device.type == 'cpu':
        raise HierSegError(
            'synchronised batch normalisation: PyTorch has it for GPUs only; choose the '
            f'normalization {", ".join(NORMALIZATIONS[1:])} or, without synchronisation, batch'
        )
    # Older versions of timm leave the new layers in training mode.
    return convert_sync_batchnorm(network).train(network.training)


@dataclass(frozen=True)
class _Trace:
    """What one forward pass shows, all by the names of the modules.

    ``activation_of``: the activation that directly follows a normalisation; ``uses``: how often
    each activation is used; ``single_position``: normalisations that see one value per channel.
    """

    activation_of: dict[str, str]
    uses: Counter[str]
    single_position: set[str]


@torch.no_grad()
def _trace(network: nn.Module, example: Tensor) -> _Trace:
    trace = _Trace({}, Counter(), set())
    # The tensors are kept: another one could have the id of one that is gone.
    outputs: dict[int, tuple[Tensor, int, str]] = {}
    handles = []

    def watch_normalization(name: str, module: nn.Module) -> None:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if inputs[0].shape[-2:].numel() == 1:
                trace.single_position.add(name)
            outputs[id(output)] = (output, output._version, name)

        handles.append(module.register_forward_hook(hook))

    def watch_activation(name: str, module: nn.Module) -> None:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            trace.uses[name] += 1
            output, version, normalization = outputs.get(id(inputs[0]), (None, 0, ''))
            # Residual blocks add to the normalised tensor in place: then its version differs.
            if output is not None and version == output._version:
                trace.activation_of[normalization] = name

        handles.append(module.register_forward_pre_hook(hook))

    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            watch_normalization(name, module)
        elif isinstance(module, _ACTIVATIONS):
            watch_activation(name, module)
    training = network.training
    network.eval()(example)
    network.train(training)
    for handle in handles:
        handle.remove()
    return trace


def _remove_activations(network: nn.Module, trace: _Trace) -> None:
    replaced = Counter(
        activation
        for normalization, activation in trace.activation_of.items()
        if normalization not in trace.single_position
    )
    for name, count in replaced.items():
        if count != trace.uses[name]:
            raise HierSegError(
                f"normalization 'evo': the activation {name!r} follows more than normalisations, "
                f'so EvoNorm cannot take its place; choose instance, group or batch'
            )
        _replace(network, name, nn.Identity())


@torch.no_grad()
def _replacement(
    norm: nn.BatchNorm2d, normalization: str, *, single_position: bool, activation_follows: bool
) -> nn.Module:
    # timm's normalisation carries what follows it.
    carried = [
        getattr(norm, name)
        for name in ('drop', 'act')
        if not isinstance(getattr(norm, name, nn.Identity()), nn.Identity)
    ]
    new: nn.Module
    if single_position:
        new = nn.Identity()
    elif normalization == 'evo':
        new = _evo_norm(
            norm, activation_follows or any(isinstance(m, _ACTIVATIONS) for m in carried)
        )
        carried = [module for module in carried if not isinstance(module, _ACTIVATIONS)]
    else:
        channels = norm.num_features
        new = (
            InstanceNorm2d(channels, eps=norm.eps, affine=True)
            if normalization == 'instance'
            else nn.GroupNorm(group_count(channels), channels, eps=norm.eps)
        )
        new.weight.copy_(norm.weight)
        new.bias.copy_(norm.bias)
    return nn.Sequential(new, *carried) if carried else new


def _evo_norm(norm: nn.BatchNorm2d, activation: bool) -> EvoNorm2dS0:
    channels = norm.num_features
    new = EvoNorm2dS0(channels, groups=group_count(channels), apply_act=activation, eps=norm.eps)
    if not activation:
        mean, variance = norm.running_mean, norm.running_var
        assert mean is not None and variance is not None
        scale = norm.weight / torch.sqrt(variance + norm.eps)
        new.weight.copy_(scale)
        new.bias.copy_(norm.bias - mean * scale)
    return new


def _replace(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, attribute = name.rpartition('.')
    setattr(network.get_submodule(parent), attribute, module)
