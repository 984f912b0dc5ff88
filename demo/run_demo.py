# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plays the bundled bag of street photographs through the real node and evaluates what it says.

    python demo/run_demo.py [--bag demo/street] [--model street_lite0] [--out out/demo]

Three programs take part, as on a robot: the node in a process of its own, replay_bag, which sends
it the photographs over DDS and records its answers, and evaluate_bag, which needs no ROS.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.evaluation.output_folder import check_replaceable
from hier_seg_ros.files.writing import make_folder, not_written
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.resources import find_model
from hier_seg_ros.segmenter.outputs import evaluated_outputs

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = Path(sys.executable).parent
NODE = '/segmenter'
STOP_SECONDS = 20.0
# The first start on a slow disk reads gigabytes of PyTorch; a node that dies is noticed at once.
PATIENCE_SECONDS = 300
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; returns its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--bag', type=Path, default=ROOT / 'demo' / 'street')
    parser.add_argument('--model', default='street_lite0', help='name or folder of the model')
    parser.add_argument('--out', type=Path, default=ROOT / 'out' / 'demo')
    options = parser.parse_args(arguments)
    for number in STOP_SIGNALS:
        signal.signal(number, _interrupt)
    try:
        run_demo(options.bag, options.model, options.out)
    except HierSegError as error:
        print(f'run_demo: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('run_demo: interrupted', file=sys.stderr)
        return 130
    return 0


def run_demo(bag: Path, model: str, out: Path) -> None:
    """Replay `bag` through the node and leave the evaluation in the folder `out`.

    Raises
    ------
    HierSegError
        One of the programs failed; no process and no file of it is left.

    """
    check_replaceable(out)
    model_folder = find_model(model).resolve()
    hierarchy = Hierarchy.load(model_folder / 'hierarchy.yaml')
    make_folder(out.parent, 'choose another --out')
    try:
        temporary = tempfile.TemporaryDirectory(prefix='.demo-', dir=out.parent)
    except OSError as error:
        raise not_written(out.parent, error, 'choose another --out') from error
    with temporary as folder:
        recorded = Path(folder) / 'recorded'
        environment = own_environment(Path(folder) / 'log')
        node = [
            command('segmenter_node'), '--ros-args',
            '--remap', 'image:=/camera/image_raw',
            '--remap', 'camera_info:=/camera/camera_info',
            '--param', f'model:={model_folder}',
        ]  # fmt: skip
        replay = [
            command('replay_bag'), str(bag), '--decompress',
            '--lockstep', f'{NODE}/overlay', '--timeout', str(PATIENCE_SECONDS),
            '--record', str(recorded),
            '--record-topics', *output_topics(hierarchy),
        ]  # fmt: skip
        evaluate = [
            command('evaluate_bag'), str(bag), '--predictions', str(recorded),
            '--model', str(model_folder), '--pictures', 'all', '--out', str(out),
        ]  # fmt: skip
        print(
            f'The node starts, and the photographs of {bag} go through it one by one.', flush=True
        )
        with node_running(node, environment) as node_ended:
            run('replay_bag', replay, environment, abort=node_ended)
        run('evaluate_bag', evaluate, environment)
    print(f'pictures: {out / "overlays"}; labels of every level are in the folders beside it')


def output_topics(hierarchy: Hierarchy) -> list[str]:
    """Return the topics of the node that the evaluation reads."""
    return [f'{NODE}/{output.topic}' for output in evaluated_outputs(hierarchy).values()]


def command(name: str) -> str:
    """Return the path of an installed command; HierSegError if it is not installed."""
    path = COMMANDS / name
    if not path.is_file():
        raise HierSegError(f'{path}: not installed; run make setup')
    return str(path)


def own_environment(log_folder: Path) -> dict[str, str]:
    """Return the environment of the demo's programs, apart from any other ROS 2 around."""
    environment = {
        **os.environ,
        'ROS_DOMAIN_ID': str(free_domain_id()),
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'ROS_LOG_DIR': str(log_folder),
    }
    for name in ('ROS_LOCALHOST_ONLY', 'ROS_NAMESPACE', 'ROS_STATIC_PEERS', 'RMW_IMPLEMENTATION'):
        environment.pop(name, None)
    return environment


def free_domain_id() -> int:
    """Return a ROS domain on which no participant runs on this machine.

    A participant binds UDP port 7400 + 250 × domain + 10 + 2 × its number. Up to domain 101 these
    lie below the ports that Linux hands out by itself.
    """
    for domain in random.sample(range(1, 102), k=101):
        ports = [7400 + 250 * domain + 10 + 2 * number for number in range(10)]
        if all(_can_bind(port) for port in ports):
            return domain
    raise HierSegError('all ROS domains of this machine are in use; stop some ROS 2 programs')


def _can_bind(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        try:
            udp.bind(('', port))
        except OSError:
            return False
    return True


@contextmanager
def node_running(arguments: list[str], environment: dict[str, str]) -> Iterator[threading.Event]:
    """Run the node during the block; the yielded event is set when it ends by itself.

    Raises
    ------
    HierSegError
        It ended by itself, or did not end in good order when asked to.

    """
    process = _start(arguments, environment)
    ended = threading.Event()

    def watch() -> None:
        process.wait()
        ended.set()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield ended
        if ended.is_set():
            raise _failure('segmenter_node', process.returncode)
        process.send_signal(signal.SIGINT)
        watcher.join(STOP_SECONDS)
        if not ended.is_set():
            raise HierSegError(f'segmenter_node: did not stop within {STOP_SECONDS:.0f} s')
        if process.returncode != 0:
            raise _failure('segmenter_node', process.returncode)
    finally:
        _stop(process)
        watcher.join()


def run(
    name: str,
    arguments: list[str],
    environment: dict[str, str],
    abort: threading.Event | None = None,
) -> None:
    """Run a program to its end, or until `abort` is set; HierSegError if it failed."""
    process = _start(arguments, environment)
    try:
        while True:
            try:
                code = process.wait(timeout=0.2)
                break
            except subprocess.TimeoutExpired:
                if abort is not None and abort.is_set():
                    return
        if code != 0 and not (abort is not None and abort.is_set()):
            raise _failure(name, code)
    finally:
        _stop(process)


def _start(arguments: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    # In a session of its own, so that Ctrl-C reaches it only from here, in the right order.
    return subprocess.Popen(
        arguments, env=environment, stdin=subprocess.DEVNULL, start_new_session=True
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a process that still runs: by SIGINT, and by SIGKILL if it does not listen."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _failure(name: str, code: int) -> HierSegError:
    ending = f'exit code {code}' if code >= 0 else f'signal {signal.Signals(-code).name}'
    return HierSegError(f'{name}: failed ({ending}); its own message is above')


def _interrupt(signal_number: int, frame: FrameType | None) -> None:
    # A second one must not keep the first from stopping the demo's programs.
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == '__main__':
    sys.exit(main())
