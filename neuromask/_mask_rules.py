"""Masks as numbers: what a scheme hides, so that one draw masks a batch of any schemes and sessions.

A rule says with what probability each neuron and each bin of a trial is chosen, and among which
neurons. An entry is chosen if its neuron and its bin are, and what is chosen is hidden and asked for.
Rules are rows of a table, and so a batch is drawn by the same few operations whatever the number of
schemes, regions and sessions in it, and without waiting for the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Draw", "MaskTable", "Rule"]

Ratio = float | tuple[float, float]

# Columns of numbers that are uniform in a range for each trial.
NEURONS, BINS, ENTRIES, END, REGION, SOURCES = range(6)
# Rows of whole numbers of a rule: scheme, whether it attends causally, the first row of members that
# it draws from, and whether it shows nothing else. Those of one session's members begin with a row of
# all its neurons.
CODES = ("scheme", "causal", "first", "alone")
# Above all probabilities, so that no uniform number passes the last of those that can be drawn.
CERTAIN = 2.0


class Rule(NamedTuple):
    """One way of choosing entries of a trial.

    Attributes
    ----------
    neurons, bins, entries : float or (float, float), default=1
        Probability of choosing a neuron of the region, a bin and a single entry; a pair draws each
        trial's uniformly between.
    longest_end : float, default=0
        Share of the trial that the longest end takes: where it is above 0, the last bins are chosen,
        their number uniform from one upwards, and `bins` counts for nothing.
    region_size : int, default=0
        Fewest neurons of the region that is drawn for each trial, uniformly over regions; 0 takes
        all neurons.
    sources : float or (float, float), default=1
        Probability of showing each region beside the one that is drawn; a pair draws each trial's
        uniformly between. At least one is shown.
    alone : bool, default=False
        Whether neurons outside the region are hidden.
    share : float, default=1
        Share of the scheme's trials that follow this rule.
    """

    neurons: Ratio = 1.0
    bins: Ratio = 1.0
    entries: Ratio = 1.0
    longest_end: float = 0.0
    region_size: int = 0
    sources: Ratio = 1.0
    alone: bool = False
    share: float = 1.0


class Draw(NamedTuple):
    """Masks of the trials of a batch.

    Attributes
    ----------
    scheme : Tensor of int, (trials,)
        Number of each trial's scheme.
    causal : Tensor of int, (trials,)
        1 where it attends causally, else 0.
    visible, target : Tensor of float32, (trials, time, neurons)
        1 where the network may look, and where it must answer, 0 elsewhere.
    beside : Tensor of float32, (trials, time or 1, neurons), or None
        1 for entries that a rule hides and does not ask for; None where no rule does so.
    """

    scheme: Tensor
    causal: Tensor
    visible: Tensor
    target: Tensor
    beside: Tensor | None = None


class MaskTable:
    """The rules of some schemes for some sessions, made once and drawn from in every batch.

    Parameters
    ----------
    rules : sequence of sequence of Rule
        Rules of each scheme.
    causal : sequence of bool
        Which schemes attend causally.
    usable : sequence of sequence of int
        Schemes that each session can use, all equally likely.
    regions : sequence of Tensor of int, (neurons,)
        Region codes of each session; a region of a negative code is never drawn.
    n_time : sequence of int
        Bins of each session's trials.
    """

    def __init__(
        self,
        rules: Sequence[Sequence[Rule]],
        causal: Sequence[bool],
        usable: Sequence[Sequence[int]],
        regions: Sequence[Tensor],
        n_time: Sequence[int],
    ) -> None:
        device = regions[0].device
        owners = [i for i, own in enumerate(rules) for _ in own]
        flat = [rule for own in rules for rule in own]
        self.n_rules = len(flat)
        self.n_time = tuple(n_time)
        self.n_neurons = tuple(map(len, regions))
        self.draws_entries = any(rule.entries != 1.0 for rule in flat)
        self.draws_ends = any(rule.longest_end > 0 for rule in flat)
        self.draws_bins = self.draws_ends or any(rule.bins != 1.0 for rule in flat)
        self.is_ragged = len(set(n_time)) > 1
        longest, widest = max(n_time), max(self.n_neurons)
        ranges, codes, chances = [], [], []
        everyone: list[int] = []
        members: list[Tensor] = []
        for own, schemes, bins in zip(regions, usable, n_time, strict=True):
            inside, sizes = _regions_by_size(own)
            shares = [
                rule.share / len(schemes) if i in schemes else 0.0
                for i, rule in zip(owners, flat, strict=True)
            ]
            chances.append(_cumulative(shares))
            everyone.append(sum(map(len, members)))
            for i, rule in zip(owners, flat, strict=True):
                n_regions = int((sizes >= rule.region_size).sum()) if rule.region_size else 1
                ranges.append(_ranges(rule, bins, n_regions))
                first = everyone[-1] + (1 if rule.region_size else 0)
                codes.append([i, int(causal[i]), first, int(rule.alone)])
            rows = torch.cat([torch.ones(1, len(own)), inside.float()])
            members.append(torch.nn.functional.pad(rows, (0, widest - len(own))))
        self.ranges = torch.tensor(ranges, device=device)  # (sessions * rules, 2, columns)
        self.codes = torch.tensor(codes, device=device).T.contiguous()  # (codes, sessions * rules)
        self.chances = torch.tensor(chances, device=device)  # (sessions, rules), cumulative
        self.members = torch.cat(members).to(device)  # (sessions * regions, neurons), 0 or 1
        self.everyone = self.members[everyone]  # (sessions, neurons)
        self.draws_regions = any(rule.region_size for rule in flat)
        self.is_padded = len(set(self.n_neurons)) > 1
        # Regions as sources are all that there are, those that are never drawn too.
        self.draws_sources = any(rule.sources != 1.0 for rule in flat)
        numbered = [torch.unique(own, return_inverse=True)[1] for own in regions]
        self.n_regions = max(int(own.max()) + 1 for own in numbered) if self.draws_sources else 0
        self.numbers = torch.stack(
            [torch.nn.functional.pad(own, (0, widest - len(own))) for own in numbered]
        )  # (sessions, neurons)
        self.bins = torch.arange(longest, dtype=torch.float32, device=device)
        self.ends = torch.tensor(n_time, device=device)

    def sessions(self, parts: Sequence[tuple[int, int]]) -> Tensor:
        """Return the session of each trial of a batch, from sessions and their numbers of trials."""
        session = [i for i, n in parts for _ in range(n)]
        return torch.tensor(session, device=self.ranges.device)

    def draw(
        self,
        session: Tensor | int,
        n_trials: int,
        generator: torch.Generator,
        *,
        shape: tuple[int, int] | None = None,
        per_batch: bool = False,
    ) -> Draw:
        """Draw a scheme and a mask for each trial.

        Parameters
        ----------
        session : Tensor of int, (trials,), or int
            Session of each trial, or of all of them.
        n_trials : int
            Trials.
        generator : torch.Generator
            Source of chance, on the device of the regions.
        shape : (int, int), optional
            Bins and neurons of the masks, those of the longest and widest session by default. What a
            session lacks of them is neither visible nor asked for.
        per_batch : bool, default=False
            Draw one scheme and mask for all trials, which must be of one session.
        """
        widest = self.members.shape[1]
        n_time, n_neurons = shape or (len(self.bins), widest)
        n_drawn = 1 if per_batch else n_trials
        parts = (1, 6, n_time, n_neurons, self.n_regions)
        size = (n_drawn, sum(parts))
        uniform = torch.rand(size, generator=generator, device=self.ranges.device)
        which, numbers, of_bins, of_neurons, of_regions = uniform.split(parts, 1)
        if not isinstance(session, int):
            session = session[:n_drawn]
        # As many rules are passed as have a cumulative probability of no more than `which`.
        rule = (which >= self.chances[session]).sum(1)
        if not isinstance(session, int) or session:
            rule = rule + session * self.n_rules
        low, width = self.ranges[rule].unbind(1)
        numbers = torch.addcmul(low, width, numbers)
        scheme, causal, first, alone = self.codes[:, rule].unbind(0)
        inside = everyone = self.everyone[session].view(-1, widest)[:, :n_neurons]
        beside = None
        if self.draws_regions:
            inside = self.members[numbers[:, REGION].long() + first][:, :n_neurons]
            shown = torch.where(alone[:, None].bool(), inside, everyone)
            if self.draws_sources:
                region = self.numbers[session].view(-1, widest)[:, :n_neurons].expand(n_drawn, -1)
                # No number of what is no source is the least.
                theirs = of_regions.gather(1, region).add_(inside, alpha=2)
                if self.is_padded:
                    theirs += 2 * (1 - everyone)
                bound = torch.maximum(numbers[:, SOURCES], theirs.amin(1))
                shown = torch.where(theirs <= bound[:, None], shown, inside)
            beside, everyone = (everyone - shown)[:, None], shown
        chosen = inside * (of_neurons < numbers[:, NEURONS, None]).float()
        chosen, visible = chosen[:, None], everyone[:, None]
        if self.draws_bins:
            bins = of_bins < numbers[:, BINS, None]
            if self.draws_ends:
                bins = bins | (self.bins[:n_time] >= numbers[:, END, None])
            chosen = chosen * bins.float()[:, :, None]
        if self.draws_entries:
            entries = torch.rand(
                (n_drawn, n_time, n_neurons), generator=generator, device=uniform.device
            )
            chosen = chosen * (entries < numbers[:, ENTRIES, None, None]).float()
        visible = visible - chosen
        if self.is_ragged:
            ends = self.ends[session]
            there = (self.bins[:n_time] < ends[..., None]).float()[..., :, None]
            visible, chosen = visible * there, chosen * there
            beside = None if beside is None else beside * there
        whole = (n_trials, n_time, n_neurons)
        return Draw(
            scheme.expand(n_trials),
            causal.expand(n_trials),
            visible.expand(whole),
            chosen.expand(whole),
            None if beside is None else beside.expand(n_trials, -1, n_neurons),
        )


def _regions_by_size(regions: Tensor) -> tuple[Tensor, Tensor]:
    """Return membership (regions, neurons) and sizes of regions that may be drawn, largest first."""
    codes, sizes = torch.unique(regions.cpu(), return_counts=True)
    sizes = sizes * (codes >= 0)
    order = torch.argsort(sizes, descending=True, stable=True)[: int((sizes > 0).sum())]
    return codes[order, None] == regions.cpu(), sizes[order]


def _cumulative(shares: Sequence[float]) -> list[float]:
    """Add probabilities up; those behind the last that can be drawn are never passed."""
    totals = torch.tensor(shares, dtype=torch.float64).cumsum(0)
    last = max(i for i, share in enumerate(shares) if share > 0)
    return [float(t) if i < last else CERTAIN for i, t in enumerate(totals)]


def _ranges(rule: Rule, n_time: int, n_regions: int) -> list[list[float]]:
    """Return the least of each number of a rule, and the widths of their ranges."""
    # An end of whole bins, uniform from 1 to `longest`, starts at the first whole number from
    # n_time - 1 - u on, where u is uniform from 0 to `longest`.
    longest = max(1, round(rule.longest_end * n_time)) if rule.longest_end > 0 else 0
    end = (n_time - 1.0, n_time - 1.0 - longest) if longest else (n_time, n_time)
    bins = 0.0 if longest else rule.bins
    pairs = [_pair(rule.neurons), _pair(bins), _pair(rule.entries), end, (0.0, n_regions)]
    pairs.append(_pair(rule.sources))
    return [[float(low) for low, _ in pairs], [float(high - low) for low, high in pairs]]


def _pair(ratio: Ratio) -> tuple[float, float]:
    return ratio if isinstance(ratio, tuple) else (ratio, ratio)
