# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""All that the node has from configure to cleanup: model, topics, worker, captures."""

from __future__ import annotations

import json
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

from rclpy.node import Node
from rclpy.publisher import Publisher
from std_msgs.msg import String

from hier_seg_ros.frames.frame import Frame, SegmentedFrame
from hier_seg_ros.frames.watchdog import RestartLimit
from hier_seg_ros.images.encodings import one_line
from hier_seg_ros.images.messages import rgb_of
from hier_seg_ros.ros.cameras.camera import Camera
from hier_seg_ros.ros.cameras.camera_outputs import CameraOutputs
from hier_seg_ros.ros.captures.captures import Captures
from hier_seg_ros.ros.diagnostics.reports import CameraReport, PipelineReport
from hier_seg_ros.ros.node.model_loading import decision_options, load_model
from hier_seg_ros.ros.node.supervised_worker import SupervisedWorker, WorkerReport
from hier_seg_ros.ros.node.worker import Processing, SegmentationWorker
from hier_seg_ros.ros.topics.connections import Connections
from hier_seg_ros.ros.topics.topics import Topics, latched_qos
from hier_seg_ros.segmenter import Segmenter
from hier_seg_ros.segmenter.guards import check_result
from hier_seg_ros.segmenter.outputs import ImageOutput, image_outputs
from hier_seg_ros.settings import Settings, same_model


class Pipeline:
    """From the cameras through the model to the outputs.

    Its methods are for one thread at a time; only `look_after`, `report` and `forget_times` may be
    called beside them.
    """

    def __init__(
        self,
        node: Node,
        connections: Connections,
        settings: Settings,
        closing: Future[None],
    ) -> None:
        """Load the model and create the publishers.

        Parameters
        ----------
        node
            The node that owns the topics.
        connections
            Is told what the middleware says about the topics.
        settings
            The values of the parameters.
        closing
            Done once the process is to end: long work is abandoned then.

        Raises
        ------
        HierSegError
            Model or topics are not as they must be; nothing is left behind.

        """
        self._node = node
        self._connections = connections
        self._closing = closing
        self._processing = Processing(load_model(settings, closing), settings)
        self._topics = Topics(node, connections)
        self._worker: SupervisedWorker | None = None
        # Beyond one activation, or a lifecycle manager would make a loop of it.
        self._restarts = RestartLimit()
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
                    lambda: self._processing.settings,
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

    def start(self) -> None:
        """Publish what is latched, start the worker and take frames.

        Raises
        ------
        HierSegError
            A subscription cannot be created; the pipeline is stopped then.

        """
        self._publish_latched()
        self._worker = SupervisedWorker(
            lambda: SegmentationWorker(self._processing, self._cameras, self._captures),
            self._restarts,
            self._node.get_logger(),
        )
        try:
            self.enable(self._enabled)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Take no more frames; finish the one under way. Again, it does nothing."""
        for camera in self._cameras:
            camera.input.unsubscribe()
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

        Raises
        ------
        HierSegError
            A subscription cannot be created.

        """
        self._enabled = enabled
        for camera in self._cameras:
            if enabled and self._worker is not None:
                camera.input.subscribe()
            else:
                camera.input.unsubscribe()

    def change(self, settings: Settings) -> None:
        """Put settings into force between two frames, loading another model where they ask for it.

        Parameters
        ----------
        settings
            All values of the parameters.

        Raises
        ------
        HierSegError
            The settings do not work; nothing has changed.

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
        self._follow_publishers()

    def _change_model(self, settings: Settings) -> None:
        shapes = {camera.ledger.shape for camera in self._cameras}
        segmenter = load_model(
            settings, self._closing, [shape for shape in shapes if shape is not None]
        )
        offered = _outputs(segmenter)
        changed: list[tuple[Camera, CameraOutputs, CameraOutputs]] = []
        try:
            for camera in self._cameras:
                outputs = CameraOutputs(self._topics, camera.source.camera, offered, camera.outputs)
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

        Raises
        ------
        HierSegError
            There are no frames, or the bag cannot be written.

        """
        directory = self._processing.settings.capture_directory
        return self._captures.write(directory, self._complete, self._closing.done)

    def _complete(self, frame: SegmentedFrame) -> SegmentedFrame:
        """Return a frame with its result; without one where it cannot be segmented."""
        if self._closing.done():
            return frame
        # A frame at a time, so that the cameras' frames get their turn in between.
        with self._processing.lock:
            settings = self._processing.settings
            try:
                (result,) = self.segmenter.segment([rgb_of(frame.frame.message)])
            # As the worker does: a frame that a bug strikes is captured without a prediction.
            except Exception as error:  # noqa: BLE001
                self._node.get_logger().warning(
                    f'a captured frame has no prediction: {one_line(error)}'
                )
                return frame
        flags = check_result(result, settings.max_class_share, settings.max_void_share)
        return replace(frame, result=result, settings=settings, flags=flags)

    def look_after(self) -> str:
        """See that all goes on; to be called about once a second.

        Returns
        -------
        str
            Why it cannot go on, in one line; '' where it does.

        """
        self._follow_publishers()
        worker = self._worker
        return '' if worker is None else worker.watch()

    def _follow_publishers(self) -> None:
        for camera in self._cameras:
            camera.input.follow_publishers()

    def report(self) -> PipelineReport:
        """Return how model, cameras and captures are."""
        worker = WorkerReport() if self._worker is None else self._worker.report()
        captures = self._captures.counts
        return PipelineReport(
            model=self.segmenter.name,
            device=str(self.segmenter.device),
            engine=f'{self.segmenter.engine.name} in {self.segmenter.engine.precision}',
            engine_problem=self.segmenter.engine_problem,
            out_of_memory=worker.out_of_memory,
            backing_off=worker.backing_off,
            restarts=worker.restarts,
            captures_written=captures.written,
            captures_failed=captures.failed,
            captures_skipped=captures.skipped,
            cameras=tuple(self._camera_report(camera) for camera in self._cameras),
        )

    def _camera_report(self, camera: Camera) -> CameraReport:
        source, summary = camera.source, camera.ledger.summary()
        explanation = ''
        if (
            camera.input.subscribed
            and summary.silence > self._processing.settings.stall_warn_seconds
        ):
            explanation = self._connections.explain_silence(
                source.image_topic, camera.input.message_type
            )
        topics = (source.image_topic, source.camera_info_topic, *camera.outputs.topics)
        problems = [line for topic in topics for line in self._connections.problems(topic)]
        return CameraReport(
            name=source.camera,
            topic=source.image_topic,
            enabled=self._enabled,
            counts=camera.ledger.counts,
            summary=summary,
            problems=tuple(problems),
            # A mismatch is a problem by itself.
            explanation='' if explanation in '; '.join(problems) else explanation,
            publishers=self._node.count_publishers(source.image_topic),
            lost=self._connections.lost(source.image_topic),
        )

    def forget_times(self) -> None:
        """Begin statistics and error lines anew: the clock has jumped."""
        for camera in self._cameras:
            camera.ledger.clock_jumped()

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
            camera.ledger.drop('stopped')
        else:
            worker.put(camera, frame)


def _outputs(segmenter: Segmenter) -> tuple[ImageOutput, ...]:
    return image_outputs(segmenter.hierarchy, segmenter.supervised)
