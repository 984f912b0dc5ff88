# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command ``evaluate_bag``: a bag in; scores, pictures, a report and predictions out."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from hier_seg_ros.files.interruption import run_command
from hier_seg_ros.resources import DEFAULT_MODEL


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(
        'evaluate_bag', lambda: _load(sys.argv[1:] if arguments is None else arguments)
    )


def _load(arguments: Sequence[str]) -> tuple[Callable[[], int], str]:
    if arguments[:1] == ['compare']:
        from hier_seg_ros.evaluation.comparison import compare_command

        return compare_command.load(arguments[1:])
    if arguments[:1] == ['merge']:
        return _load_merge(arguments)
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.export_worst is not None:
        count, target = options.export_worst
        if not count.isdecimal() or int(count) < 1:
            parser.error(f'--export-worst: {count!r} is no number of frames; give N DIR')
        options.export_worst = int(count), Path(target)
    options.pictures = options.pictures or ('shown' if options.video is None else 'all')
    command = f'evaluate_bag {shlex.join(arguments)}'

    from hier_seg_ros.evaluation.bag_evaluation import run

    return lambda: _report(*run(options, command)), 'nothing was written'


def _load_merge(arguments: Sequence[str]) -> tuple[Callable[[], int], str]:
    options = _merge_parser().parse_args(arguments[1:])
    command = f'evaluate_bag {shlex.join(arguments)}'

    from hier_seg_ros.evaluation.afterwards.merging import merge_runs

    return lambda: _report(
        *merge_runs(options.run, options.out, command), []
    ), 'nothing was written'


def _merge_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='evaluate_bag merge',
        description='Put evaluations of different bags together: every score is what a single run '
        'with all bags gives.',
    )
    parser.add_argument(
        'run', type=Path, nargs='+', help='what evaluate_bag wrote, in the order of the bags'
    )
    parser.add_argument(
        '--out',
        type=Path,
        required=True,
        help='folder to write; one that this command wrote before is replaced',
    )
    return parser


def _report(lines: list[str], warnings: list[str], damages: list[str]) -> int:
    print('\n'.join(lines))
    for text in (*(f'warning: {warning}' for warning in warnings), *damages):
        print(f'evaluate_bag: {text}', file=sys.stderr)
    return 1 if damages else 0


def _parser() -> argparse.ArgumentParser:
    from hier_seg_ros.segmenter.decision_options import VOID_DECISIONS
    from hier_seg_ros.segmenter.engines.engine_options import add_engine_arguments

    parser = argparse.ArgumentParser(
        prog='evaluate_bag',
        description='Segment the images of a bag, or take predictions that were recorded from '
        'the node, and leave scores, pictures and an HTML report. Needs no ROS.',
        epilog='evaluate_bag merge puts several evaluations together; see its --help.',
    )
    parser.add_argument(
        'bag',
        type=Path,
        nargs='+',
        help='rosbag2 folder, .mcap, .db3 or ROS 1 .bag file with images, or a folder of such '
        'recordings; several are evaluated as one',
    )
    parser.add_argument('--image-topic', help='default: the only topic of colour images')
    parser.add_argument(
        '--model',
        help=f'name or folder of the model ({DEFAULT_MODEL}); with --predictions: the one that '
        'made them, for the report, and for its tree if the recording has none',
    )
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N (%(default)s)')
    add_engine_arguments(parser)
    parser.add_argument(
        '--predictions',
        type=Path,
        action='append',
        metavar='BAG',
        help='bag with what the node published for these images; the model is not run then. For '
        'several bags once, or once for each in their order',
    )
    parser.add_argument(
        '--namespace',
        default='/segmenter',
        help="the node's name, or that of one camera below it (%(default)s)",
    )
    parser.add_argument(
        '--truth',
        metavar='TOPIC|FOLDER',
        help='label images to compare with: a topic of the bag, or a folder of PNGs that are named '
        'by the stamp or the number of their image (the topics /ground_truth/<output>/labels)',
    )
    parser.add_argument(
        '--truth-space',
        default='tree',
        metavar='NAME|FILE',
        help="whose ids or colours the truth has: tree (the model's), cityscapes, "
        'cityscapes_train_ids, minicity, camvid, gtsdb, vistas, a mapping file, or the '
        'config_v2.0.json of Vistas (%(default)s)',
    )
    parser.add_argument(
        '--truth-output',
        metavar='OUTPUT',
        help="whose ids the truth has among the tree's: level_1, traffic_signs, categories, … "
        "(what the topic's name says, else node ids of any level)",
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('out/evaluation'),
        help='folder to write; one that this command wrote before is replaced (%(default)s)',
    )
    parser.add_argument(
        '--resume',
        action='store_true',
        help='go on where an evaluation into --out was stopped or killed, if there is one',
    )
    parser.add_argument(
        '--jobs',
        type=int,
        default=1,
        metavar='N',
        help='evaluate with so many processes (%(default)s)',
    )
    parser.add_argument(
        '--dask',
        metavar='ADDRESS',
        help='evaluate on the Dask cluster with this scheduler, such as tcp://10.0.0.7:8786; bags '
        'and --out must be in a place that all machines share',
    )
    parser.add_argument(
        '--pictures',
        choices=('shown', 'all', 'none'),
        help='of which images to write the full pictures and labels: of those that the report '
        'shows, of every one, or of none; the report has its own (shown; all with --video, which '
        'is made of them)',
    )
    parser.add_argument(
        '--video',
        type=Path,
        metavar='FILE',
        help='write the overlays as a video (MP4), too; needs PyAV',
    )
    parser.add_argument(
        '--export-worst',
        nargs=2,
        metavar=('N', 'DIR'),
        help='write the N worst frames as a data set of the trainer, to be labelled',
    )
    parser.add_argument(
        '--alpha',
        type=float,
        default=0.5,
        help="weight of the overlay's colours, 0-1 (%(default)s)",
    )
    parser.add_argument(
        '--show',
        nargs='+',
        action='extend',
        default=[],
        metavar='FRAME',
        help='frames whose pictures the report shows beside the worst and evenly spread ones, as '
        'their files are called',
    )
    parser.add_argument('--void-decisions', choices=VOID_DECISIONS, default='keep')
    parser.add_argument(
        '--min-confidence',
        type=float,
        default=0.0,
        help='a decision below it stops at the parent, 0-1 (%(default)s)',
    )
    parser.add_argument(
        '--min-sign-pixels',
        type=int,
        default=50,
        help='smaller areas are no signs in the list and among the objects; scores of pixels count '
        'every one (%(default)s)',
    )
    return parser


if __name__ == '__main__':
    sys.exit(main())
