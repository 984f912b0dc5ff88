# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Damaged files of every kind: each is read, or refused in one line within a second and 100 MB.

    python test/fuzz/fuzz_files.py --cases 2000 --json benchmarks/results/fuzz_files.json
    python test/fuzz/fuzz_files.py --target bag --first 17 --cases 1

Each kind is tried in a process of its own, whose memory and time for a file are limited.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import json
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from file_damage import damaged_file

from hier_seg_ros.errors import MOST_CHARACTERS, HierSegError

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / name) for name in ('test', 'benchmarks', 'hier_seg_trainer/tests')]

MOST_SECONDS = 1.0
MOST_MEBIBYTES = 100.0
# A command also does its work, with a tiny network.
COMMAND_SECONDS = 20.0
# What ends a process: for what takes longer than any machine is slow, and for what would take the
# machine's memory before it is measured.
HANGS_AFTER = 60.0
ADDRESS_SPACE = 2**30
MEBIBYTE = 2**20

Read = Callable[[Path], object]


@dataclass(frozen=True)
class Target:
    """A kind of file.

    Attributes
    ----------
    write
        Writes whole files into an empty folder.
    read
        Reads all of them; the folder may be another one by then.
    seconds
        Of processor time, that a case may take.
    mend
        What is made to fit again after some of the damages, so that those are seen that lie behind
        a checksum.

    """

    write: Callable[[Path], object]
    read: Read
    mend: Callable[[Path], object] | None = None
    seconds: float = MOST_SECONDS


def targets() -> dict[str, Target]:
    """Return what can be tried here, by name."""
    found = {
        'tree': Target(_write_tree, _read_tree),
        'model': Target(_write_model, _read_model, _mend_model),
        'graph cache': Target(_write_graph, _read_graph),
        'image': Target(_write_images, _read_images),
        'mask': Target(_write_mask, _read_mask),
        'parameters': Target(_write_parameters, _read_parameters),
    }
    for kind in ('mcap', 'sqlite', 'ros1', 'zstd'):
        found[f'bag, {kind}'] = Target(_bag_writer(kind), _read_bag)
    found['command, segment_images'] = Target(
        _write_model_and_image, _segment_images, _mend_model, seconds=COMMAND_SECONDS
    )
    found['command, evaluate_bag'] = Target(
        _write_model_and_bag, _evaluate_bag, _mend_model, seconds=COMMAND_SECONDS
    )
    if importlib.util.find_spec('rclpy'):
        found['parameters of the node'] = Target(_write_parameters, _start_node)
    try:
        import small_data_sets

        from hier_seg_trainer.cli import main  # noqa: F401
    except ImportError:
        return found
    found['mapping'] = Target(_write_mapping, _read_mapping)
    found['experiment'] = Target(_write_experiment, _read_experiment)
    found['checkpoint'] = Target(_write_checkpoint, _read_checkpoint)
    found['command, hier-seg inspect'] = Target(
        _data_set_writer(small_data_sets.WRITERS['masks_coco']), _inspect, seconds=COMMAND_SECONDS
    )
    found['command, hier-seg train'] = Target(_write_experiment, _train)
    for name, write in small_data_sets.WRITERS.items():
        found[f'data set, {name}'] = Target(_data_set_writer(write), _data_set_reader(name))
    return found


def _write_tree(folder: Path) -> None:
    shutil.copy(ROOT / 'config/hierarchies/street_108.yaml', folder / 'tree.yaml')


def _read_tree(folder: Path) -> None:
    from hier_seg_ros.hierarchy import Hierarchy

    tree = Hierarchy.load(folder / 'tree.yaml')
    # A tree that is taken is one that can be written and read again.
    tree.save(folder / 'again.yaml')
    assert Hierarchy.load(folder / 'again.yaml') == tree


def _write_model(folder: Path) -> None:
    from model_folders import SMALL_TREE, write_untrained_model

    from hier_seg_ros.hierarchy import Hierarchy

    write_untrained_model(folder / 'model', Hierarchy(SMALL_TREE))


def _read_model(folder: Path) -> None:
    from hier_seg_ros.segmenter.model_folder import read_model_folder

    read_model_folder(folder / 'model')


def _mend_model(folder: Path) -> None:
    from model_folders import make_sha256_fit

    make_sha256_fit(folder / 'model')


def _write_graph(folder: Path) -> None:
    import hashlib

    graph = bytes(range(256)) * 50
    (folder / 'graph.onnx').write_bytes(hashlib.sha256(graph).digest() + graph)


def _read_graph(folder: Path) -> None:
    from hier_seg_ros.segmenter.engines import graph_cache

    graph, problem = graph_cache._read(folder / 'graph.onnx')
    assert graph in (None, bytes(range(256)) * 50)
    assert '\n' not in problem and (graph is not None or problem)


FORMATS = ('jpeg', 'png', 'tiff', 'bmp', 'webp', 'ppm')


def _write_images(folder: Path) -> None:
    from encoded_pictures import pictures

    for name, data in pictures().items():
        # Fractions are not read, nor are other formats.
        if name.split()[0] in FORMATS and name != 'tiff fractions':
            (folder / name.replace(' ', '_')).write_bytes(data)


def _read_images(folder: Path) -> None:
    from hier_seg_ros.images.image_files import read_image

    refused = []
    for path in sorted(folder.iterdir()):
        try:
            read_image(path)
        except HierSegError as error:
            refused.append(error)
    if refused:
        raise max(refused, key=lambda error: len(str(error)))


def _write_mask(folder: Path) -> None:
    from encoded_pictures import pictures

    (folder / 'mask.png').write_bytes(pictures()['png grey'])


def _read_mask(folder: Path) -> None:
    from hier_seg_ros.ros.node.regions import camera_regions
    from hier_seg_ros.settings import Settings

    camera_regions(Settings(mask=str(folder / 'mask.png')))['']


def _write_parameters(folder: Path) -> None:
    shutil.copy(ROOT / 'config/segmenter.yaml', folder / 'parameters.yaml')


def _read_parameters(folder: Path) -> None:
    from hier_seg_ros.ros.launching.arguments import params_file

    params_file({'params_file': str(folder / 'parameters.yaml')})


def _bag_writer(kind: str) -> Callable[[Path], object]:
    def write(folder: Path) -> None:
        from recordings import CONTENT, write_folder, write_mcap, write_ros1
        from rosbags.rosbag2 import CompressionMode, StoragePlugin

        path, content = folder / 'bag', CONTENT[:12]
        if kind == 'ros1':
            write_ros1(folder / 'bag.bag', 'BZ2')
        elif kind == 'mcap':
            path.mkdir()
            write_mcap(path / 'bag.mcap', content, chunk_size=6000)
        elif kind == 'sqlite':
            write_folder(path, StoragePlugin.SQLITE3, content)
        else:
            write_folder(path, StoragePlugin.MCAP, content, CompressionMode.FILE)

    return write


def _read_bag(folder: Path) -> None:
    from hier_seg_ros.bags.image_bag import ImageBag

    ros1 = folder / 'bag.bag'
    with ImageBag(ros1 if ros1.exists() else folder / 'bag') as bag:
        topics = bag.image_topics
        bag.stamps(topics)
        for topic in topics:
            for _ in bag.images(topic):
                pass
        for _ in bag.messages(bag.topics):
            pass


def _write_mapping(folder: Path) -> None:
    from hier_seg_ros.label_spaces.bundled import bundled_mapping

    for name in ('camvid', 'gtsdb'):
        shutil.copy(bundled_mapping(name), folder / f'{name}.yaml')


def _read_mapping(folder: Path) -> None:
    from hier_seg_ros.label_spaces.mapping import LabelMapping

    for path in sorted(folder.iterdir()):
        mapping = LabelMapping.load(path, _tree())
        assert mapping.mirror_of_id.shape == (256,)
        mapping.require_values()


_TREES: list[Any] = []


def _tree() -> Any:
    from hier_seg_ros.hierarchy import Hierarchy

    if not _TREES:
        _TREES.append(Hierarchy.load(ROOT / 'config/hierarchies/street_108.yaml'))
    return _TREES[0]


def _write_experiment(folder: Path) -> None:
    configs = ROOT / 'hier_seg_trainer/configs'
    recipe = sorted(configs.glob('*.yaml'))[0]
    shutil.copy(recipe, folder / recipe.name)
    (folder / 'own.yaml').write_text(f'base: {recipe.name}\nseed: 5\n', encoding='utf-8')


def _read_experiment(folder: Path) -> None:
    from hier_seg_trainer.configuration import load_experiment

    load_experiment(folder / 'own.yaml')


def _write_checkpoint(folder: Path) -> None:
    import torch

    from hier_seg_trainer.training.runs.checkpoint import CHECKPOINT, write_checkpoint

    write_checkpoint(folder / CHECKPOINT, {'weights': {'a': torch.arange(9.0)}, 'step': 5})


def _read_checkpoint(folder: Path) -> None:
    from hier_seg_trainer.training.runs.checkpoint import CHECKPOINT, read_checkpoint

    read_checkpoint(folder / CHECKPOINT)


def _data_set_writer(write: Callable[[Path], object]) -> Callable[[Path], object]:
    def write_all(folder: Path) -> None:
        from small_data_sets import MAPPING

        write(folder / 'data')
        (folder / 'own.yaml').write_text(MAPPING, encoding='utf-8')

    return write_all


def _data_set_reader(name: str) -> Read:
    def read(folder: Path) -> None:
        from small_data_sets import OWN_FORMATS

        from hier_seg_trainer.datasets.formats import gtsdb
        from hier_seg_trainer.datasets.opening import open_dataset

        gtsdb.POLYGONS = folder / 'annotations'
        mapping = folder / 'own.yaml' if name in OWN_FORMATS else None
        split = 'training' if name.startswith('vistas') else 'train'
        data_set = open_dataset(name, folder / 'data', split, _tree(), mapping, strict=False)
        refused = None
        for index in range(len(data_set)):
            try:
                data_set[index]
            except HierSegError as error:
                refused = error
        if data_set.faults:
            open_dataset(name, folder / 'data', split, _tree(), mapping)
        if refused is not None:
            raise refused

    return read


def _start_node(folder: Path) -> None:
    import rclpy

    from hier_seg_ros.ros.node.lifecycle_node import SegmenterNode
    from hier_seg_ros.ros.process.startup import initialize

    file = str(folder / 'parameters.yaml')
    try:
        initialize(['segmenter_node', '--ros-args', '--params-file', file])
        node = SegmenterNode()
        node.close()
        node.destroy_node()
    finally:
        rclpy.try_shutdown()


def _run_command(main: Callable[[list[str]], int], *words: object) -> None:
    """Run a command in this process; raise the line that it ends with, where it fails."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        code = main([str(word) for word in words])
    lines = [line.rpartition('\r')[2] for line in said.getvalue().splitlines()]
    assert code in (0, 1) and 'Traceback' not in said.getvalue(), said.getvalue()[-3000:]
    if code:
        # A line for each input that cannot be read, or one for all.
        assert lines and len(lines) < 20, lines
        raise HierSegError(lines[-1])


def _write_model_and_image(folder: Path) -> None:
    from encoded_pictures import pictures

    _write_model(folder)
    for name in ('jpeg', 'png'):
        (folder / f'image.{name}').write_bytes(pictures()[name])


def _segment_images(folder: Path) -> None:
    from hier_seg_ros.commands.segment_images import main

    options = ('--model', folder / 'model', '--device', 'cpu', '--out', folder / 'out')
    _run_command(main, folder / 'image.jpeg', folder / 'image.png', *options)


def _write_model_and_bag(folder: Path) -> None:
    _write_model(folder)
    _bag_writer('mcap')(folder)


def _evaluate_bag(folder: Path) -> None:
    from hier_seg_ros.evaluation.evaluate_bag import main

    options = ('--model', folder / 'model', '--device', 'cpu', '--out', folder / 'out')
    _run_command(main, folder / 'bag', '--image-topic', '/image', *options)


def _inspect(folder: Path) -> None:
    from hier_seg_trainer.cli import main

    data = ('--format', 'masks_coco', '--path', folder / 'data', '--split', 'train')
    _run_command(
        main, 'inspect', *data, '--mapping', folder / 'own.yaml', '--out', folder / 'out',
        '--workers', 0,
    )  # fmt: skip


def _train(folder: Path) -> None:
    from hier_seg_trainer.cli import main

    # There is no data: what is wrong with the recipe is said before that.
    out = ('--data', folder / 'absent', '--run', folder / 'run')
    try:
        _run_command(main, 'train', folder / 'own.yaml', *out)
    except HierSegError as error:
        if 'absent' not in str(error):
            raise


def damage(target: Target, whole: Path, folder: Path, seed: int) -> str:
    """Write the damaged files of a seed; return the name of the one that is damaged."""
    numbers = random.Random(seed)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, folder)
    # A file of text is as likely as one of pixels, however many there are of each.
    suffixes = sorted({path.suffix for path in folder.rglob('*') if path.is_file()})
    suffix = numbers.choice(suffixes)
    files = sorted(path for path in folder.rglob(f'*{suffix}') if path.is_file())
    path = numbers.choice([path for path in files if path.suffix == suffix])
    path.write_bytes(damaged_file(path.read_bytes(), suffix, numbers))
    if target.mend is not None and numbers.random() < 0.7:
        # What is damaged too much cannot be mended.
        with contextlib.suppress(Exception):
            target.mend(folder)
    return str(path.relative_to(folder))


def judged(target: Target, folder: Path) -> tuple[str, str]:
    """Return 'read', 'refused' or 'wrong', and what was said of a folder's files."""
    try:
        target.read(folder)
    except HierSegError as error:
        line = str(error)
        # HierSegError itself sees to that; the line must say what it concerns, too.
        sound = len(line.splitlines()) == 1 and len(line) <= MOST_CHARACTERS and ': ' in line
        return ('refused' if sound else 'wrong'), repr(line[:1000])
    # Whatever is raised otherwise is what is looked for.
    except Exception:  # noqa: BLE001
        return 'wrong', traceback.format_exc(limit=-6)
    return 'read', ''


def run_child(first: int, cases: int, names: list[str]) -> int:
    """Try the cases of some targets; print what is tried before it is, and what came of it."""
    known = targets()
    for name in names:
        with tempfile.TemporaryDirectory() as base:
            _try_cases(name, known[name], range(first, first + cases), Path(base))
    return 0


def _try_cases(name: str, target: Target, seeds: range, base: Path) -> None:
    whole, folder = base / 'whole', base / 'case'
    whole.mkdir()
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    target.write(whole)
    # What the first ones import is no cost of a file.
    for _ in range(3):
        shutil.copytree(whole, folder)
        assert judged(target, folder)[0] == 'read', judged(target, folder)
        shutil.rmtree(folder)
    limit = int(_memory('VmSize') * MEBIBYTE) + ADDRESS_SPACE
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    for seed in seeds:
        print(json.dumps({'target': name, 'seed': seed}), flush=True)
        signal.setitimer(signal.ITIMER_REAL, HANGS_AFTER)
        file = damage(target, whole, folder, seed)
        _forget_peak()
        memory, begin = _memory('VmRSS'), time.process_time()
        verdict, said = judged(target, folder)
        seconds, grown = time.process_time() - begin, _memory('VmHWM') - memory
        if verdict != 'wrong' and (seconds > target.seconds or grown > MOST_MEBIBYTES):
            verdict = 'wrong'
        result = {
            'target': name,
            'seed': seed,
            'file': file,
            'verdict': verdict,
            'seconds': round(seconds, 3),
            'mebibytes': round(grown, 1),
            'said': said if verdict == 'wrong' else '',
        }
        print(json.dumps(result), flush=True)
    signal.setitimer(signal.ITIMER_REAL, 0)


def _forget_peak() -> None:
    Path('/proc/self/clear_refs').write_text('5', 'ascii')


def _memory(key: str) -> float:
    lines = Path('/proc/self/status').read_text('ascii').splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024


def try_targets(names: list[str], first: int, cases: int) -> list[dict[str, Any]]:
    """Try cases of some targets in processes of their own; return each case's result.

    Where a process ends in the middle of a case, that one is wrong, and another process goes on.
    """
    results: list[dict[str, Any]] = []
    at = 0
    while at < len(names):
        child = subprocess.run(
            [sys.executable, __file__, '--child', str(first), str(cases), *names[at:]],
            capture_output=True,
            check=False,
        )
        lines = [json.loads(line) for line in child.stdout.decode().splitlines()]
        results += [line for line in lines if 'verdict' in line]
        if child.returncode == 0:
            break
        said = f'exit code {child.returncode}: {child.stderr.decode(errors="replace")[-1500:]}'
        if not lines or 'verdict' in lines[-1]:
            raise SystemExit(f'{lines[-1:]}: {said}')
        results.append({**lines[-1], 'file': '', 'verdict': 'wrong', 'said': said})
        name, seed = lines[-1]['target'], lines[-1]['seed'] + 1
        results += try_targets([name], seed, first + cases - seed)
        at = names.index(name) + 1
    return results


def summary(name: str, results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the numbers of one target."""
    verdicts = Counter(result['verdict'] for result in results)
    return {
        'target': name,
        'files': len(results),
        **{verdict: verdicts[verdict] for verdict in ('read', 'refused', 'wrong')},
        'slowest_seconds': max(result.get('seconds', 0) for result in results),
        'most_mebibytes': max(result.get('mebibytes', 0) for result in results),
    }


def main() -> int:
    """Run the program; return the exit code."""
    from measurement import circumstances, print_table, write_result

    if sys.argv[1:2] == ['--child']:
        return run_child(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
    arguments = _parser().parse_args()
    before = circumstances()
    summaries, wrong = [], []
    for name in targets():
        if not name.startswith(arguments.target):
            continue
        results = try_targets([name], arguments.first, arguments.cases)
        summaries.append(summary(name, results))
        print(summaries[-1], flush=True)
        wrong += [result for result in results if result['verdict'] == 'wrong']
        # After each, since all of them may take an hour.
        found = {**before, 'first_seed': arguments.first, 'results': summaries, 'wrong': wrong}
        write_result(found, arguments.json)
    for result in wrong[:20]:
        print(json.dumps(result))
    print_table(list(summaries[0]), [list(each.values()) for each in summaries])
    return int(bool(wrong))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description='Damaged files of every kind.')
    parser.add_argument('--target', default='', help='only those whose name begins so')
    parser.add_argument('--first', type=int, default=0, help='first seed (%(default)s)')
    parser.add_argument('--cases', type=int, default=2000, help='of each target (%(default)s)')
    parser.add_argument('--json', type=Path, help='write the numbers to this file')
    return parser


if __name__ == '__main__':
    sys.exit(main())
