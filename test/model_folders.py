# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Model folders to be damaged, and every way in which the tests damage them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load_file, save_file

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.model_folder import (
    InputOptions,
    ModelDescription,
    write_model_folder,
)
from hier_seg_ros.segmenter.network import NetworkOptions, build_network

Change = Callable[[Path], None]

TINY = NetworkOptions(
    backbone='test_efficientnet',
    backbone_options={},
    fused_strides=(8, 16),
    shared_channels=8,
    branch_channels=4,
    image_pooling=True,
    learned_upsampling=True,
)

# Two classifiers of the second level have as many classes: their branches can change places.
SMALL_TREE = {
    'format': 1,
    'name': 'small',
    'categories': ['flat', 'object'],
    'nodes': [
        {'id': 0, 'name': 'road', 'color': [1, 2, 3], 'category': 'flat'},
        {'id': 1, 'name': 'sky', 'color': [4, 5, 6]},
        {'id': 2, 'name': 'thing', 'color': [7, 8, 9], 'category': 'object'},
        {'id': 3, 'name': 'lane', 'color': [10, 11, 12], 'parent': 'road'},
        {'id': 4, 'name': 'curb', 'color': [13, 14, 15], 'parent': 'road'},
        {'id': 5, 'name': 'sign', 'color': [16, 17, 18], 'parent': 'thing'},
        {'id': 6, 'name': 'pole', 'color': [19, 20, 21], 'parent': 'thing'},
    ],
}


def write_untrained_model(
    folder: Path, hierarchy: Hierarchy, *, supervised: tuple[str, ...] | None = None
) -> Path:
    """Write a model folder with a tiny network of random weights; it predicts noise."""
    torch.manual_seed(1)
    network = build_network(TINY, hierarchy)
    description = ModelDescription(
        name='untrained',
        network=TINY,
        input=InputOptions(256, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        supervised=supervised or tuple(node.name for node in hierarchy.nodes),
    )
    write_model_folder(folder, description, hierarchy, network, '# An untrained model\n')
    return folder


def change_yaml(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the content of ``model.yaml``."""
    _change_yaml_file(folder / 'model.yaml', change)


def change_tree(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the content of ``hierarchy.yaml``."""
    _change_yaml_file(folder / 'hierarchy.yaml', change)


def _change_yaml_file(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = yaml.safe_load(path.read_text(encoding='utf-8'))
    change(content)
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding='utf-8')


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Change tensors and make the SHA-256 fit again, so that only the tensors are wrong."""
    path = folder / 'weights.safetensors'
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    make_sha256_fit(folder)


def change_header(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the header of the weights, and nothing behind it."""
    header, data = split_weights(folder)
    change(header)
    write_weights(folder, json.dumps(header).encode(), data)


def split_weights(folder: Path) -> tuple[dict[str, Any], bytes]:
    """Return the header of the weights and the bytes behind it."""
    content = (folder / 'weights.safetensors').read_bytes()
    end = 8 + int.from_bytes(content[:8], 'little')
    return json.loads(content[8:end]), content[end:]


def write_weights(folder: Path, header: bytes, data: bytes, length: int | None = None) -> None:
    """Write weights that claim a header of `length` bytes, with an SHA-256 that fits."""
    length = len(header) if length is None else length
    path = folder / 'weights.safetensors'
    path.write_bytes(length.to_bytes(8, 'little') + header + data)
    make_sha256_fit(folder)


def make_sha256_fit(folder: Path) -> None:
    """Let ``model.yaml`` name the SHA-256 that the weights have."""
    digest = hashlib.sha256((folder / 'weights.safetensors').read_bytes()).hexdigest()
    change_yaml(folder, lambda content: content.update(weights_sha256=digest))


def as_format_1(folder: Path) -> None:
    """Turn a folder into what was written before classes were stored with the weights."""
    hierarchy = Hierarchy.load(folder / 'hierarchy.yaml')
    sizes = {name: len(names) + 1 for name, names in hierarchy.classifier_names().items()}
    save_file(load_file(folder / 'weights.safetensors'), folder / 'weights.safetensors')
    make_sha256_fit(folder)
    change_yaml(folder, lambda content: content.update(format=1, classifiers=sizes))


def swap_nodes(folder: Path, first: str, second: str) -> None:
    """Let two lines of the tree change places."""

    def swap(content: dict[str, Any]) -> None:
        nodes = content['nodes']
        one, other = (
            next(index for index, node in enumerate(nodes) if node['name'] == name)
            for name in (first, second)
        )
        nodes[one], nodes[other] = nodes[other], nodes[one]

    change_tree(folder, swap)


def first_weight(tensors: dict[str, Any]) -> str:
    """Return the name of some tensor that is there in every network."""
    return next(name for name in sorted(tensors) if name.endswith('classifier.weight'))


def entry(header: dict[str, Any]) -> dict[str, Any]:
    """Return what the header of the weights says of one tensor."""
    found: dict[str, Any] = header[first_weight(header)]
    return found


# What some key of a file does not expect: each is tried at every place.
VALUES: dict[str, Any] = {
    'null': None,
    'true': True,
    'zero': 0,
    'minus one': -1,
    'fraction': 0.5,
    'NaN': math.nan,
    'infinity': -math.inf,
    'large': 10**39,
    'empty text': '',
    'text': 'text',
    'two lines': 'a\nb',
    'long text': 'x' * 50_000,
    'date': date(2024, 2, 29),
    'list': ['a'],
    'nested list': [[1, [2, [3]]]],
    'mapping': {'a': 1},
    'other keys': {1: 2, None: 3, date(2024, 2, 29): 4},
}

MODEL_KEYS = (
    'format', 'name', 'network', 'input', 'hierarchy', 'classifiers', 'supervised', 'training',
    'scores', 'weights_sha256', 'unknown', 'network.backbone', 'network.backbone_options',
    'network.fused_strides', 'network.shared_channels', 'network.branch_channels',
    'network.image_pooling', 'network.learned_upsampling', 'network.architecture',
    'network.normalization', 'network.dropout', 'network.detail_channels', 'network.unknown',
    'network.backbone_options.output_stride', 'input.long_side', 'input.mean',
    'input.standard_deviation', 'input.minimum_long_side', 'input.unknown', 'classifiers.root',
    'classifiers.unknown', 'supervised.0', 'network.fused_strides.0', 'input.mean.0',
    'input.standard_deviation.2', 'classifiers.root.0',
)  # fmt: skip
TREE_KEYS = (
    'format', 'name', 'categories', 'nodes', 'unknown', 'categories.0', 'nodes.0', 'nodes.3.id',
    'nodes.3.name', 'nodes.3.readable_name', 'nodes.3.color', 'nodes.3.color.1', 'nodes.3.parent',
    'nodes.3.category', 'nodes.3.superclass', 'nodes.3.traffic_sign_id', 'nodes.3.unknown',
)  # fmt: skip
HEADER_KEYS = ('__metadata__', '__metadata__.classifiers', '__metadata__.unknown')


def put(content: Any, key: str, value: Any) -> None:
    """Put a value at a place that is given by keys and indices with dots between them."""
    *path, last = (int(part) if part.isdecimal() else part for part in key.split('.'))
    for part in path:
        content = content[part]
    content[last] = value


# What a network's options can be made to ask for.
NETWORKS: dict[str, dict[str, Any]] = {
    'channels beyond all memory': {'detail_channels': 2_000_000_000},
    'more channels than numbers': {'shared_channels': 10**30},
    'as many channels as may be': {'shared_channels': 65536, 'branch_channels': 65536},
    'many details': {'detail_channels': 65536, 'fused_strides': [4, 8]},
    'another backbone': {'backbone': 'convnext_xxlarge', 'fused_strides': [4, 8, 16, 32]},
    'no backbone': {'backbone': 'no_such_model'},
    'a backbone of the hub': {'backbone': 'hf-hub:timm/resnet50.a1_in1k'},
    'a backbone with a tag of the hub': {'backbone': 'resnet50.hf-hub:timm/resnet50'},
    'a backbone of a folder': {'backbone': 'local-dir:/etc'},
    'a path as backbone': {'backbone': '../../etc/passwd'},
    'an address as backbone': {'backbone': 'https://example.org/resnet50'},
    'strides of floats': {'fused_strides': [1e9]},
    'a stride as float': {'fused_strides': [8.0, 16]},
    'no strides': {'fused_strides': []},
    'strides of truth': {'fused_strides': [True, 16]},
    'a stride of nothing': {'fused_strides': [0, 8]},
    'a stride twice': {'fused_strides': [8, 8]},
    'strides in another order': {'fused_strides': [16, 8]},
    'an odd stride': {'fused_strides': [1, 8]},
    'a large stride': {'fused_strides': [10**30]},
    'no number as dropout': {'dropout': math.nan},
    'everything dropped': {'dropout': 1.0},
    'truth as dropout': {'dropout': True},
}

# Options that make timm load something or run it, that it does not know, or that break it.
BACKBONE_OPTIONS: dict[str, dict[str, Any]] = {
    'pretrained': {'backbone_options': {'pretrained': True}},
    'pretrained_cfg': {
        'backbone_options': {'pretrained_cfg': {'url': 'https://example.org/x.pth'}}
    },
    'pretrained_cfg as text': {'backbone_options': {'pretrained_cfg': 'a1_in1k'}},
    'pretrained_cfg_overlay': {
        'backbone_options': {'pretrained_cfg_overlay': {'file': '/etc/passwd'}}
    },
    'pretrained_strict': {'backbone_options': {'pretrained_strict': False}},
    'pretrained_filter_fn': {'backbone_options': {'pretrained_filter_fn': 'os.system'}},
    'checkpoint_path': {'backbone_options': {'checkpoint_path': '/etc/passwd'}},
    'cache_dir': {'backbone_options': {'cache_dir': '/tmp'}},
    'features_only': {'backbone_options': {'features_only': False}},
    'feature_cfg': {'backbone_options': {'feature_cfg': {'feature_cls': 'hook'}}},
    'feature_cls': {'backbone_options': {'feature_cls': 'fx'}},
    'out_indices': {'backbone_options': {'out_indices': 3}},
    'scriptable': {'backbone_options': {'scriptable': True}},
    'exportable': {'backbone_options': {'exportable': True}},
    'no_jit': {'backbone_options': {'no_jit': True}},
    'in_chans': {'backbone_options': {'in_chans': 4}},
    'num_classes': {'backbone_options': {'num_classes': 5}},
    'kwargs_filter': {'backbone_options': {'kwargs_filter': 'x'}},
    'model_cfg': {'backbone_options': {'model_cfg': 'x'}},
    'device': {'backbone_options': {'device': 'cuda'}},
    'dtype': {'backbone_options': {'dtype': 'float16'}},
    'a callable': {'backbone_options': {'act_layer': 'os.system'}},
    'another callable': {'backbone_options': {'norm_layer': 'builtins.eval'}},
    'a list': {'backbone_options': {'depths': [1, 2, 3]}},
    'a mapping': {'backbone_options': {'block_args': {'a': 1}}},
    'a date': {'backbone_options': {'drop_rate': date(2024, 2, 29)}},
    'NaN': {'backbone_options': {'drop_rate': math.nan}},
    'a large number': {'backbone_options': {'output_stride': 10**12}},
    'a long text': {'backbone_options': {'act_layer': 'x' * 1000}},
    'a stride that there is not': {'backbone_options': {'output_stride': 7}},
    'no stride': {'backbone_options': {'output_stride': 0}},
    'a negative stride': {'backbone_options': {'output_stride': -8}},
    'a stride as text': {'backbone_options': {'output_stride': 'eight'}},
    'an unknown one': {'backbone_options': {'no_such_option': 1}},
    'no identifier': {'backbone_options': {'a-b': 1}},
    'a number as name': {'backbone_options': {5: 1}},
    'itself': {'backbone_options': {'self': 1}},
    'dunder': {'backbone_options': {'__class__': 1}},
    'many': {'backbone_options': {f'option_{i}': i for i in range(1000)}},
}


def more_layers(folder: Path) -> None:
    """Ask for a vision transformer of thousands of layers."""
    change_yaml(
        folder,
        lambda content: content['network'].update(
            backbone='vit_tiny_patch16_224', backbone_options={'depth': 4096}, fused_strides=[16]
        ),
    )


def more_classifiers(folder: Path) -> None:
    """Give a tree of 255 levels with a classifier each, and say that the weights are for it."""
    nodes = [
        {'id': i, 'name': f'n{i}', 'color': [0, 0, 0], 'parent': f'n{i - 1}' if i else None}
        for i in range(255)
    ]
    hierarchy = Hierarchy({'format': 1, 'name': 'deep', 'nodes': nodes})
    hierarchy.save(folder / 'hierarchy.yaml')
    change_yaml(
        folder,
        lambda content: content.update(classifiers=hierarchy.classifier_names(), supervised=[]),
    )
    change_header(folder, lambda header: header.pop('__metadata__'))


def cut_weights(folder: Path, size: int) -> None:
    """Keep the first bytes of the weights only."""
    path = folder / 'weights.safetensors'
    path.write_bytes(path.read_bytes()[:size])
    make_sha256_fit(folder)


def longer_weights(folder: Path) -> None:
    """Append zeros, which take no room on the disk, to the weights: a terabyte in all."""
    with (folder / 'weights.safetensors').open('r+b') as file:
        file.truncate(2**40)


def pickled_weights(folder: Path) -> None:
    """Write the weights as PyTorch's own files are."""
    torch.save({'w': torch.zeros(1)}, folder / 'weights.safetensors')
    make_sha256_fit(folder)


def weights_folder(folder: Path) -> None:
    """Put a folder where the weights should be."""
    (folder / 'weights.safetensors').unlink()
    (folder / 'weights.safetensors').mkdir()


def raw(header: bytes, length: int | None = None) -> Change:
    """Return a change to weights of nothing but such a header."""
    return lambda folder: write_weights(folder, header, b'', length)


def in_header(change: Callable[[dict[str, Any]], object]) -> Change:
    """Return a change of the weights' header."""
    return lambda folder: change_header(folder, change)


def tensor_twice(folder: Path) -> None:
    """Let the header name a tensor a second time, with another shape."""
    header, data = split_weights(folder)
    name = first_weight(header)
    other = json.dumps({name: {**header[name], 'shape': [1]}})
    text = f'{json.dumps(header)[:-1]}, {other[1:]}'
    write_weights(folder, text.encode(), data)


def of_type(dtype: torch.dtype) -> Change:
    """Return a change of one tensor to another type, its values kept as far as they can be."""

    def change(tensors: dict[str, torch.Tensor]) -> None:
        name = first_weight(tensors)
        tensors[name] = tensors[name].to(dtype)

    return lambda folder: change_weights(folder, change)


def with_value(value: float) -> Change:
    """Return a change of one number of one tensor."""

    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors[first_weight(tensors)].view(-1)[0] = value

    return lambda folder: change_weights(folder, change)


# With words of the error.
WEIGHTS: dict[str, tuple[Change, str]] = {
    'empty': (lambda folder: cut_weights(folder, 0), 'its header, of 0 bytes, is cut off'),
    'seven bytes': (lambda folder: cut_weights(folder, 7), 'bytes, is cut off'),
    'no header': (raw(b''), 'its header: is not valid JSON'),
    'a header of 2**64 - 1 bytes': (
        raw(b'{}', 2**64 - 1),
        'its header, of 18446744073709551615 bytes',
    ),
    'a header longer than the file': (raw(b'{}', 100), 'its header, of 100 bytes, is cut off'),
    'a header longer than any': (
        raw(b'{' + b' ' * 2**21 + b'}'),
        'its header, of 2097154 bytes, is cut off or too long',
    ),
    'no JSON': (raw(b'{"a": '), 'is no safetensors file: its header: is not valid JSON'),
    'no text': (raw(b'{"\xff": 1}'), "the tensor 'backbone."),
    'a list': (raw(b'[]'), 'its header is no mapping'),
    'brackets': (raw(b'[' * 100_000), 'it has too many levels'),
    'no tensors': (raw(b'{}'), 'is missing'),
    'half of the file': (
        lambda folder: cut_weights(folder, (folder / 'weights.safetensors').stat().st_size // 2),
        'its tensors take',
    ),
    'a byte less': (
        lambda folder: cut_weights(folder, (folder / 'weights.safetensors').stat().st_size - 1),
        'its tensors take',
    ),
    'a terabyte more': (longer_weights, f'has {2**40} bytes, its tensors take'),
    'a pickle': (pickled_weights, 'is no safetensors file'),
    'a folder': (weights_folder, 'weights.safetensors: is missing'),
    'metadata of another type': (
        in_header(lambda header: header.update(__metadata__={'a': 1})),
        'its __metadata__ is no mapping to texts',
    ),
    'classes that are no JSON': (
        in_header(lambda header: header.update(__metadata__={'classifiers': '{'})),
        'is not valid JSON',
    ),
    'other classes': (
        in_header(
            lambda header: header.update(
                __metadata__={'classifiers': '{"root": ["a"], "road": [], "thing": []}'}
            )
        ),
        "class 1 of classifier 'root' is 'road' in the tree and 'a' in the weights",
    ),
    'a missing tensor': (
        lambda folder: change_weights(folder, lambda tensors: tensors.pop(first_weight(tensors))),
        'is missing; the weights do not fit',
    ),
    'another tensor': (
        lambda folder: change_weights(folder, lambda t: t.update(surprise=torch.zeros(1))),
        "'surprise' is unknown",
    ),
    'another shape': (
        lambda folder: change_weights(
            folder, lambda tensors: tensors.update({first_weight(tensors): torch.zeros(1, 2, 3)})
        ),
        'has shape [1, 2, 3], not',
    ),
    'a tensor twice': (tensor_twice, 'has shape [1], not'),
    'an entry that is a number': (
        in_header(lambda header: header.update({first_weight(header): 5})),
        'has shape None, not',
    ),
    'an entry without a type': (in_header(lambda h: entry(h).pop('dtype')), 'has the type None'),
    'an unknown type': (in_header(lambda h: entry(h).update(dtype='F8')), "has the type 'F8'"),
    'a type that is a list': (
        in_header(lambda h: entry(h).update(dtype=['F32'])),
        'has the type [',
    ),
    'an entry without a shape': (in_header(lambda h: entry(h).pop('shape')), 'has shape None'),
    'a shape that is a text': (in_header(lambda h: entry(h).update(shape='4')), "has shape '4'"),
    'a negative shape': (in_header(lambda h: entry(h).update(shape=[-4])), 'has shape [-4]'),
    'a huge shape': (in_header(lambda h: entry(h).update(shape=[2**62, 2**62])), 'has shape [46'),
    'an entry without a place': (
        in_header(lambda h: entry(h).pop('data_offsets')),
        'is no safetensors file',
    ),
    'a place beyond the file': (
        in_header(lambda h: entry(h).update(data_offsets=[2**40, 2**40 + 4])),
        'is no safetensors file',
    ),
    'a place that is another one': (
        in_header(lambda h: entry(h).update(data_offsets=[0, 4])),
        'is no safetensors file',
    ),
    'a negative place': (
        in_header(lambda h: entry(h).update(data_offsets=[-4, 0])),
        'is no safetensors file',
    ),
    'float64': (of_type(torch.float64), "has the type 'F64', which is none of F32, F16, BF16"),
    'int64': (of_type(torch.int64), "has the type 'I64'"),
    'int8': (of_type(torch.int8), "has the type 'I8'"),
    'bool': (of_type(torch.bool), "has the type 'BOOL'"),
    'NaN': (with_value(math.nan), 'holds NaN or infinity'),
    'infinity': (with_value(-math.inf), 'holds NaN or infinity'),
}


def text(file: str, content: str) -> Change:
    """Return a change of a file to some text."""

    def change(folder: Path) -> None:
        (folder / file).write_text(content, encoding='utf-8')

    return change


TEXTS: dict[str, str] = {
    'brackets': '[' * 200_000,
    'braces': '{a: ' * 60_000,
    'aliases': 'a: &a [1, 1]\nb: [' + '*a, ' * 60_000 + ']',
    'values': '[' + '1, ' * 80_000 + ']',
    'a key twice': 'format: 1\nname: a\nname: b',
    'a tag': 'format: !!python/name:os.system',
    'an impossible date': 'format: 2024-02-30',
    '5,000 digits': f'format: {"1" * 5000}',
    'half a character': 'name: "\\uD800"',
    'zeros': '\0' * 1000,
    'nothing': '',
    'a number': '5',
    'a list': '- 1',
    'an open list': '[',
    'too much': '#' * 300_000,
}


def costly_damages() -> dict[str, Change]:
    """Return the damages that could cost memory or time, or that reach out, by name."""
    changes: dict[str, Change] = {
        'more layers': more_layers,
        'more classifiers': more_classifiers,
        **{f'weights: {name}': change for name, (change, _) in WEIGHTS.items()},
    }
    for name, options in (*NETWORKS.items(), *BACKBONE_OPTIONS.items()):
        changes[f'network: {name}'] = network(options)
    for file in ('model.yaml', 'hierarchy.yaml'):
        for name, content in TEXTS.items():
            changes[f'{file}: {name}'] = text(file, content)
    return changes


def network(options: dict[str, Any]) -> Change:
    """Return a change of options of the network."""
    return lambda folder: change_yaml(folder, lambda content: content['network'].update(options))


def json_can_hold(value: Any) -> bool:
    """Return whether a value can stand in the header of the weights."""
    return not isinstance(value, date) and not (isinstance(value, dict) and 1 in value)
