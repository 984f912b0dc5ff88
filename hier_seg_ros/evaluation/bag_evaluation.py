# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `evaluate_bag` does with its bags; imported once the command runs, since it takes time."""

from __future__ import annotations

import argparse
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from time import perf_counter
from typing import Any

from tqdm import tqdm

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.evaluation.afterwards.overlay_video import write_video
from hier_seg_ros.evaluation.afterwards.worst_frames import export_worst_frames
from hier_seg_ros.evaluation.output_folder import check_replaceable
from hier_seg_ros.evaluation.result_files import summary_lines, summary_of, write_result_files
from hier_seg_ros.evaluation.running.ahead import ahead
from hier_seg_ros.evaluation.running.cluster import cluster, done_by_cluster, workers_of
from hier_seg_ros.evaluation.running.options import (
    bags_of,
    check_same_options,
    decisive_options,
    prediction_bags,
)
from hier_seg_ros.evaluation.running.parts import is_done, plan_parts, see_images_before
from hier_seg_ros.evaluation.running.processes import done_by_processes
from hier_seg_ros.evaluation.running.results import Results
from hier_seg_ros.evaluation.running.run_folder import PARTS, STATE, RunFolder, run_folder
from hier_seg_ros.evaluation.running.source import Source, namespace_of, open_source
from hier_seg_ros.evaluation.running.steps import Part, evaluated_frames
from hier_seg_ros.files.reading import read_json
from hier_seg_ros.images.video_decoding import require_video_support


def run(options: argparse.Namespace, command: str) -> tuple[list[str], list[str], list[str]]:
    """Evaluate bags and write the results.

    Parameters
    ----------
    options
        What the parser returned.
    command
        The command as it was typed, for the report.

    Returns
    -------
    tuple[list[str], list[str], list[str]]
        Lines: the result; warnings; for each bag that is damaged, what of it is lost. What can be
        read of such a bag is evaluated.

    Raises
    ------
    HierSegError
        Bag, model or folder are not as they must be; nothing is written then.
    KeyboardInterrupt
        It was interrupted. What there was by then has been written if it says so.

    """
    _check_options(options)
    with ExitStack() as stack:
        sources = [open_source(options, index, stack) for index in range(len(bags_of(options.bag)))]
        _check_one_tree(sources)
        folder = stack.enter_context(run_folder(options.out, resume=options.resume))
        results = _open_results(options, folder, sources[0])
        stack.callback(results.discard)
        interrupted = _evaluate(options, sources, results)
        if interrupted and not (results.frames and folder.may_be_partial):
            raise KeyboardInterrupt
        summary = summary_of(options, command, sources, results, interrupted=interrupted)
        _check_not_empty(summary, options, sources, results.reason)
        if not interrupted:
            summary['truth_faults'] = [line for source in sources for line in source.truth.faults()]
        results.finish()
        folder.evaluated = not interrupted
        topics = [topic for source in sources for topic in source.truth.topics.values()]
        write_result_files(
            folder.path, summary, results.scores, results.pictures, list(dict.fromkeys(topics))
        )
        folder.finish(whole=not interrupted)
        if interrupted:
            raise KeyboardInterrupt(
                f'{results.frames} images are evaluated in {options.out}; go on with --resume'
            )
        lines = [*summary_lines(summary, options.out), *_further_outputs(options, sources, results)]
        bags = {id(bag): bag for source in sources for bag in source.opened}.values()
        warnings = [warning for bag in bags for warning in bag.warnings]
        warnings += summary['truth_faults']
        warnings += results.names_not_shown()
        return lines, warnings, summary.get('partial', [])


def _open_results(options: argparse.Namespace, folder: RunFolder, source: Source) -> Results:
    """Return the results so far, which are those of another run where this one goes on."""
    if folder.goes_on:
        before = read_json(folder.path / STATE)
        check_same_options(before.get('options', {}), options, options.out)
    results = Results(
        folder.path,
        source.hierarchy,
        min_sign_pixels=options.min_sign_pixels,
        namespace=namespace_of(options),
        named=options.show,
        pictures=options.pictures,
    )
    results.keep_with_state(lambda: {'options': decisive_options(options)})
    return results


def _evaluate(options: argparse.Namespace, sources: Sequence[Source], results: Results) -> bool:
    """Evaluate all that is left; return whether Ctrl-C came before the end."""
    begun, frames = perf_counter(), results.frames
    total = sum(source.total for source in sources)
    done = sum(results.of_bag(source.index).next for source in sources)
    progress = tqdm(total=total, initial=done, unit='image', desc='evaluate_bag', disable=None)
    try:
        with progress:
            if options.jobs > 1 or options.dask is not None:
                _evaluate_elsewhere(options, sources, results, progress)
            else:
                _evaluate_here(options, sources, results, progress)
    except KeyboardInterrupt:
        return True
    finally:
        results.timings.frames += results.frames - frames
        results.timings.seconds += perf_counter() - begun
    return False


def _evaluate_here(
    options: argparse.Namespace, sources: Sequence[Source], results: Results, progress: Any
) -> None:
    def added() -> Generator[None, None, None]:
        for source in sources:
            results.begin_bag(source)
            first = results.of_bag(source.index).next
            part = Part(source.index, first, images_before=_images_before(sources, source.index))
            see_images_before(source, part.first)
            with closing(evaluated_frames(source, part, options.min_sign_pixels)) as frames:
                for frame in frames:
                    results.add(source, frame)
                    yield
            results.end_bag()

    # This thread does nothing but wait, so that Ctrl-C comes between two frames.
    with closing(ahead(added(), gives_way=sources[0].recorded is None)) as steps:
        for _ in steps:
            progress.update()


def _evaluate_elsewhere(
    options: argparse.Namespace, sources: Sequence[Source], results: Results, progress: Any
) -> None:
    """Have the parts evaluated by other processes, and put them together in their order."""
    with ExitStack() as stack:
        client = None if options.dask is None else stack.enter_context(cluster(options.dask))
        workers = options.jobs if client is None else workers_of(client)
        parts = [
            part
            for source in sources
            for part in plan_parts(
                source,
                results.of_bag(source.index).next,
                workers,
                images_before=_images_before(sources, source.index),
            )
        ]
        for source in sources:
            results.begin_bag(source)
        folders = {part: results.folder.resolve() / PARTS / part.name for part in parts}
        tasks = [(part, folders[part]) for part in parts if not is_done(folders[part])]
        if not tasks:
            done: Iterator[None] = iter(())
        elif client is None:
            done = stack.enter_context(closing(done_by_processes(options, tasks, workers)))
        else:
            done = stack.enter_context(closing(done_by_cluster(client, options, tasks)))
        missing = {part for part, _ in tasks}
        # Ctrl-C ends the waiting for parts, and never comes while one is being joined.
        joining = stack.enter_context(ThreadPoolExecutor(1))
        for part in parts:
            if part in missing:
                next(done)
            source = sources[part.bag]
            stop = source.total if part.stop is None else part.stop
            joining.submit(results.join, source, folders[part], stop).result()
            progress.update(stop - part.first)


def _images_before(sources: Sequence[Source], index: int) -> int:
    """Return how many images the bags before one have."""
    return sum(source.total for source in sources[:index])


def _further_outputs(
    options: argparse.Namespace, sources: Sequence[Source], results: Results
) -> list[str]:
    """Write what was asked for beside the evaluation; return a line about each."""
    lines = []
    if options.export_worst is not None:
        count, target = options.export_worst
        names = export_worst_frames(sources, options.out, count, target)
        lines.append(f'the {len(names)} worst frames: {target}')
    if options.video is not None:
        write_video(options.out, options.video, results.frames)
        lines.append(f'video: {options.video}')
    return lines


def _check_options(options: argparse.Namespace) -> None:
    check_replaceable(options.out)
    bags = bags_of(options.bag)
    for path in (*bags, *prediction_bags(bags, options.predictions)):
        if path is not None and _is_within(path, options.out):
            raise HierSegError(
                f'{path}: lies within {options.out}, which would be replaced; choose another --out'
            )
    if not 0.0 <= options.alpha <= 1.0:
        raise HierSegError(f'--alpha: {options.alpha} is outside 0-1; choose a value between')
    if options.video is not None:
        require_video_support('--video')
        if options.pictures != 'all':
            raise HierSegError('--video: is made of the overlays; leave --pictures out')
    if options.export_worst is not None:
        check_replaceable(options.export_worst[1])
    if options.jobs < 1:
        raise HierSegError(f'--jobs: {options.jobs} is no number of processes; give 1 or more')
    if options.jobs > 1 and options.dask is not None:
        raise HierSegError('--dask: the cluster has its own number of processes; leave --jobs out')


def _check_one_tree(sources: Sequence[Source]) -> None:
    for source in sources[1:]:
        if source.hierarchy != sources[0].hierarchy:
            raise HierSegError(
                f'{source.bag.path}: its predictions have another label tree than those for '
                f'{sources[0].bag.path}; evaluate them one by one'
            )


def _is_within(path: Path, folder: Path) -> bool:
    return folder.resolve() in (path.resolve(), *path.resolve().parents)


def _check_not_empty(
    summary: dict[str, Any], options: argparse.Namespace, sources: Sequence[Source], reason: str
) -> None:
    images, topic = summary['images'], summary['image_topic']
    if images['evaluated']:
        return
    for source in sources:
        for damage in source.damages:
            raise damage
    if images['without_prediction'] and options.predictions:
        why = 'no stamp is the same; record it from this very bag'
        if reason:
            why = f'what it has cannot be used; the first: {reason}'
        raise HierSegError(
            f'{", ".join(map(str, options.predictions))}: has no prediction for any of the '
            f'{images["without_prediction"]} images of {topic} in {summary["bag"]}: {why}'
        )
    raise HierSegError(
        f'{summary["bag"]}: none of the {images["in_bag"]} images of {topic} can be used; the '
        f'first: {summary["rejected"][0]}'
    )
