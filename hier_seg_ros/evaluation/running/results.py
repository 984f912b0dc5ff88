# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an evaluation, or a part of one, has found so far: in memory what is small, else in files.

What is needed to go on is written now and then, whole or not at all. Nothing here grows with the
frames but the boxes of signs and the names of flagged frames.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Any

from hier_seg_ros.bags.image_bag import ImageBag
from hier_seg_ros.bags.storage.damage import DamagedBagError
from hier_seg_ros.bags.writer import BagWriter
from hier_seg_ros.evaluation.prediction_writer import PredictionWriter
from hier_seg_ros.evaluation.report.frame_files import FrameFiles
from hier_seg_ros.evaluation.report.frame_pictures import (
    FramePictures,
    frame_as_json,
    frame_of_json,
)
from hier_seg_ros.evaluation.report.frame_records import FRAMES_FILE, frame_records
from hier_seg_ros.evaluation.running.run_folder import PICTURES, STATE
from hier_seg_ros.evaluation.running.source import Source
from hier_seg_ros.evaluation.running.steps import Frame
from hier_seg_ros.evaluation.scores.bag_scores import BagScores
from hier_seg_ros.evaluation.scores.flicker import motion_is_removed
from hier_seg_ros.evaluation.scores.frame_record import frame_record
from hier_seg_ros.evaluation.scores.sign_list import COLUMNS
from hier_seg_ros.evaluation.scores.timings import Timings
from hier_seg_ros.evaluation.truth.true_labels import Truth
from hier_seg_ros.files.reading import read_json
from hier_seg_ros.files.writing import write_text
from hier_seg_ros.hierarchy import Hierarchy

SIGNS_FILE = 'signs.csv'
PREDICTIONS = 'predictions'
_BEFORE = '.predictions_before'
# Where `BagWriter` has a recording that is not whole; a process that was killed leaves it.
_HIDDEN = '.*.partial'
REJECTED_KEPT = 1000  # lines; all of them are counted
# Seconds between two states, and how many times as long as the last one took to write.
STATE_SECONDS = 2.0
STATE_SHARE = 20


@dataclass
class BagCounts:
    """What became of the images of one bag.

    Attributes
    ----------
    next
        The place of the first one that has not been looked at.
    first_stamp
        That of the first one that was evaluated, in nanoseconds.
    evaluated, without_prediction, rejected
        How many there were; ``rejected`` also counts truths and predictions that cannot be used.

    """

    next: int = 0
    first_stamp: int | None = None
    evaluated: int = 0
    without_prediction: int = 0
    rejected: int = 0


class Results:
    """Gathers frames one after the other, in a folder.

    Attributes
    ----------
    scores, timings
        What was counted.
    bags
        What became of the images, by the place of their bag.
    rejected
        Why images cannot be used; of very many, the first.
    reason
        Why the first of the predictions that cannot be used cannot.

    """

    def __init__(
        self,
        folder: Path,
        hierarchy: Hierarchy,
        *,
        min_sign_pixels: int,
        namespace: str,
        named: Iterable[str] = (),
        pictures: str = 'shown',
    ) -> None:
        """Begin with nothing, or go on where a run has left its state in the folder.

        Parameters
        ----------
        folder
            Where the files go.
        hierarchy
            The tree of the predictions.
        min_sign_pixels
            What the counter of the frames was given.
        namespace
            The node's name, for the topics of the predictions that are written.
        named
            Names of frames that the report shows in any case.
        pictures
            Of which frames to write the full pictures, as `FrameFiles` takes it.

        """
        self.folder = folder
        self.scores = BagScores(hierarchy, min_sign_pixels, motion_removed=motion_is_removed())
        self.timings = Timings()
        self.bags: dict[int, BagCounts] = {}
        self.rejected: list[str] = []
        self.reason = ''
        self._namespace = namespace
        self._files = FrameFiles(folder, hierarchy, tuple(named), kinds=pictures)
        self._saved_pictures: set[int] = set()
        self._writing: tuple[int, BagWriter, PredictionWriter] | None = None
        self._waiting: tuple[str, int] | None = None
        self._due = monotonic() + STATE_SECONDS
        self._truths: dict[int, Truth] = {}
        self._truth_states: dict[str, Any] = {}
        self._extra: Callable[[], Mapping[str, Any]] = dict
        with ExitStack() as stack:
            state = self._restored()
            self._records = stack.enter_context(self._appended(FRAMES_FILE, state))
            self._signs = stack.enter_context(self._appended(SIGNS_FILE, state))
            if not state:
                csv.writer(self._signs).writerow(COLUMNS)
            self._stack = stack.pop_all()

    def keep_with_state(self, extra: Callable[[], Mapping[str, Any]]) -> None:
        """Let each state have also what `extra` returns, for whoever reads it."""
        self._extra = extra

    @property
    def frames(self) -> int:
        """How many frames were evaluated."""
        return self.scores.frames

    @property
    def pictures(self) -> list[FramePictures]:
        """The frames that the report shows, the worst first."""
        return self._files.pictures.frames()

    def names_not_shown(self) -> list[str]:
        """Return a line for each frame that the report was to show and that never came."""
        return self._files.pictures.unknown()

    def of_bag(self, index: int) -> BagCounts:
        """Return what became of the images of a bag."""
        return self.bags.setdefault(index, BagCounts())

    def begin_bag(self, source: Source) -> None:
        """Take up what another run has left of a bag: of its truth, and of a recording."""
        self.of_bag(source.index)
        self.scores.name_sets({one.id: one.name for one in source.truth.node_sets})
        self._files.color_sets({one.id: one.first.color for one in source.truth.node_sets})
        if source.index not in self._truths:
            self._truths[source.index] = source.truth
            if str(source.index) in self._truth_states:
                source.truth.merge(self._truth_states[str(source.index)])
        if source.recorded is None and any(self.folder.rglob(f'{_HIDDEN}/*/*.mcap')):
            self._writer(source)

    def add(self, source: Source, frame: Frame) -> None:
        """Take the next frame of a bag, with all that the steps have made of it."""
        counts = self.of_bag(source.index)
        counts.next = frame.number + 1
        self._files.pictures.reach(frame.place)
        self._reject(frame.rejected, counts)
        if frame.image is not None and frame.outputs is None:
            counts.without_prediction += 1
            self.reason = self.reason or next(iter(frame.outputs_rejected), '')
        if frame.counts is not None:
            self._add_evaluated(source, frame, counts)
        self._save_now_and_then()

    def _reject(self, reasons: Iterable[str], counts: BagCounts) -> None:
        for line in reasons:
            counts.rejected += 1
            if len(self.rejected) < REJECTED_KEPT:
                self.rejected.append(line)

    def _add_evaluated(self, source: Source, frame: Frame, counts: BagCounts) -> None:
        assert frame.image is not None and frame.rgb is not None
        assert frame.outputs is not None and frame.counts is not None
        stamp = frame.image.stamp
        if counts.first_stamp is None:
            counts.first_stamp = stamp
        name = source.name_of(frame.number)
        record = frame_record(
            name,
            stamp,
            (stamp - counts.first_stamp) / 1e9,
            frame.counts,
            bag=source.index,
            milliseconds=frame.milliseconds,
        )
        rgb, outputs = frame.rgb, frame.outputs
        self._files.write(
            name,
            frame.place,
            stamp,
            rgb,
            outputs,
            frame.truth,
            frame.counts.signs.lines,
            record,
            lambda: source.predictions.drawn(rgb, outputs),
        )
        csv.writer(self._signs).writerows(self._files.sign_rows)
        self._files.sign_rows.clear()
        if source.recorded is None:
            self._writer(source).write(outputs, stamp, frame.image.frame_id)
        self._records.write(json.dumps(record, allow_nan=False) + '\n')
        self.scores.add(frame.counts, name if record['flags'] else None)
        for step, milliseconds in frame.milliseconds.items():
            self.timings.add(step, milliseconds)
        counts.evaluated += 1

    def join(self, source: Source, part: Path, stop: int) -> None:
        """Take what another process has found in the frames that follow, and its files.

        Parameters
        ----------
        source
            Their bag.
        part
            The folder of its results, which is removed.
        stop
            The place in the bag of the first image behind the part.

        """
        state = read_json(part / STATE)
        theirs = BagCounts(**state['bags'][str(source.index)])
        # Files first: should this process be killed, the part is taken again.
        if (recording := _recording_of(source, part)).is_dir():
            self._copy_predictions(source, recording)
        self._move_pictures(part)
        counts = self.of_bag(source.index)
        if counts.first_stamp is None:
            counts.first_stamp = theirs.first_stamp
        for record in frame_records(part / FRAMES_FILE):
            record['seconds'] = self._seconds(record['stamp'], counts)
            self._records.write(json.dumps(record, allow_nan=False) + '\n')
        with (part / SIGNS_FILE).open(encoding='utf-8', newline='') as file:
            self._signs.writelines(islice(file, 1, None))
        self._files.pictures.reach(state['images_reached'])
        self._files.pictures.merge(
            replace(
                frame,
                index=frame.index + self.frames,
                seconds=self._seconds(frame.stamp, counts),
            )
            for frame in _saved_pictures(part)
        )
        self._files.count += theirs.evaluated
        self.scores.merge(BagScores.from_state(state['scores'], str(part)))
        self._merge_timings(Timings.from_state(state['timings']))
        source.truth.merge(state['truths'][str(source.index)])
        self.rejected = (self.rejected + state['rejected'])[:REJECTED_KEPT]
        self.reason = self.reason or state['reason']
        counts.next = stop
        counts.evaluated += theirs.evaluated
        counts.without_prediction += theirs.without_prediction
        counts.rejected += theirs.rejected
        shutil.rmtree(part)
        self._save_now_and_then()

    def _merge_timings(self, timings: Timings) -> None:
        # The clock runs once, however many processes there are.
        timings.frames, timings.seconds = 0, 0.0
        self.timings.merge(timings)

    def _seconds(self, stamp: int, counts: BagCounts) -> float:
        return (stamp - (counts.first_stamp or 0)) / 1e9

    def _move_pictures(self, part: Path) -> None:
        for folder in part.iterdir():
            if folder.is_dir() and folder.name != PREDICTIONS and not folder.name.startswith('.'):
                (self.folder / folder.name).mkdir(exist_ok=True)
                for file in folder.iterdir():
                    file.rename(self.folder / folder.name / file.name)

    def end_bag(self) -> None:
        """Finish the recording of the predictions for a bag; what follows belongs to another."""
        if self._writing is not None:
            self._writing[1].finish()
            self._writing = None
            self.save()

    def finish(self) -> None:
        """Finish all files; the state is that of the end."""
        self.end_bag()
        self.save()
        self._stack.close()

    def discard(self) -> None:
        """Close all files, of which only what belongs to the last state is wanted."""
        if self._writing is not None:
            self._writing[1].discard()
            self._writing = None
        self._stack.close()

    # What is needed to go on.

    def save(self) -> None:
        """Write the state, which is that of all files."""
        self._waiting = None
        self._commit(self._state())

    def _save_now_and_then(self) -> None:
        if self._waiting is None and self.frames and monotonic() >= self._due:
            self._waiting = self._state(), self._bytes_of_predictions()
        # A chunk of the recording is written when it is full. Once another one has been, all
        # messages from before the state are on the disk.
        if self._waiting is not None:
            state, size = self._waiting
            if self._writing is None or self._bytes_of_predictions() > size:
                self._waiting = None
                self._commit(state)

    def _bytes_of_predictions(self) -> int:
        return 0 if self._writing is None else self._writing[1].flushed_bytes()

    def _state(self) -> str:
        self._records.flush()
        self._signs.flush()
        return json.dumps(
            {
                'bags': {str(index): asdict(counts) for index, counts in self.bags.items()},
                'scores': self.scores.state(),
                'timings': self.timings.state(),
                'truths': {
                    **self._truth_states,
                    **{str(index): truth.state() for index, truth in self._truths.items()},
                },
                'rejected': self.rejected,
                'reason': self.reason,
                'frames_written': self._files.count,
                'images_reached': self._files.pictures.reached,
                'bytes': {FRAMES_FILE: self._records.tell(), SIGNS_FILE: self._signs.tell()},
                **self._extra(),
            }
        )

    def _commit(self, state: str) -> None:
        begun = monotonic()
        self._save_pictures()
        write_text(self.folder / STATE, state)
        ended = monotonic()
        self._due = ended + max(STATE_SECONDS, STATE_SHARE * (ended - begun))

    def _save_pictures(self) -> None:
        """Write those pictures of the report that are new, and remove those it will not show."""
        frames = {frame.index: frame for frame in self.pictures}
        folder = self.folder / PICTURES
        for index in frames.keys() - self._saved_pictures:
            write_text(folder / f'{index}.json', json.dumps(frame_as_json(frames[index])))
        for index in self._saved_pictures - frames.keys():
            (folder / f'{index}.json').unlink(missing_ok=True)
        self._saved_pictures = set(frames)
        self._files.remove_dropped()

    def _restored(self) -> dict[str, Any]:
        """Take what the folder has of another run, if there is anything; return its state."""
        path = self.folder / STATE
        if not path.is_file():
            return {}
        state: dict[str, Any] = read_json(path)
        self.bags = {int(index): BagCounts(**one) for index, one in state['bags'].items()}
        self.scores = BagScores.from_state(state['scores'], str(path))
        self.timings = Timings.from_state(state['timings'])
        self.rejected, self.reason = state['rejected'], state['reason']
        self._truth_states = state['truths']
        self._files.count = state['frames_written']
        self._files.pictures.reach(state['images_reached'])
        # Pictures may have been saved after the state; their frames will come again.
        saved = [one for one in _saved_pictures(self.folder) if one.index < self._files.count]
        self._files.pictures.merge(saved)
        self._saved_pictures = {frame.index for frame in saved}
        return state

    def _appended(self, name: str, state: Mapping[str, Any]) -> Any:
        """Open a file to write to behind what belongs to the state."""
        path = self.folder / name
        if not state:
            path.unlink(missing_ok=True)
        file = path.open('a', encoding='utf-8', newline='')
        file.truncate(state['bytes'][name] if state else 0)
        file.seek(0, 2)
        return file

    # The recording of the predictions.

    def _writer(self, source: Source) -> PredictionWriter:
        if self._writing is None or self._writing[0] != source.index:
            self.end_bag()
            place = _recording_of(source, self.folder)
            place.parent.mkdir(exist_ok=True)
            before = self._recording_before(place)
            recording = BagWriter(place)
            writer = PredictionWriter(recording, self._namespace, source.hierarchy)
            self._writing = source.index, recording, writer
            if before is not None:
                self._copy_known(before, source, recording, writer)
                shutil.rmtree(self.folder / _BEFORE)
        return self._writing[2]

    def _recording_before(self, place: Path) -> Path | None:
        """Move away what another run has written of a recording, whole or not; return its file."""
        put_away = self.folder / _BEFORE
        if not put_away.exists():
            unfinished = list(place.parent.glob(f'{_HIDDEN}/{place.name}'))
            if place.is_dir():
                place.rename(put_away)
            elif unfinished:
                unfinished[0].rename(put_away)
        for folder in place.parent.glob(_HIDDEN):
            shutil.rmtree(folder, ignore_errors=True)
        return next(put_away.glob('*.mcap'), None)

    def _copy_known(
        self, before: Path, source: Source, recording: BagWriter, writer: PredictionWriter
    ) -> None:
        """Copy the messages for the frames of a bag that the state knows."""
        stamps = {
            record['stamp']
            for record in frame_records(self.folder / FRAMES_FILE)
            if record['bag'] == source.index
        }
        _copy(before, recording, writer, lambda stamp: stamp in stamps)

    def _copy_predictions(self, source: Source, part: Path) -> None:
        writer = self._writer(source)
        assert self._writing is not None
        _copy(part, self._writing[1], writer, lambda stamp: True)


def _recording_of(source: Source, folder: Path) -> Path:
    """Return where the recording of the predictions for a bag lies in a folder of results."""
    place = folder / PREDICTIONS
    return place / f'{source.prefix}{source.bag.path.stem}' if source.prefix else place


def _copy(
    bag: Path, recording: BagWriter, writer: PredictionWriter, wanted: Callable[[int], bool]
) -> None:
    """Copy the messages of a recording whose times are wanted, and the tree if it is not there."""
    with ImageBag(bag) as before, suppress(DamagedBagError):
        for name, topic in before.topics.items():
            if name not in recording.topics:
                recording.add_topic(name, topic.type_name)
        for message in before.messages(before.topics):
            if message.topic == writer.tree_topic:
                if writer.has_tree:
                    continue
                writer.has_tree = True
            elif not wanted(message.time):
                continue
            recording.write_serialized(message.topic, message.data, message.time)


def _saved_pictures(folder: Path) -> list[FramePictures]:
    files = sorted((folder / PICTURES).glob('*.json'))
    return [frame_of_json(read_json(file)) for file in files]
