# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The rules that hold for all source files, and the names that others rely on."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import hier_seg_ros

ROOT = Path(__file__).resolve().parent.parent
ROS = {
    'ament_index_python', 'bond', 'bondpy', 'builtin_interfaces', 'cv_bridge', 'diagnostic_msgs',
    'foxglove_msgs',
    'launch', 'launch_ros', 'lifecycle_msgs', 'rcl_interfaces', 'rclpy', 'rosgraph_msgs',
    'sensor_msgs', 'std_msgs', 'std_srvs', 'vision_msgs',
}  # fmt: skip
TORCH = {'timm', 'torch', 'torchvision', 'safetensors'}
# The rooms of the two packages, by what each must not import; a room is a module or a package with
# all below it. What a room may import are the rooms that its line names, and third parties.
ROOMS = {
    'hier_seg_ros.errors': (set(), ROS | TORCH),
    'hier_seg_ros.files': ({'errors'}, ROS | TORCH),
    'hier_seg_ros.resources': ({'errors', 'files'}, (ROS - {'ament_index_python'}) | TORCH),
    'hier_seg_ros.hierarchy': ({'errors', 'files'}, ROS | TORCH),
    'hier_seg_ros.label_spaces': (
        {'errors', 'files', 'hierarchy', 'resources'},
        ROS | TORCH,
    ),
    'hier_seg_ros.settings': ({'errors', 'files'}, ROS | TORCH),
    'hier_seg_ros.images': (
        {'errors', 'files'},
        # What only cv_bridge can read is read where it is installed, and imported then.
        (ROS - {'cv_bridge', 'sensor_msgs'}) | TORCH,
    ),
    'hier_seg_ros.bags': ({'errors', 'files', 'images'}, ROS | TORCH),
    'hier_seg_ros.signs': ({'files', 'hierarchy'}, ROS | TORCH),
    'hier_seg_ros.scoring': ({'errors', 'files', 'hierarchy', 'signs'}, ROS | TORCH),
    'hier_seg_ros.segmenter': ({'errors', 'files', 'hierarchy', 'resources', 'signs'}, ROS),
    'hier_seg_ros.frames': ({'errors', 'images', 'segmenter', 'settings'}, ROS | TORCH),
    'hier_seg_ros.commands': (
        {'errors', 'files', 'hierarchy', 'images', 'resources', 'segmenter'},
        ROS,
    ),
    'hier_seg_ros.evaluation': (
        {
            'bags', 'errors', 'files', 'hierarchy', 'images', 'label_spaces', 'resources',
            'scoring', 'segmenter', 'signs',
        },
        ROS,
    ),
    'hier_seg_ros.ros': (
        {
            'bags', 'errors', 'files', 'frames', 'hierarchy', 'images', 'resources', 'segmenter',
            'settings', 'signs',
        },
        set(),
    ),
}  # fmt: skip
FORBIDDEN = {
    room: outside
    | {'hier_seg_trainer'}
    | {other for other in ROOMS if other != room and other.rpartition('.')[2] not in inside}
    for room, (inside, outside) in ROOMS.items()
}
FORBIDDEN['hier_seg_trainer'] = ROS | {
    f'hier_seg_ros.{room}' for room in ('commands', 'evaluation', 'frames', 'ros', 'settings')
}
# The same within packages: the rooms that each room may import, which stand above it in its table.
ROOMS_WITHIN = {
    'hier_seg_ros.ros': {
        'launching': set(),
        'process': set(),
        'topics': set(),
        'diagnostics': set(),
        'cameras': {'topics'},
        'captures': {'topics'},
        'replay': {'process', 'topics'},
        'measuring': {'process', 'topics'},
        'node': {'cameras', 'captures', 'diagnostics', 'process', 'topics'},
    },
    'hier_seg_ros.evaluation': {
        'output_folder': set(),
        'recorded_outputs': set(),
        'replay_account': set(),
        'prediction_writer': {'recorded_outputs'},
        'predictions': {'recorded_outputs'},
        'scores': {'recorded_outputs'},
        'truth': {'recorded_outputs'},
        'report': {'recorded_outputs', 'replay_account', 'scores'},
        'running': {
            'output_folder', 'prediction_writer', 'predictions', 'recorded_outputs',
            'replay_account', 'report', 'scores', 'truth',
        },
        'result_files': {'replay_account', 'report', 'running', 'scores'},
        'afterwards': {
            'output_folder', 'recorded_outputs', 'report', 'result_files', 'running', 'scores',
        },
        'comparison': {'output_folder', 'report'},
        'bag_evaluation': {'afterwards', 'output_folder', 'result_files', 'running'},
        'evaluate_bag': {'afterwards', 'bag_evaluation', 'comparison'},
    },
    'hier_seg_trainer': {
        'options': set(),
        'pages': set(),
        'processes': set(),
        'datasets': set(),
        'augmentation': {'datasets', 'options'},
        'batches': {'augmentation', 'datasets'},
        'loss': {'batches', 'options', 'processes'},
        'evaluation': {'augmentation', 'datasets', 'options', 'pages'},
        'inspection': {'datasets', 'pages'},
        'synthesis': {'datasets'},
        'labelling': {'datasets'},
        'label_page': {'datasets', 'labelling', 'synthesis'},
        'proposing': {'datasets', 'evaluation', 'labelling'},
        'disagreement': {'datasets', 'evaluation', 'labelling', 'pages', 'proposing'},
        'configuration': {'augmentation', 'datasets', 'loss', 'options'},
        'training': {
            'augmentation', 'batches', 'configuration', 'datasets', 'evaluation', 'loss',
            'options', 'processes',
        },
        'export': {'batches', 'configuration', 'datasets', 'evaluation', 'options', 'training'},
        'commands': {
            'configuration', 'datasets', 'disagreement', 'evaluation', 'export', 'inspection',
            'label_page', 'labelling', 'options', 'processes', 'proposing', 'synthesis', 'training',
        },
        'cli': {'commands'},
    },
    'hier_seg_trainer.evaluation': {
        'evaluation_options': set(),
        'benchmarks': set(),
        'deciding': {'evaluation_options'},
        'scores': {'benchmarks'},
        'running': {'benchmarks', 'deciding', 'evaluation_options', 'scores'},
        'results': {'benchmarks', 'scores'},
    },
    'hier_seg_trainer.inspection': {
        'checks': set(),
        'measure': {'checks'},
        'counts': {'measure'},
        'survey': {'checks', 'measure'},
        'report': {'checks', 'counts', 'measure', 'survey'},
        'embedding': set(),
    },
    'hier_seg_trainer.synthesis': {
        'drawing': set(),
        'setting': {'drawing'},
        'things': {'drawing', 'setting'},
        'scenes': {'drawing', 'setting', 'things'},
        'layouts': {'drawing', 'scenes'},
    },
    'hier_seg_trainer.training': {
        'optimization': set(),
        'weights': {'optimization'},
        'runs': {'optimization', 'weights'},
        'training_data': set(),
        'batch_loading': {'training_data'},
        'teachers': set(),
        'training_log': set(),
        'training_step': {'optimization', 'runs', 'teachers'},
        'validation': {'runs', 'training_data', 'training_log', 'weights'},
        'training_setup': {'runs', 'teachers', 'training_data', 'weights'},
        'training_loop': {
            'batch_loading', 'runs', 'teachers', 'training_data', 'training_log',
            'training_setup', 'training_step', 'validation',
        },
    },
}  # fmt: skip
# What runs the network knows nothing of what is made of its logits.
FORBIDDEN['hier_seg_ros.segmenter.engines'] = ROS | {
    f'hier_seg_ros.segmenter.{room}'
    for room in (
        'decision', 'drawing', 'guards', 'interpolation', 'logits', 'model_folder', 'outputs',
        'result', 'segmenter',
    )
}  # fmt: skip
FORBIDDEN['hier_seg_ros.segmenter.cuda'] = ROS | {
    f'hier_seg_ros.segmenter.{room}'
    for room in ('drawing', 'guards', 'model_folder', 'outputs', 'result', 'segmenter')
}
# The pages are made of what evaluations have written, whoever has run them.
FORBIDDEN['hier_seg_ros.evaluation.report'] = {
    f'hier_seg_ros.evaluation.{room}'
    for room in (
        'afterwards', 'bag_evaluation', 'comparison', 'evaluate_bag', 'result_files', 'running',
        'truth',
    )
}  # fmt: skip
FORBIDDEN['hier_seg_ros.evaluation.comparison'] = {
    f'hier_seg_ros.evaluation.{room}'
    for room in (
        'afterwards', 'bag_evaluation', 'evaluate_bag', 'result_files', 'running', 'scores', 'truth'
    )
}  # fmt: skip
# What is counted does not depend on where the images come from, and neither does the truth.
for room in ('scores', 'truth'):
    FORBIDDEN[f'hier_seg_ros.evaluation.{room}'] = FORBIDDEN['hier_seg_ros.evaluation'] | {
        f'hier_seg_ros.evaluation.{other}'
        for other in ('bag_evaluation', 'evaluate_bag', 'frame_files', 'predictions', 'report')
    }
FORBIDDEN |= {
    f'{package}.{room}': {f'{package}.{other}' for other in rooms if other not in {room, *allowed}}
    for package, rooms in ROOMS_WITHIN.items()
    for room, allowed in rooms.items()
}
# They run what a file says, or reach out to the network.
UNSAFE = {
    'cloudpickle', 'dill', 'ftplib', 'http', 'httpx', 'huggingface_hub', 'joblib', 'marshal',
    'pickle', 'requests', 'shelve', 'urllib',
}  # fmt: skip
COMMANDS = {'segmenter_node', 'replay_bag', 'evaluate_bag', 'segment_images', 'benchmark'}
HEADER = ['# Copyright 2026 The hier_seg_ros authors', '# SPDX-License-Identifier: Apache-2.0']


def python_files() -> list[Path]:
    folders = ('hier_seg_ros', 'hier_seg_trainer', 'benchmarks', 'demo', 'docs', 'launch', 'test')
    files = [path for folder in folders for path in sorted((ROOT / folder).rglob('*.py'))]
    return [ROOT / 'setup.py', *(path for path in files if 'build' not in path.parts)]


def modules() -> dict[str, Path]:
    """Return the file of each module of the two packages, by the module's name."""
    found = {}
    for top, name in ((ROOT, 'hier_seg_ros'), (ROOT / 'hier_seg_trainer/src', 'hier_seg_trainer')):
        for path in sorted((top / name).rglob('*.py')):
            parts = path.relative_to(top).with_suffix('').parts
            found['.'.join(parts[:-1] if parts[-1] == '__init__' else parts)] = path
    return found


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding='utf-8'), str(path), feature_version=(3, 10))


def imported_names(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the full name of everything that a file imports, wherever it does so."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{path}:{node.lineno}: relative import'
            for alias in node.names:
                yield node.lineno, f'{node.module}.{alias.name}'


def is_within(name: str, packages: set[str]) -> bool:
    return any(name == package or name.startswith(f'{package}.') for package in packages)


def dotted_name(node: ast.expr) -> str:
    return ast.unparse(node) if isinstance(node, ast.Attribute | ast.Name) else ''


def test_every_room_has_modules():
    assert not [room for room in FORBIDDEN if not any(is_within(m, {room}) for m in modules())]


@pytest.mark.parametrize('room', FORBIDDEN)
def test_imports_point_one_way(room):
    wrong = [
        f'{path.relative_to(ROOT)}:{line}: {name}'
        for module, path in modules().items()
        if is_within(module, {room})
        for line, name in imported_names(path)
        if is_within(name, FORBIDDEN[room])
    ]
    assert not wrong


@pytest.mark.parametrize(('package', 'rooms'), ROOMS_WITHIN.items(), ids=ROOMS_WITHIN)
def test_every_room_has_its_place_in_one_direction(package, rooms):
    inside = f'{package}.'
    below = [name.removeprefix(inside) for name in modules() if name.startswith(inside)]
    assert {name.split('.')[0] for name in below} == set(rooms)
    # Each table lists a room after those that it may import, so that none leads back.
    listed = list(rooms)
    for place, room in enumerate(listed):
        assert rooms[room] <= set(listed[:place]), room


def test_a_file_of_the_trainer_has_a_name_of_its_own():
    files = (ROOT / 'hier_seg_trainer' / 'src').rglob('*.py')
    counts = Counter(path.name for path in files if path.name != '__init__.py')
    assert not [name for name, count in counts.items() if count > 1]


def test_a_folder_of_the_trainer_has_about_ten_modules():
    files = (ROOT / 'hier_seg_trainer' / 'src').rglob('*.py')
    counts = Counter(path.parent for path in files if path.name != '__init__.py')
    assert not {name: count for name, count in counts.items() if count > 11}


@pytest.mark.parametrize('path', python_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_source_file(path):
    lines = path.read_text(encoding='utf-8').splitlines()
    first = 1 if lines[0].startswith('#!') else 0
    assert lines[first : first + 2] == HEADER
    # What torch.load raises where weights_only=True refuses a file.
    imported = {name for _, name in imported_names(path)} - {'pickle.UnpicklingError'}
    assert not [name for name in imported if is_within(name, UNSAFE)]
    for node in ast.walk(parse(path)):
        if not isinstance(node, ast.Call):
            continue
        name = dotted_name(node.func)
        where = f'{path.relative_to(ROOT)}:{node.lineno}: {name}'
        assert name not in {'eval', 'exec', 'os.system', 'torch.hub.load'}, where
        assert name not in {'yaml.load', 'yaml.unsafe_load', 'yaml.full_load'}, where
        keywords = {keyword.arg: keyword.value for keyword in node.keywords}
        if name == 'torch.load':
            assert ast.unparse(keywords['weights_only']) == 'True', where
        if name in {'np.load', 'numpy.load'}:
            assert 'allow_pickle' not in keywords, where


@pytest.mark.parametrize(
    'module', ['hier_seg_ros', 'hier_seg_ros.errors', 'hier_seg_ros.hierarchy']
)
def test_import_loads_neither_torch_nor_ros(module):
    code = f'import sys, {module}; print(*sorted({ROS | TORCH!r} & set(sys.modules)))'
    assert run_python(code).stdout.split() == []


def test_engines_are_imported_where_they_are_chosen():
    libraries = {'onnx', 'onnxruntime', 'openvino'}
    code = (
        'import sys\n'
        'from hier_seg_ros.segmenter import Segmenter\n'
        'from hier_seg_ros.resources import find_model\n'
        "Segmenter.load(find_model('street_lite0'), 'cpu', engine='torch')\n"
        f'print(*sorted({libraries!r} & set(sys.modules)))'
    )
    assert run_python(code).stdout.split() == []


@pytest.mark.parametrize('room', ['hier_seg_ros.segmenter', 'hier_seg_ros.evaluation'])
def test_room_imports_without_ros(room):
    names = [name for name in modules() if is_within(name, {room})]
    # A module that is None in sys.modules cannot be imported.
    code = (
        'import importlib, sys\n'
        f'sys.modules.update(dict.fromkeys({sorted(ROS)!r}))\n'
        f'for name in {names!r}: importlib.import_module(name)'
    )
    run_python(code)


def test_entry_points_are_the_contract():
    names = {entry.name for entry in entry_points('hier_seg_ros')}
    assert names == COMMANDS


@pytest.mark.parametrize('name', [*sorted(COMMANDS), 'hier-seg'])
def test_command_has_help(name):
    distribution = 'hier_seg_trainer' if name == 'hier-seg' else 'hier_seg_ros'
    entry = next(entry for entry in entry_points(distribution) if entry.name == name)
    if entry.module.startswith('hier_seg_ros.ros'):
        pytest.importorskip('rclpy', reason='needs ROS 2')
    code = f'import sys; from {entry.module} import {entry.attr} as main; sys.exit(main())'
    result = run_python(code, '--help')
    assert 'usage:' in result.stdout
    assert result.stderr == ''


def test_versions_agree():
    text = (ROOT / 'setup.py').read_text()
    version = ElementTree.parse(ROOT / 'package.xml').findtext('version')
    assert f"VERSION = '{version}'" in text
    assert hier_seg_ros.__version__ == version


def test_package_xml_names_every_ros_import():
    imported = {
        name.split('.')[0]
        for module, path in modules().items()
        if is_within(module, {'hier_seg_ros.ros'})
        for _, name in imported_names(path)
    }
    for path in sorted((ROOT / 'launch').glob('*.py')):
        imported |= {name.split('.')[0] for _, name in imported_names(path)}
    root = ElementTree.parse(ROOT / 'package.xml').getroot()
    declared = {element.text for element in root.iter('exec_depend')}
    # cv_bridge is imported by the room of images.
    assert (imported & ROS) | {'cv_bridge'} <= declared


def entry_points(distribution: str) -> list[importlib.metadata.EntryPoint]:
    try:
        found = importlib.metadata.distribution(distribution).entry_points
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f'{distribution} is not installed; run make setup')
    return [entry for entry in found if entry.group == 'console_scripts']


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(
        [sys.executable, '-c', code, *arguments], capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    return result
