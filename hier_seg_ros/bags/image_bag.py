# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The images of a recording, with their stamps."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.bags.bag import Bag
from hier_seg_ros.bags.messages import (
    COMPRESSED_IMAGE,
    GROUND_TRUTH,
    IMAGE,
    LAST_STAMP,
    StampedImage,
    deserialize,
    header_stamp,
    image_pixels,
    is_color,
)
from hier_seg_ros.bags.stamp_index import StampIndex, StampSet
from hier_seg_ros.bags.storage.damage import DamagedBagError
from hier_seg_ros.bags.storage.storage import BagMessage
from hier_seg_ros.errors import HierSegError
from hier_seg_ros.images.encodings import InvalidFrameError
from hier_seg_ros.images.messages import rgb_from_compressed_image
from hier_seg_ros.images.video_codecs import stream_codec
from hier_seg_ros.images.video_decoding import VideoStream, decodes


class ImageBag(Bag):
    """A recording whose messages are decoded."""

    def __init__(self, path: str | Path) -> None:
        """Open the recording; errors as for `Bag`."""
        super().__init__(path)
        self._without_stamps: set[str] = set()

    def choose_image_topic(self, *, leave_out: Collection[str] = ()) -> str:
        """Return the only topic of colour images.

        Parameters
        ----------
        leave_out
            Topics that do not count, and beginnings of such, which end with a slash; those below
            ``/ground_truth/`` never do.

        Raises
        ------
        HierSegError
            There is none, or there are several.

        """
        prefixes = (GROUND_TRUTH, *(name for name in leave_out if name.endswith('/')))
        candidates = [
            topic
            for topic in self.image_topics
            if topic not in leave_out and not topic.startswith(prefixes)
        ]
        colored = [topic for topic in candidates if self._is_color(topic)]
        if len(colored) == 1:
            return colored[0]
        if colored:
            raise HierSegError(
                f'{self.path}: has several topics of colour images ({", ".join(colored)}); '
                'choose one with --image-topic'
            )
        if candidates:
            raise self.lacks(
                f'no topic of 8-bit colour images, only {", ".join(candidates)}; '
                'choose one of them with --image-topic if it is the camera'
            )
        found = ', '.join(sorted(self.topics)) or 'no messages at all'
        raise self.lacks(
            f'no image topic (it has {found}); '
            'record one with: ros2 bag record -s mcap /camera/image_raw'
        )

    def deserialized(self, topic: str) -> Iterator[Any]:
        """Yield the messages of a topic as objects, in the order of the recording.

        Raises
        ------
        HierSegError
            There is no such topic.
        DamagedBagError
            After the last message: not all could be read.

        """
        self.topic(topic)
        for message in self.messages([topic]):
            content = self._content(message)
            if content is not None:
                yield content

    def images(
        self, topic: str, rejected: list[str] | None = None, *, distinct: bool = False
    ) -> Iterator[StampedImage]:
        """Yield the images of a topic in the order of the recording.

        Parameters
        ----------
        topic
            Its name.
        rejected
            Takes a line for each image that makes no sense (size, step, length of the data,
            encoding, a corrupt JPEG), which is left out; where it is None, the line is raised.
        distinct
            Whether an image whose stamp has been there before makes no sense either.

        Raises
        ------
        HierSegError
            There is no such topic, it is not one of images, or an image makes no sense.
        DamagedBagError
            After the last image: not all could be read.

        """
        for image in self.each_image(topic, distinct=distinct):
            if isinstance(image, StampedImage):
                yield image
            elif image is not None:
                if rejected is None:
                    raise image
                rejected.append(str(image))

    def each_image(
        self, topic: str, *, distinct: bool = False, skip: int = 0, start: int | None = None
    ) -> Iterator[StampedImage | HierSegError | None]:
        """Yield for each message of a topic its image, or why it has none.

        None stands for a message that is damaged, which is noted in `damage`. The messages of a
        video stream are decoded in their order, if PyAV is there; what an encoder that looks ahead
        sends later comes later.

        Parameters
        ----------
        topic
            Its name.
        distinct
            Whether an image whose stamp has been there before makes no sense.
        skip
            How many of them to leave out at the beginning, decoding no more than is needed for the
            others.
        start
            Begin at this time of recording, in nanoseconds; None is the beginning. The damage is
            not looked for then.

        Raises
        ------
        HierSegError
            There is no such topic, or it is not one of images.
        DamagedBagError
            After the last one: not all could be read.

        """
        images = self._each_image(topic, distinct, skip, start)
        yield from islice(images, skip, None)

    def _each_image(
        self, topic: str, distinct: bool, skip: int, start: int | None
    ) -> Iterator[StampedImage | HierSegError | None]:
        """Do as `each_image`, with None for those of the first `skip` that need no decoding."""
        seen = StampSet()
        stream: VideoStream[tuple[int, str]] | None = None
        damage = None
        try:
            for number, message in enumerate(self._image_messages([topic], start)):
                content = self._content(message)
                stamp = None if content is None else self._stamp(message)
                if stamp is None:
                    yield None
                elif distinct and not seen.add(stamp):
                    yield HierSegError(
                        f'{self.path}: {topic}: a second image with stamp {stamp}; '
                        'stamps must differ to match images with predictions'
                    )
                elif codec := self._stream_codec(topic, content):
                    stream = stream or VideoStream(codec)
                    place = stamp, content.header.frame_id
                    yield from self._of_stream(topic, stream.decode(content, place))
                elif number < skip:
                    yield None
                else:
                    yield self._image_or_error(message, content)
        except DamagedBagError as error:
            damage = error
        if stream is not None:
            yield from self._of_stream(topic, stream.finish())
        if damage is not None:
            raise damage

    def _stream_codec(self, topic: str, content: Any) -> str | None:
        """Return the codec of a message that is a packet of a video, where it can be decoded."""
        if self.topics[topic].type_name != COMPRESSED_IMAGE:
            return None
        codec = stream_codec(content.format, content.data[:16].tobytes())
        return codec if codec is not None and decodes(codec) else None

    def _of_stream(
        self,
        topic: str,
        found: Iterable[tuple[tuple[int, str], NDArray[np.uint8] | InvalidFrameError]],
    ) -> Iterator[StampedImage | HierSegError]:
        for (stamp, frame_id), pixels in found:
            if isinstance(pixels, InvalidFrameError):
                yield self._senseless_image(topic, stamp, pixels)
            else:
                yield StampedImage(topic, stamp, frame_id, pixels)

    def _image_or_error(self, message: BagMessage, content: Any) -> StampedImage | HierSegError:
        try:
            return self._image(message, content)
        except HierSegError as error:
            return error

    def _senseless_image(self, topic: str, stamp: int, error: InvalidFrameError) -> HierSegError:
        return HierSegError(f'{self.path}: {topic}: image with stamp {stamp}: {error}')

    def image_times(self, topic: str) -> Iterator[tuple[int, int | None, bool]]:
        """Yield for each message what `each_image` goes by, decoding nothing.

        Yields
        ------
        tuple[int, int | None, bool]
            The time of its recording and its stamp, in nanoseconds, and whether the stamp is new;
            None for a message that is damaged.

        Raises
        ------
        HierSegError
            There is no such topic, or it is not one of images.
        DamagedBagError
            After the last one: not all could be read.

        """
        seen = StampSet()
        for message in self._image_messages([topic]):
            stamp = None if self._content(message) is None else self._stamp(message)
            yield message.time, stamp, stamp is None or seen.add(stamp)

    def is_stream(self, topic: str) -> bool:
        """Return whether the images of a topic are packets of a video that is decoded here."""
        with suppress(DamagedBagError):
            for content in self.deserialized(topic):
                return self._stream_codec(topic, content) is not None
        return False

    def stamps(
        self, topics: Collection[str], repeated: list[int] | None = None
    ) -> dict[str, StampIndex]:
        """Return by topic the time of recording by stamp, both in nanoseconds, for `image_at`.

        If a stamp occurs twice, the later recording counts. What cannot be read is left out, and
        is in `damage`.

        Parameters
        ----------
        topics
            Their names.
        repeated
            Takes each stamp of a topic that has been there before.

        Raises
        ------
        HierSegError
            There is no such topic, or it is not one of images.

        """
        pairs = {topic: array('q') for topic in topics}
        seen = {topic: StampSet() for topic in topics}
        with suppress(DamagedBagError):
            for message in self._image_messages(topics):
                if (stamp := self._stamp(message)) is not None:
                    if repeated is not None and not seen[message.topic].add(stamp):
                        repeated.append(stamp)
                    pairs[message.topic].extend((stamp, message.time))
        return {topic: StampIndex(values) for topic, values in pairs.items()}

    def image_at(self, topic: str, stamp: int, recorded: int) -> StampedImage:
        """Return the image with a stamp that was recorded at a time, both from `stamps`.

        Raises
        ------
        HierSegError
            It makes no sense.

        """
        return self._image(*self._found_at(topic, stamp, recorded))

    def message_at(self, topic: str, stamp: int, recorded: int) -> Any:
        """Return the message of an image, not decoded; parameters and errors as for `image_at`."""
        return self._found_at(topic, stamp, recorded)[1]

    def _found_at(self, topic: str, stamp: int, recorded: int) -> tuple[BagMessage, Any]:
        for message in self.messages([topic], recorded, recorded + 1):
            if self._stamp(message) == stamp and (content := self._content(message)) is not None:
                return message, content
        raise HierSegError(f'{self.path}: {topic}: has no image with stamp {stamp}')

    def _image_messages(
        self, topics: Collection[str], start: int | None = None
    ) -> Iterator[BagMessage]:
        """Return the messages of some topics, which must be of images, from a time on."""
        for topic in map(self.topic, topics):
            if topic.type_name not in (IMAGE, COMPRESSED_IMAGE):
                raise HierSegError(
                    f'{self.path}: {topic.name}: is of type {topic.type_name}, no image'
                )
            if not topic.count:
                raise self.lacks(f'no messages of {topic.name}')
        return self.messages(topics, start)

    def _content(self, message: BagMessage) -> Any:
        """Return a message as an object; None, and a note, where it is none of its type."""
        try:
            return deserialize(message.data, self.topics[message.topic].type_name)
        except HierSegError as error:
            self._note_senseless(message, error)
            return None

    def _stamp(self, message: BagMessage) -> int | None:
        """Return a message's stamp, or the time of recording where the stamp is no time.

        None, and a note, where the message is too short for a stamp.
        """
        try:
            stamp = header_stamp(message.data)
        except HierSegError as error:
            self._note_senseless(message, error)
            return None
        if stamp > 0:
            return min(stamp, LAST_STAMP)
        if message.topic not in self._without_stamps:
            self._without_stamps.add(message.topic)
            self.warnings.append(
                f'{self.path}: {message.topic}: has images without a stamp (zero or negative); the '
                f'time of recording takes its place'
            )
        return min(message.time, LAST_STAMP)

    def _image(self, message: BagMessage, content: Any) -> StampedImage:
        stamp = self._stamp(message)
        assert stamp is not None  # The message could be read.
        try:
            if self.topics[message.topic].type_name == IMAGE:
                pixels = image_pixels(content)
            else:
                pixels = rgb_from_compressed_image(content)
        except InvalidFrameError as error:
            raise self._senseless_image(message.topic, stamp, error) from error
        return StampedImage(message.topic, stamp, content.header.frame_id, pixels)

    def _is_color(self, topic: str) -> bool:
        """Return whether the first image of a topic that can be read is in colour."""
        with suppress(DamagedBagError):
            for content in self.deserialized(topic):
                return is_color(content)
        return False
