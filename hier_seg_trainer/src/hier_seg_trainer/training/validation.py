# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scores during training, and what follows from them."""

from __future__ import annotations

import copy
from pathlib import Path

import torch

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.segmenter.model_folder import ModelDescription
from hier_seg_ros.segmenter.segmenter import Segmenter
from hier_seg_trainer.configuration import Experiment
from hier_seg_trainer.evaluation import (
    DatasetScores,
    EvaluationOptions,
    evaluate_dataset,
    summary,
)
from hier_seg_trainer.processes import distributed
from hier_seg_trainer.processes.stop_signals import StoppedError, StopWish
from hier_seg_trainer.training.runs.run import Run, save_best
from hier_seg_trainer.training.training_data import TrainingData
from hier_seg_trainer.training.training_log import TrainingLog
from hier_seg_trainer.training.weights.logit_offsets import add_logit_offsets


def evaluation_options(experiment: Experiment) -> EvaluationOptions:
    """Return how the experiment's models are scored, during training and for the model card."""
    # The paper's rule for flat baselines has no meaning for a tree.
    return EvaluationOptions(runner_up=experiment.flat)


def evaluation_is_due(run: Run, experiment: Experiment) -> bool:
    """Return whether the iteration is one to evaluate at, and has not been."""
    at_end = run.iteration == experiment.iterations
    due = at_end or run.iteration % experiment.evaluate_every == 0
    return due and run.evaluated < run.iteration


def is_finished(run: Run, experiment: Experiment) -> bool:
    """Return whether there is nothing left to do, at the end or because scores rise no more."""
    if run.evaluated < run.iteration:
        return False
    patience = experiment.early_stopping.patience
    stopped_early = 0 < patience <= run.evaluations_since_best
    return stopped_early or run.iteration == experiment.iterations


def evaluate(
    run: Run,
    experiment: Experiment,
    data: TrainingData,
    run_folder: Path,
    log: TrainingLog,
    stop: StopWish,
    device: torch.device,
) -> bool:
    """Score the averaged weights on every validation set; keep the best ones if asked to.

    The first process does it and tells the others.

    Parameters
    ----------
    run
        What is scored, and what keeps the scores.
    experiment
        How it is scored.
    data
        The validation sets.
    run_folder
        Where the best checkpoint goes.
    log
        Where the scores go.
    stop
        A wish to stop ends the evaluation.
    device
        Where it is computed.

    Returns
    -------
    bool
        Whether it was done. If not, the run will do it again when it resumes.

    """
    done = True
    if distributed.is_first():
        segmenter = build_segmenter(run, experiment, data, device)
        try:
            with stop.interrupts():
                options = evaluation_options(experiment)
                scores = {
                    name: evaluate_dataset(segmenter, dataset, tree=data.hierarchy, options=options)
                    for name, (_, dataset) in data.validation.items()
                }
        except StoppedError:
            done = False
        else:
            _take_scores(run, experiment, scores, run_folder, log)
    if not distributed.any_process(distributed.is_first() and done, device):
        return False
    run.evaluated = run.iteration
    waited = distributed.from_first(torch.tensor(run.evaluations_since_best, device=device))
    run.evaluations_since_best = int(waited)
    return True


def _take_scores(
    run: Run,
    experiment: Experiment,
    scores: dict[str, DatasetScores],
    run_folder: Path,
    log: TrainingLog,
) -> None:
    """Log the scores; if early stopping watches one of them, see whether it has risen."""
    numbers = {}
    for name, of_dataset in scores.items():
        by_measure = summary(of_dataset)
        log.scores(run.iteration, name, by_measure)
        numbers.update({f'{name}/{measure}': value for measure, value in by_measure.items()})
    stopping = experiment.early_stopping
    if stopping.patience == 0:
        run.scores = scores
        return
    if stopping.measure not in numbers:
        raise HierSegError(
            f'early_stopping.measure: there is no score {stopping.measure!r}; choose among '
            f'{", ".join(numbers)}'
        )
    if numbers[stopping.measure] > run.best:
        run.best = numbers[stopping.measure]
        run.evaluations_since_best = 0
        run.scores = scores
        save_best(run, run_folder)
    else:
        run.evaluations_since_best += 1
        if run.evaluations_since_best >= stopping.patience:
            log.say(
                f'iteration {run.iteration}: {stopping.measure} has not risen above {run.best:.4f} '
                f'in {stopping.patience} evaluations: the run ends here'
            )


def draw_pictures(
    run: Run, experiment: Experiment, data: TrainingData, log: TrainingLog, device: torch.device
) -> None:
    """Log pictures of what the averaged weights decide."""
    if distributed.is_first():
        segmenter = build_segmenter(run, experiment, data, device)
        datasets = {name: dataset for name, (_, dataset) in data.validation.items()}
        log.pictures(run.iteration, segmenter, datasets)


def build_segmenter(
    run: Run, experiment: Experiment, data: TrainingData, device: torch.device
) -> Segmenter:
    """Return a segmenter with the averaged weights of `run`."""
    description = ModelDescription(
        experiment.name, experiment.network_options, experiment.input, data.supervised
    )
    average = copy.deepcopy(run.average)
    add_logit_offsets(average, data.network_hierarchy, experiment.logit_offsets)
    return Segmenter(description, data.network_hierarchy, average, device=str(device))
