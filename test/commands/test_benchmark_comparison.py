# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `benchmark` where it measures several configurations beside each other."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from hier_seg_ros.commands import benchmark
from hier_seg_ros.commands.benchmark import main
from hier_seg_ros.commands.benchmarking import configurations as configurations_module
from hier_seg_ros.commands.benchmarking.configurations import Configuration
from hier_seg_ros.commands.benchmarking.operations import operations
from hier_seg_ros.commands.benchmarking.report import results
from hier_seg_ros.commands.benchmarking.rounds import Measurement
from hier_seg_ros.commands.benchmarking.variants import flat_model, random_model
from hier_seg_ros.resources import find_model
from hier_seg_ros.segmenter import Segmenter
from hier_seg_ros.segmenter.engines.proof import photographs
from hier_seg_ros.segmenter.model_folder import read_model_folder


def wanted(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> list[Configuration]:
    """Return the configurations that a command line asks for."""
    found: list[Configuration] = []

    def compare(options: object) -> int:
        found.extend(configurations_module.configurations(options))
        return 0

    monkeypatch.setattr('hier_seg_ros.commands.benchmarking.comparison.compare', compare)
    monkeypatch.setattr(configurations_module, 'find_spec', lambda name: object())
    assert main(list(arguments)) == 0
    return found


def names(found: list[Configuration]) -> list[str]:
    return [configuration.name for configuration in found]


def test_every_value_is_combined_with_every_other(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ['--engine', 'torch', 'openvino', '--size', '96x64', '64x48', '--batch', '1', '4']
    found = wanted(monkeypatch, *arguments, '--precision', 'float32')
    assert names(found) == [
        f'segmenter, {engine} float32, {size}{batch}'
        for size in ('96x64', '64x48')
        for engine in ('torch', 'openvino')
        for batch in ('', ', batch 4')
    ] + ['machine']


def test_peers_come_first_at_every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    found = wanted(monkeypatch, '--peers', '--size', '96x64', '64x48', '--flat')
    assert names(found)[:4] == [
        f'{peer}, {size}'
        for peer in ('lraspp_mobilenet_v3_large', 'deeplabv3_mobilenet_v3_large')
        for size in ('96x64', '64x48')
    ]
    assert [configuration.kind for configuration in found[4:]] == [
        *('segmenter', 'flat', 'segmenter', 'flat', 'machine')
    ]


@pytest.mark.parametrize(
    ('arguments', 'kinds'),
    [
        (['--cameras', '1', '3'], ['node', 'node', 'machine']),
        (['--cameras', '1', '--batch', '1'], ['segmenter', 'node', 'machine']),
        (['--classes', '5', '7'], ['tree', 'flat', 'tree', 'flat', 'machine']),
        (['--input-long-side', '64', '96'], ['segmenter', 'segmenter', 'machine']),
        (['--append', '--json', 'a.json'], ['segmenter', 'machine']),
        (['--peers', 'deeplabv3_resnet50'], ['peer', 'segmenter', 'machine']),
        (['--batch', '2', '2'], ['segmenter', 'machine']),
    ],
)
def test_what_is_compared(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], kinds: list[str]
) -> None:
    found = wanted(monkeypatch, *arguments, '--threads', '3', '--no-confidence')
    assert [configuration.kind for configuration in found] == kinds
    assert {(one.threads, one.confidence) for one in found} == {(3, False)}


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['--peers'], '--peers: needs torchvision'),
        (['--cameras', '2'], '--cameras: needs rclpy'),
        (['--batch', *map(str, range(1, 40))], '40 configurations: are more than the 32'),
        (['--append'], '--append: has no file'),
        (['--threads', '-1', '--batch', '1'], 'threads -1: is outside 0-1024'),
        (['--device', 'tpu', '--batch', '1'], "device 'tpu'"),
        (['--image', 'no_image.jpg', '--batch', '1'], 'no_image.jpg: cannot be read'),
        (['--model', 'no_model', '--batch', '1'], 'no_model'),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.setattr(configurations_module, 'find_spec', lambda name: None)
    assert main(arguments) == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith('benchmark: ') and said in error and '\n' not in error


def test_other_files_are_not_added_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / 'a.json'
    for text in ('[]', '{"runs": 3}', '{', '{"milliseconds": {}}'):
        path.write_text(text)
        assert main(['--append', '--json', str(path)]) == 1
        error = capsys.readouterr().err.strip()
        assert str(path) in error and '\n' not in error
        assert path.read_text() == text


@pytest.mark.parametrize(
    'arguments',
    [
        ['--classes', '1'],
        ['--classes', '256'],
        ['--batch', '0'],
        ['--cameras', '-1'],
        ['--peers', 'fcn'],
        ['--size', '96x64', '96'],
        ['--engine', 'torch', 'tensorflow'],
    ],
)
def test_impossible_values_are_a_usage_error(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as error:
        main(arguments)
    assert error.value.code == 2


def measurement(kind: str, seconds: list[float], **settings: object) -> Measurement:
    configuration = replace(Configuration(kind, 'model', 'cpu'), **settings)
    facts = {'engine': 'torch', 'precision': 'float32', 'gflop': 4.0, 'gigabytes': 0.5}
    turns = [{'network': value / 2, 'decision': value / 2, 'frame': value} for value in seconds]
    return Measurement(configuration, facts, turns)


def machine(seconds: float) -> Measurement:
    configuration = Configuration('machine', 'model', 'cpu')
    turn = {'float32': seconds, 'copy': seconds}
    return Measurement(configuration, {'gflop': 2.0, 'gigabytes': 1.0}, [turn] * 3)


def test_ratios_are_those_of_the_same_round() -> None:
    # In the second round something else made the machine ten times slower.
    peer = measurement('peer', [1.0, 10.0, 1.2], peer='lraspp_mobilenet_v3_large')
    ours = measurement('segmenter', [0.5, 5.0, 0.6])
    first, second = results([peer, ours, machine(0.1)])
    assert (first['ratio'], second['ratio']) == (1.0, 0.5)
    assert second['ratio_to'] == first['name']
    assert second['milliseconds']['frame'] == {
        'median': 600.0,
        'p5': pytest.approx(510.0),
        'p95': pytest.approx(4560.0),
    }
    assert second['frames_per_second'] == pytest.approx(1 / 0.6, abs=0.01)


def test_the_reference_is_the_cheapest_peer_at_the_same_size() -> None:
    large, small = {'width': 96, 'height': 64}, {'width': 64, 'height': 48}
    rows = results(
        [
            measurement('peer', [4.0], peer='deeplabv3_resnet50', **small),
            measurement('peer', [2.0], peer='lraspp_mobilenet_v3_large', **small),
            measurement('segmenter', [1.0], **small),
            measurement('segmenter', [8.0], **large),
            machine(1.0),
        ]
    )
    assert [row['ratio'] for row in rows] == [2.0, 1.0, 0.5, 2.0]
    assert rows[3]['ratio_to'].startswith('deeplabv3')


def test_shares_are_of_what_the_machine_reaches() -> None:
    # 4 GFLOP and 0.5 GB in 0.5 s; the machine does 20 GFLOP and 10 GB in a second.
    one, _ = results([measurement('segmenter', [1.0] * 3), machine(0.1)] * 1)[0], None
    assert (one['matrix_share'], one['copy_share']) == (0.4, 0.1)
    (batch,) = results([measurement('segmenter', [1.0] * 3, batch=2), machine(0.1)])
    assert batch['matrix_share'] == 0.8
    halved = measurement('segmenter', [1.0] * 3)
    halved.facts['precision'] = 'bfloat16'
    (unknown,) = results([halved, machine(0.1)])
    assert 'matrix_share' not in unknown


def test_operations_are_counted() -> None:
    layer = nn.Conv2d(3, 8, 3, padding=1, bias=False)
    counted = operations(layer, lambda network, inputs: network(inputs), 1000, 100)
    assert counted['gflop'] == pytest.approx(2 * 3 * 8 * 9 * 1e5 / 1e9, abs=1e-3)
    assert counted['gigabytes'] == pytest.approx(4 * ((3 + 8) * 1e5 + 216) / 1e9, abs=1e-3)
    # A view moves nothing; an addition reads and writes the half that is left.
    counted = operations(layer, lambda _, inputs: inputs[..., :50].transpose(1, 2) + 1, 1000, 100)
    assert counted == {'gflop': 0.0, 'gigabytes': pytest.approx(2 * 3 * 5e4 * 4 / 1e9, abs=1e-3)}
    assert layer.weight.device.type == 'cpu'


def test_a_flat_classifier_decides_among_the_same_classes_in_the_same_regions() -> None:
    image = photographs(1)[0][::2, ::2]
    tree = Segmenter.load(find_model('street_lite0'), 'cpu', engine='torch')
    flat = Segmenter(*flat_model(read_model_folder(find_model('street_lite0'))), device='cpu')
    parents = {node.parent for node in tree.hierarchy.nodes if node.name in tree.supervised}
    assert flat.supervised == tree.supervised - parents
    assert flat.hierarchy.depth == 1
    (ours,), (theirs,) = (segmenter.segment([image]) for segmenter in (tree, flat))
    ancestor = np.full(256, 255, np.uint8)
    for node in tree.hierarchy.nodes:
        ancestor[node.id] = tree.hierarchy.path(node)[0].id
    regions = ours.level(1)
    # Those whose node is no leaf are decided for some leaf below it.
    assert (ancestor[theirs.level(1)] == regions).mean() > 0.999
    assert len(np.unique(regions)) > 3


@pytest.mark.parametrize('classes', [2, 10, 255])
def test_random_models_have_so_many_classes(untrained_model: Path, classes: int) -> None:
    model = read_model_folder(untrained_model)
    for flat in (False, True):
        description, hierarchy, network = random_model(model, classes, flat)
        assert len(hierarchy.nodes) == len(description.supervised) == classes
        assert (hierarchy.depth == 1) == (flat or classes == 2)
        segmenter = Segmenter(description, hierarchy, network, device='cpu')
        (result,) = segmenter.segment([photographs(1)[0][:64, :96]])
        assert result.level(1).shape == (64, 96)


def test_configurations_take_turns_and_runs_are_added(
    tmp_path: Path, untrained_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / 'results' / 'a.json'
    arguments = ['--model', str(untrained_model), '--device', 'cpu', '--engine', 'torch']
    arguments += ['--size', '96x64', '--iterations', '2', '--json', str(path), '--append']
    for more in (['--batch', '1', '3', '--precision', 'auto', 'float32'], ['--classes', '5']):
        assert main([*arguments, *more]) == 0
    first, second = json.loads(path.read_text())['runs']
    assert first['rounds'] == 2 and first['cores'] > 0 and first['versions']['torch']
    assert first['machine']['float32'] > 0 and first['machine']['copy'] > 0
    # 'auto' and 'float32' are the same, and measured once.
    assert [(row['kind'], row['batch']) for row in first['results']] == [
        *(('segmenter', 1), ('segmenter', 3))
    ]
    assert [(row['kind'], row['classes']) for row in second['results']] == [
        *(('tree', 5), ('flat', 5))
    ]
    for row in [*first['results'], *second['results']]:
        times = row['milliseconds']
        assert set(times) == {'network', 'decision', 'frame'}
        assert 0 < times['frame']['p5'] <= times['frame']['median'] <= times['frame']['p95']
        assert row['frames_per_second'] == pytest.approx(1e3 / times['frame']['median'], rel=0.01)
        assert (row['engine'], row['precision']) == ('torch', 'float32')
        assert row['peak_memory_mib'] >= row['memory_mib'] > 100
        assert row['gflop'] >= 0 and row['gigabytes'] > 0
    said = capsys.readouterr().out
    for row in [*first['results'], *second['results']]:
        assert row['name'] in said


def test_an_engine_that_is_not_there_is_named(
    untrained_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / 'a.json'
    arguments = ['--model', str(untrained_model), '--batch', '1', '--precision', 'float16']
    assert main([*arguments, '--engine', 'torch', '--device', 'cpu', '--json', str(path)]) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith('benchmark: precision float16: torch needs a GPU')
    assert not path.exists()


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        benchmark.main(['--help'])
    said = capsys.readouterr().out
    for option in ('--batch', '--cameras', '--classes', '--flat', '--peers', '--append'):
        assert option in said
