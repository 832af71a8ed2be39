"""Fit a network to masked trials: what pretraining and fine-tuning share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import pandas as pd
import torch

from .._known import Recording, TrialShare
from .._observed import smoothed_psth
from .._random import RandomStreams
from ..errors import warn
from ..nn.session_network import SessionNetwork
from ..schemes import Scheme, SchemeSampler, check_mask
from .batches import SessionTensors
from .loop import TrainingConfig, train, train_in_stages
from .masked_prediction import MaskedPrediction
from .new_sessions import InferredStarts, PretendedNew, dropping_less
from .parameters import stages_of
from .shrinkage import shrink

__all__ = ["Masking", "fit_network", "session_tensors"]

# Bits per spike of validation trials under the mean rates' beyond chance and short fits: a few tiny
# ones end at minus some hundredths, rates that are too high end at minus several bits.
FAR_BELOW_THE_MEAN = -0.2

# Standard deviation of the gaussian that smooths PSTHs, in bins, as in `baselines.PSTH`, and fewest
# validation trials that a model is judged against them by.
PSTH_SMOOTHING = 2.0
FEWEST_TO_JUDGE = 10

# Trials of a mask that is looked at before training: enough that a rare one has a target.
MASKS_TO_CHECK = 32


@dataclass(frozen=True)
class Masking:
    """What a fit hides, and how often it shows each session.

    Attributes
    ----------
    schemes : tuple of Scheme
        Schemes to alternate, in the order of their prompts.
    ignored : sequence of str
        Regions that are never targets.
    per_batch : bool
        Whether a whole batch gets one scheme and mask, or each trial its own.
    neuron_dropout, region_dropout : float
        Probability of hiding a whole neuron or region beside what a scheme hides.
    balanced : bool
        Whether every session gives an epoch as many trials, or each trial comes once.
    """

    schemes: tuple[Scheme, ...]
    ignored: Sequence[str]
    per_batch: bool = False
    neuron_dropout: float = 0.0
    region_dropout: float = 0.0
    balanced: bool = False


def session_tensors(
    recordings: Sequence[Recording | TrialShare], ignored: Sequence[str], device: torch.device
) -> list[SessionTensors]:
    """Move recordings to the device."""
    return SessionTensors.of_parts(recordings, ignored, device)


def fit_network(
    model: SessionNetwork,
    recordings: Sequence[Recording | TrialShare],
    held_out: Sequence[Recording | TrialShare],
    masking: Masking,
    config: TrainingConfig,
    streams: RandomStreams,
    *,
    strategy: str | None = None,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
) -> pd.DataFrame:
    """Train a backbone in place, then shrink its predictions as validation trials ask for.

    Parameters
    ----------
    model : SessionNetwork
        Backbone that has stitches for the sessions, on its device.
    recordings, held_out : sequence of Recording or TrialShare
        Training trials, and validation trials, of which there may be none.
    masking : Masking
        What is hidden.
    config : TrainingConfig
        How to train.
    streams : RandomStreams
        Sources of masks, batches and dropout.
    strategy : {"stitch", "gradual", "full"}, optional
        How to adapt to these sessions, which the backbone has just met. None pretrains: everything
        learns, and where there is an encoder some sessions count as new in each epoch.
    on_epoch : callable, optional
        Told of each epoch as it is done.

    Returns
    -------
    DataFrame
        One row an epoch.
    """
    device = next(model.parameters()).device
    sessions = session_tensors([*recordings, *held_out], masking.ignored, device)
    training, validation = sessions[: len(recordings)], sessions[len(recordings) :]
    _check_masks(masking.schemes, training)
    start_from = PretendedNew if strategy is None else InferredStarts
    objective = MaskedPrediction(
        model,
        training,
        validation,
        SchemeSampler(masking.schemes, per_batch=masking.per_batch),
        config,
        streams,
        neuron_dropout=masking.neuron_dropout,
        region_dropout=masking.region_dropout,
        balanced=masking.balanced,
        starts=start_from(model, training) if model.encoder is not None else None,
    )
    if strategy is None:
        history = train(model, objective, config, streams, on_epoch=on_epoch)
    else:
        stages = stages_of(model, strategy, [r.info.session_id for r in recordings])
        # With few trials, to which stitches alone adapt.
        with dropping_less(model) if strategy == "stitch" else nullcontext():
            history = train_in_stages(model, objective, config, streams, stages, on_epoch=on_epoch)
    shrink(model, objective)
    judged = "validation" if validation else "training"
    bits, _ = objective.score(validation or training)
    if bits < FAR_BELOW_THE_MEAN:
        warn(
            f"predictions of the {judged} trials are {-bits:.2g} bits per spike below those of "
            f"the mean rates. Lower learning_rate, which was {config.learning_rate:g}; check that "
            "training and validation trials are of the same neurons and state."
        )
    elif validation:
        _warn_below_psth(objective, recordings)
    history.attrs.pop("stopped", None)
    return history


def _warn_below_psth(
    objective: MaskedPrediction, recordings: Sequence[Recording | TrialShare]
) -> None:
    """Warn where validation trials are predicted less well than by their mean course in training."""
    psths = {
        r.info.session_id: smoothed_psth(r.counts, r.observed, PSTH_SMOOTHING) for r in recordings
    }
    if sum(len(s) for s in objective.validation) < FEWEST_TO_JUDGE:
        return
    gain, error = objective.gain_over(objective.validation, psths)
    if gain < -2 * error:
        warn(
            f"validation trials are predicted {-gain:.2g} +- {error:.1g} bits per spike less well than by "
            "the mean responses over time (PSTH), which look at nothing. Train on more trials or neurons, or "
            "for more epochs; with few of these neuromask.baselines.PoissonGLM is better."
        )


def _check_masks(schemes: Sequence[Scheme], sessions: Sequence[SessionTensors]) -> None:
    """Look at one mask of each scheme, of the first session that can use it."""
    for scheme in schemes:
        usable = (s for s in sessions if scheme.reason_against(s.regions) is None)
        session = next(usable, None)
        if session is not None:
            check_mask(scheme, (MASKS_TO_CHECK, *session.counts.shape[1:]), session.regions)
