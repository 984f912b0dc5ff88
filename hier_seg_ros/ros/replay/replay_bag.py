# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `replay_bag`: publishes a bag by its clock, or frame by frame."""

from __future__ import annotations

import argparse
import math
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.numpy_faults import numpy_faults_named
from hier_seg_ros.ros.process.stop_request import StopRequest

if TYPE_CHECKING:
    from hier_seg_ros.ros.replay.bag_player import PlaySummary
    from hier_seg_ros.ros.replay.live_recorder import LiveSummary

COMMAND = 'replay_bag'
EXIT_INTERRUPTED = 130
INTERRUPTED = f'{COMMAND}: stopped before the end'


class _InterruptedReplayError(Exception):
    """A signal came before the end; leaves the with block, so that nothing half-recorded stays."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Replay a bag; return the exit code.

    0 when all was played; 1 where something was wrong, part of the bag could not be read or frames
    stayed without an answer; 130 where a signal came before the end.
    """
    stop = StopRequest(EXIT_INTERRUPTED, early_line=INTERRUPTED)
    try:
        return _run(list(sys.argv if arguments is None else [COMMAND, *arguments]), stop)
    except HierSegError as error:
        print(f'{COMMAND}: {error}', file=sys.stderr)
        return 1
    except _InterruptedReplayError:
        print(INTERRUPTED, file=sys.stderr)
        return EXIT_INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    from hier_seg_ros.ros.process.startup import add_dds_profile_option

    parser = argparse.ArgumentParser(
        prog=COMMAND,
        description='Publish the messages of a recording of ROS 2 or ROS 1.',
        epilog='ROS arguments, such as remappings, follow --ros-args.',
    )
    parser.add_argument('bag', type=Path, help='rosbag2 folder, .mcap, .db3 or ROS 1 .bag file')
    parser.add_argument(
        '--topics',
        nargs='+',
        default=[],
        metavar='TOPIC',
        help='play these topics only (default: all)',
    )
    parser.add_argument(
        '--rate',
        type=_positive,
        metavar='FACTOR',
        help='speed: 2 is twice as fast as recorded (default: 1; with --lockstep as fast as the '
        'answers come)',
    )
    parser.add_argument('--loop', action='store_true', help='begin again at the end, until Ctrl-C')
    parser.add_argument(
        '--clock', action='store_true', help='publish the time of the bag on /clock'
    )
    parser.add_argument(
        '--decompress',
        action='store_true',
        help='publish each CompressedImage topic X/compressed as raw rgb8 images on X',
    )
    parser.add_argument(
        '--lockstep',
        metavar='TOPIC',
        help='send an image only after the one before came back on TOPIC, with its stamp',
    )
    parser.add_argument(
        '--image-topic',
        metavar='TOPIC',
        help='the images that are answered, for --lockstep and --record (default: the only '
        'CompressedImage topic that is played, or else the only Image topic)',
    )
    parser.add_argument(
        '--timeout',
        type=_positive,
        default=60.0,
        metavar='SECONDS',
        help='how long --lockstep and --record wait for the other side to appear, --lockstep for '
        'each answer, and --record for the last ones (default: %(default)g)',
    )
    parser.add_argument(
        '--record',
        type=Path,
        metavar='FOLDER',
        help='record the --record-topics as a bag; without --lockstep also when each image was '
        'answered, and the /diagnostics of the node with its account of the frames',
    )
    parser.add_argument(
        '--record-topics', nargs='+', default=[], metavar='TOPIC', help='what --record records'
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='let --record replace a bag that exists'
    )
    add_dds_profile_option(parser)
    return parser


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f'must be a positive number, not {text}')
    return value


def _run(arguments: list[str], stop: StopRequest) -> int:
    # Late, because they take long, and a signal must neither end in a traceback nor wait.
    import rclpy
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
    from rclpy.node import Node

    from hier_seg_ros.bags.bag import Bag
    from hier_seg_ros.bags.writer import BagWriter
    from hier_seg_ros.ros.process.dds_profile import use_dds_profile
    from hier_seg_ros.ros.process.startup import initialize, parse_arguments

    with numpy_faults_named():
        from hier_seg_ros.ros.replay.bag_player import BagPlayer, PlayOptions
        from hier_seg_ros.ros.replay.other_side import PlayStoppedError

    parser = _parser()
    options = parse_arguments(parser, arguments)
    if bool(options.record) != bool(options.record_topics):
        parser.error('--record and --record-topics belong together')
    if options.record and options.loop and not options.lockstep:
        parser.error('--record needs an end, which --loop does not have')
    log_line = use_dds_profile(options.dds_profile)
    play_options = PlayOptions(
        topics=tuple(options.topics),
        rate=options.rate,
        loop=options.loop,
        clock=options.clock,
        decompress=options.decompress,
        lockstep=options.lockstep,
        image_topic=options.image_topic,
        timeout=options.timeout,
        record_topics=tuple(options.record_topics),
    )

    with ExitStack() as stack:
        bag = stack.enter_context(Bag(options.bag))
        stop.end_in_order()
        initialize(arguments)
        stack.callback(rclpy.try_shutdown)
        node = Node(COMMAND)
        stack.callback(node.destroy_node)
        for line in (*([] if log_line is None else [log_line]), *bag.warnings):
            node.get_logger().warning(line)
        player = BagPlayer(node, bag, play_options, stop)
        executor = SingleThreadedExecutor()
        executor.add_node(node)

        def spin() -> None:
            try:
                executor.spin()
            except ExternalShutdownException:
                pass
            finally:
                stop.set()

        thread = threading.Thread(target=spin, name='executor', daemon=True)
        thread.start()
        stack.callback(thread.join)
        stack.callback(executor.shutdown)
        recording = None
        if options.record:
            recording = stack.enter_context(BagWriter(options.record, options.overwrite))
        try:
            summary = player.play(recording)
        except PlayStoppedError as error:
            if not stop.signalled:
                raise HierSegError('the ROS executor has ended, see the lines above') from error
            raise _InterruptedReplayError from error
    return _report(summary, options)


def _report(summary: PlaySummary, options: argparse.Namespace) -> int:
    line = f'{COMMAND}: {summary.played} messages played'
    if options.lockstep:
        answered = summary.frames - len(summary.unanswered)
        line += f', {answered} of {summary.frames} frames answered'
    elif summary.live is not None:
        line += _live_text(summary.live)
    if summary.resent:
        line += f', {summary.resent} times a frame was sent again'
    print(line)
    problems = [] if summary.damage is None else [str(summary.damage)]
    if summary.unanswered:
        problems.append(
            f'{len(summary.unanswered)} of {summary.frames} frames were not answered within '
            f'{options.timeout:g} s; see whether the node drops them, or raise --timeout'
        )
    if summary.live is not None and not summary.live.answered:
        problems.append(
            f'none of {summary.live.frames} frames was answered on any of '
            f'{", ".join(options.record_topics)}; see whether the node is active '
            f'and takes the images'
        )
    if summary.undecodable:
        problems.append(f'{summary.undecodable} images could not be decoded and were left out')
    if problems:
        raise HierSegError('; '.join(problems))
    return 0


def _live_text(live: LiveSummary) -> str:
    text = f', {live.answered} of {live.frames} frames answered'
    for account in live.accounts:
        ends = [f'{fate} {count}' for fate, count in account.fates.items() if fate != 'published']
        text += f'; {account.node} received {account.received}'
        text += f' and dropped {", ".join(ends)}' if ends else ' and dropped none'
    return text


if __name__ == '__main__':
    sys.exit(main())
