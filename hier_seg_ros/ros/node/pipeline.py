# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""All that the node has from configure to cleanup: model, topics, worker, captures."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

from rclpy.node import Node
from rclpy.publisher import Publisher
from std_msgs.msg import String

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.frames.frame import Frame, SegmentedFrame
from hier_seg_ros.frames.watchdog import MOST_HANGING_THREADS, RestartLimit, Watchdog
from hier_seg_ros.images.encodings import one_line
from hier_seg_ros.images.messages import rgb_of
from hier_seg_ros.ros.cameras.camera import Camera
from hier_seg_ros.ros.cameras.camera_outputs import CameraOutputs
from hier_seg_ros.ros.captures.captures import Captures
from hier_seg_ros.ros.diagnostics.reports import CameraReport, PipelineReport
from hier_seg_ros.ros.node.legend_publisher import LegendPublisher
from hier_seg_ros.ros.node.model_loading import decision_options, load_model
from hier_seg_ros.ros.node.regions import camera_regions
from hier_seg_ros.ros.node.supervised_worker import SupervisedWorker, WorkerReport
from hier_seg_ros.ros.node.worker import Processing, SegmentationWorker
from hier_seg_ros.ros.topics.connections import Connections
from hier_seg_ros.ros.topics.topics import Topics, latched_qos
from hier_seg_ros.segmenter import Segmenter
from hier_seg_ros.segmenter.class_groups import ClassGroups
from hier_seg_ros.segmenter.guards import check_result
from hier_seg_ros.segmenter.outputs import ImageOutput, image_outputs
from hier_seg_ros.segmenter.region import Region
from hier_seg_ros.settings import (
    Settings,
    named_groups,
    same_model,
    same_outputs,
    same_regions,
)

# Seconds that a process which is to end gives the frame under way: less than those after which
# launch and systemd kill it.
ENDING_PATIENCE = 4.0


class Pipeline:
    """From the cameras through the model to the outputs.

    Its methods are for one thread at a time; only `look_after`, `report`, `forget_times` and
    `end_soon` may be called beside them.
    """

    def __init__(
        self,
        node: Node,
        connections: Connections,
        settings: Settings,
        closing: Future[None],
        restarts: RestartLimit,
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
        restarts
            Those of all workers of the process.

        Raises
        ------
        HierSegError
            Model or topics are not as they must be; nothing is left behind.

        """
        self._node = node
        self._connections = connections
        self._closing = closing
        regions = camera_regions(settings)
        self._processing = Processing(load_model(settings, closing), settings, regions)
        self._topics = Topics(node, connections)
        self._worker: SupervisedWorker | None = None
        self._ending: threading.Timer | None = None
        self._restarts = restarts
        self._cameras: tuple[Camera, ...] = ()
        self._enabled = True
        self._captures = Captures(node, settings.capture_frames)
        self._hierarchy_publisher: Publisher | None = None
        self._legend: LegendPublisher | None = None
        try:
            self._hierarchy_publisher = self._topics.publisher(String, '~/hierarchy', latched_qos())
            self._legend = LegendPublisher(self._topics, lambda: self.segmenter)
            offered = _outputs(self.segmenter, settings)
            for name in settings.cameras or ('',):
                camera = Camera(
                    self._topics,
                    name,
                    offered,
                    self.segmenter.hierarchy,
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
            A subscription cannot be created, or too many threads hang; the pipeline is stopped
            then.

        """
        if self._restarts.hanging >= MOST_HANGING_THREADS:
            raise HierSegError(
                f'{self._restarts.hanging} threads of earlier workers hang, which only a new '
                f'process ends; start the node anew'
            )
        self._publish_latched()
        self._worker = SupervisedWorker(self._start_worker, self._restarts, self._node.get_logger())
        try:
            self.enable(self._enabled)
        except BaseException:
            self.stop()
            raise

    def _start_worker(self) -> SegmentationWorker:
        watchdog = Watchdog(shortest_bound=lambda: self._processing.settings.inference_timeout)
        return SegmentationWorker(
            self._processing,
            self._cameras,
            self._captures,
            watchdog=watchdog,
            renew=self._renew_segmenter,
        )

    def _renew_segmenter(self) -> None:
        """Load the model anew, since a thread hangs in the segmenter that there is."""
        before = self.segmenter
        segmenter = load_model(
            self._processing.settings, self._closing, self._shapes(self._processing.regions)
        )
        with self._processing.lock:
            # It may have been exchanged for another model meanwhile.
            if self.segmenter is before:
                segmenter.set_decision_options(decision_options(self._processing.settings))
                self._processing.segmenter = segmenter
            self._processing.hanging = False

    def stop(self) -> None:
        """Take no more frames; finish the one under way. Again, it does nothing."""
        for camera in self._cameras:
            camera.unsubscribe()
        if self._worker is not None:
            self._worker.close(ENDING_PATIENCE if self._closing.done() else None)
            self._worker = None

    def end_soon(self) -> None:
        """Let nobody wait any longer than a moment for a frame that hangs: the process is to end.

        Who looks after the worker may be at an end already.
        """
        worker = self._worker
        if worker is not None:
            self._ending = threading.Timer(ENDING_PATIENCE, worker.close, (0.0,))
            self._ending.daemon = True
            self._ending.start()

    def close(self) -> None:
        """Stop and let go of the model and of all topics; again, it does nothing."""
        self.stop()
        # It holds on to the worker and so to all topics, whose shared memory would outlast the
        # process.
        if self._ending is not None:
            self._ending.cancel()
            self._ending.join()
            self._ending = None
        self._captures.close()
        for camera in self._cameras:
            camera.close()
        self._cameras = ()
        if self._hierarchy_publisher is not None:
            self._node.destroy_publisher(self._hierarchy_publisher)
            self._hierarchy_publisher = None
        if self._legend is not None:
            self._legend.close()

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
                camera.subscribe()
            else:
                camera.unsubscribe()

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
        regions = self._processing.regions
        if not same_regions(settings, before):
            regions = self._fitting_regions(settings)
        if not same_model(settings, before):
            self._change_model(settings, regions)
        elif not same_outputs(settings, before):
            self._exchange(self.segmenter, settings, regions)
            self._publish_label_infos()
        else:
            with self._processing.lock:
                self.segmenter.set_decision_options(decision_options(settings))
                self._processing.settings = settings
                self._processing.regions = regions
            if settings.min_confidence != before.min_confidence:
                self._publish_label_infos()
        if settings.capture_frames != before.capture_frames:
            self._captures.resize(settings.capture_frames)
        self._follow_publishers()

    def _fitting_regions(self, settings: Settings) -> dict[str, Region]:
        """Return the cameras' regions, if those that have sent images fit them."""
        regions = camera_regions(settings)
        for camera in self._cameras:
            if camera.newest_shape is not None:
                try:
                    regions[camera.source.camera].check(*camera.newest_shape)
                except HierSegError as error:
                    raise HierSegError(f'{camera.source.label}: {error}') from error
        return regions

    def _change_model(self, settings: Settings, regions: Mapping[str, Region]) -> None:
        segmenter = load_model(settings, self._closing, self._shapes(regions))
        self._exchange(segmenter, settings, regions)
        self._publish_latched()
        self._node.get_logger().info(
            f'model {segmenter.name} ({segmenter.model_folder}) is in use on {segmenter.device}'
        )

    def _shapes(self, regions: Mapping[str, Region]) -> set[tuple[int, int]]:
        """Return height and width of what the cameras' newest frames show the network."""
        return {
            regions[camera.source.camera].cropped_shape(*camera.ledger.shape)
            for camera in self._cameras
            if camera.ledger.shape is not None
        }

    def _exchange(
        self, segmenter: Segmenter, settings: Settings, regions: Mapping[str, Region]
    ) -> None:
        """Put settings and a segmenter into force, with the outputs that belong to them."""
        offered = _outputs(segmenter, settings)
        changed: list[tuple[Camera, CameraOutputs, CameraOutputs]] = []
        try:
            for camera in self._cameras:
                outputs = CameraOutputs(
                    self._topics,
                    camera.source.camera,
                    offered,
                    segmenter.hierarchy,
                    camera.depth,
                    camera.ledger,
                    camera.outputs,
                )
                changed.append((camera, camera.outputs, outputs))
            with self._processing.lock:
                segmenter.set_decision_options(decision_options(settings))
                if segmenter is not self.segmenter:
                    self._processing.hanging = False
                    if self._worker is not None:
                        self._worker.forget_failures()
                self._processing.segmenter = segmenter
                self._processing.settings = settings
                self._processing.regions = regions
                for camera, _, outputs in changed:
                    camera.outputs = outputs
        except BaseException:
            for _, earlier, outputs in changed:
                outputs.close(keep=earlier)
            raise
        for _, earlier, outputs in changed:
            earlier.close(keep=outputs)

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
        if self._closing.done() or self._processing.hanging:
            return frame
        # A frame at a time, so that the cameras' frames get their turn in between.
        with self._processing.lock:
            settings = self._processing.settings
            region = self._processing.region(frame.frame.source.camera)
            try:
                rgb = rgb_of(frame.frame.message)
                height, width = rgb.shape[:2]
                region.check(height, width)
                (result,) = self.segmenter.segment([region.crop(rgb)])
                result = region.restore(result, height, width)
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
        if worker is not None and self._legend is not None:
            self._legend.publish()
        return '' if worker is None else worker.watch()

    def _follow_publishers(self) -> None:
        for camera in self._cameras:
            camera.follow()

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
        inputs = (source.image_topic, source.camera_info_topic, camera.depth.topic)
        topics = (*inputs, *camera.outputs.topics)
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
        self._publish_label_infos()
        if self._legend is not None:
            self._legend.publish()

    def _publish_label_infos(self) -> None:
        for camera in self._cameras:
            camera.outputs.publish_label_infos(self._processing.settings.min_confidence)

    def _receive(self, camera: Camera, frame: Frame) -> None:
        worker = self._worker
        if worker is None:
            camera.ledger.drop('stopped')
        else:
            worker.put(camera, frame)


def _outputs(segmenter: Segmenter, settings: Settings) -> tuple[ImageOutput, ...]:
    groups = named_groups(settings.class_groups)
    return image_outputs(
        segmenter.hierarchy,
        segmenter.supervised,
        groups=ClassGroups(groups, segmenter.hierarchy) if groups else None,
        min_named_pixels=settings.min_sign_pixels if settings.overlay_sign_names else None,
    )
