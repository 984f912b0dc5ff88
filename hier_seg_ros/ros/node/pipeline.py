# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""All that the node has from configure to cleanup: model, topics, worker, captures."""

import json
from collections.abc import Callable
from pathlib import Path

from rclpy.node import Node
from rclpy.publisher import Publisher
from std_msgs.msg import String

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.ros.cameras.camera import Camera, Frame
from hier_seg_ros.ros.cameras.camera_outputs import CameraOutputs
from hier_seg_ros.ros.captures.capture_writer import CapturedFrame
from hier_seg_ros.ros.captures.captures import Captures, with_result
from hier_seg_ros.ros.diagnostics.health import CameraReport
from hier_seg_ros.ros.node.model_loading import decision_options, load_model
from hier_seg_ros.ros.node.parameters import Settings, same_model
from hier_seg_ros.ros.node.worker import Processing, SegmentationWorker
from hier_seg_ros.ros.topics.connections import Connections
from hier_seg_ros.ros.topics.messages import rgb_of
from hier_seg_ros.ros.topics.topics import Topics, latched_qos
from hier_seg_ros.segmenter import Segmenter
from hier_seg_ros.segmenter.guards import check_result
from hier_seg_ros.segmenter.outputs import ImageOutput, image_outputs


class Pipeline:
    """From the cameras through the model to the outputs.

    Its methods are for one thread at a time; only `camera_reports` and `forget_times` may be
    called beside them.
    """

    def __init__(
        self,
        node: Node,
        connections: Connections,
        settings: Settings,
        on_death: Callable[[], None],
        stopping: Callable[[], bool],
    ) -> None:
        """Load the model and create the publishers.

        Args:
            node: the node that owns the topics.
            connections: is told what the middleware says about the topics.
            settings: the values of the parameters.
            on_death: called where a bug has ended the worker.
            stopping: asked during long work; True abandons it.

        Raises:
            HierSegError: model or topics are not as they must be; nothing is left behind.

        """
        self._node = node
        self._connections = connections
        self._on_death = on_death
        self._stopping = stopping
        self._processing = Processing(load_model(settings), settings)
        self._topics = Topics(node, connections)
        self._worker: SegmentationWorker | None = None
        self._cameras: tuple[Camera, ...] = ()
        self._enabled = True
        self._captures = Captures(node, settings.capture_frames)
        self._hierarchy_publisher: Publisher | None = None
        try:
            self._hierarchy_publisher = self._topics.publisher(String, '~/hierarchy', latched_qos())
            for name in settings.cameras or ('',):
                camera = Camera(
                    self._topics,
                    name,
                    _outputs(self.segmenter),
                    settings.image_transport,
                    lambda: self._processing.settings.max_rate_hz,
                    self._receive,
                )
                self._cameras += (camera,)
        except BaseException:
            self.close()
            raise

    @property
    def segmenter(self) -> Segmenter:
        """The model in use."""
        return self._processing.segmenter

    @property
    def captures_written(self) -> int:
        """Number of captures written."""
        return self._captures.written

    @property
    def captures_failed(self) -> int:
        """Number of captures that could not be written."""
        return self._captures.failed

    @property
    def captures_passed_over(self) -> int:
        """How often flagged frames were not captured: shortly before they were, or still are."""
        return self._captures.passed_over

    @property
    def out_of_memory(self) -> str:
        """One line where memory has run out and no frame has succeeded since; else ''."""
        worker = self._worker
        return '' if worker is None else worker.out_of_memory

    @property
    def backing_off(self) -> float:
        """Seconds for which frames are still dropped because memory ran out; 0.0 for none."""
        worker = self._worker
        return 0.0 if worker is None else worker.backing_off

    def start(self) -> None:
        """Publish what is latched, start the worker and take frames.

        Raises:
            HierSegError: a subscription cannot be created; the pipeline is stopped then.

        """
        self._publish_latched()
        self._worker = SegmentationWorker(
            self._processing, self._cameras, self._captures, self._on_death
        )
        try:
            self.enable(self._enabled)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Take no more frames; finish the one under way. Again, it does nothing."""
        for camera in self._cameras:
            camera.unsubscribe()
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def close(self) -> None:
        """Stop and let go of the model and of all topics; again, it does nothing."""
        self.stop()
        self._captures.close()
        for camera in self._cameras:
            camera.close()
        self._cameras = ()
        if self._hierarchy_publisher is not None:
            self._node.destroy_publisher(self._hierarchy_publisher)
            self._hierarchy_publisher = None

    def enable(self, enabled: bool) -> None:
        """Take frames or let go of the inputs; remembered while the pipeline is stopped.

        Raises:
            HierSegError: a subscription cannot be created.

        """
        self._enabled = enabled
        for camera in self._cameras:
            if enabled and self._worker is not None:
                camera.subscribe()
            else:
                camera.unsubscribe()

    def change(self, settings: Settings) -> None:
        """Put settings into force between two frames, loading another model where they ask for it.

        Args:
            settings: all values of the parameters.

        Raises:
            HierSegError: the settings do not work; nothing has changed.

        """
        before = self._processing.settings
        if not same_model(settings, before):
            self._change_model(settings)
        else:
            with self._processing.lock:
                self.segmenter.set_decision_options(decision_options(settings))
                self._processing.settings = settings
            if settings.min_confidence != before.min_confidence:
                for camera in self._cameras:
                    camera.outputs.publish_label_infos(settings.min_confidence)
        if settings.capture_frames != before.capture_frames:
            self._captures.resize(settings.capture_frames)

    def _change_model(self, settings: Settings) -> None:
        shapes = {camera.shape for camera in self._cameras if camera.shape is not None}
        segmenter = load_model(settings, shapes)
        if self._stopping():
            raise HierSegError('parameter model: the node is shutting down')
        offered = _outputs(segmenter)
        changed: list[tuple[Camera, CameraOutputs, CameraOutputs]] = []
        try:
            for camera in self._cameras:
                outputs = CameraOutputs(self._topics, camera.name, offered, camera.outputs)
                changed.append((camera, camera.outputs, outputs))
        except BaseException:
            for _, earlier, outputs in changed:
                outputs.close(keep=earlier)
            raise
        with self._processing.lock:
            self._processing.segmenter = segmenter
            self._processing.settings = settings
            for camera, _, outputs in changed:
                camera.outputs = outputs
            if self._worker is not None:
                self._worker.forget_failures()
        for _, earlier, outputs in changed:
            earlier.close(keep=outputs)
        self._publish_latched()
        self._node.get_logger().info(
            f'model {segmenter.name} ({segmenter.model_folder}) is in use on {segmenter.device}'
        )

    def capture(self) -> Path:
        """Write the last frames and what the model makes of them to a bag; return the bag.

        Raises:
            HierSegError: there are no frames, or the bag cannot be written.

        """
        directory = self._processing.settings.capture_directory
        return self._captures.write(directory, self._complete, self._stopping)

    def _complete(self, frame: CapturedFrame) -> CapturedFrame:
        """Return a frame with its result; without one where it cannot be segmented."""
        if self._stopping():
            return frame
        # A frame at a time, so that the cameras' frames get their turn in between.
        with self._processing.lock:
            settings = self._processing.settings
            try:
                (result,) = self.segmenter.segment([rgb_of(frame.message)])
            except (HierSegError, RuntimeError, MemoryError) as error:
                reason = ' '.join(str(error).split())
                self._node.get_logger().warning(f'a captured frame has no prediction: {reason}')
                return frame
        flags = check_result(result, settings.max_class_share, settings.max_void_share)
        return with_result(frame, result, settings, flags)

    def camera_reports(self) -> tuple[CameraReport, ...]:
        """Return how the cameras are."""
        silence_allowed = self._processing.settings.stall_warn_seconds
        reports = []
        for camera in self._cameras:
            summary = camera.statistics.summary()
            problems: list[str] = []
            if camera.subscribed and summary.silence > silence_allowed:
                problems.append(
                    self._connections.explain_silence(camera.image_topic, camera.message_type)
                )
            for topic in (camera.image_topic, camera.camera_info_topic, *camera.outputs.topics):
                problems.extend(self._connections.problems(topic))
            reports.append(
                CameraReport(
                    name=camera.name,
                    topic=camera.image_topic,
                    enabled=self._enabled,
                    counts=camera.counts.as_dict(),
                    summary=summary,
                    problems=tuple(problems),
                    lost=self._connections.lost(camera.image_topic),
                )
            )
        return tuple(reports)

    def forget_times(self) -> None:
        """Begin statistics and error lines anew: the clock has jumped."""
        for camera in self._cameras:
            camera.forget_times()

    def _publish_latched(self) -> None:
        assert self._hierarchy_publisher is not None
        self._hierarchy_publisher.publish(
            String(data=json.dumps(self.segmenter.hierarchy.as_dict()))
        )
        for camera in self._cameras:
            camera.outputs.publish_label_infos(self._processing.settings.min_confidence)

    def _receive(self, camera: Camera, frame: Frame) -> None:
        worker = self._worker
        if worker is None:
            camera.counts.add('stopped')
        else:
            worker.put(camera, frame)


def _outputs(segmenter: Segmenter) -> tuple[ImageOutput, ...]:
    return image_outputs(segmenter.hierarchy, segmenter.supervised)
