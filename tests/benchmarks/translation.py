"""Read one region from one other, beside a Poisson GLM of the two regions on the same trials.

    python tests/benchmarks/translation.py 12 13 5 17 [--seed 0]

Split and neurons are those of `recordings.py`. All ordered pairs of regions of at least eight neurons, on
test trials; bits per spike are means over neurons of at least ten spikes.
"""

from __future__ import annotations

import argparse
import itertools

import numpy as np
import pandas as pd
from recordings import split

import neuromask as nm
from neuromask.evaluation import OTHERS

NO_CHANCE = {"n_shuffles": 0, "n_bootstrap": 0}


def of_pairs(table: pd.DataFrame) -> pd.Series:
    """Return the bits per spike of each ordered pair of regions."""
    return table[table["source"] != OTHERS].set_index(["source", "target"])["bps"]


def main() -> None:
    """Print a row for each recording."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", type=int, nargs="+")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for number in options.recordings:
        train, valid, test = split(number)
        pre = nm.MtMPretrainer(random_state=options.seed).fit(train, X_val=valid)
        model = of_pairs(pre.translation_matrix(test, **NO_CHANCE))
        names, pairs = sorted(set(model.index.get_level_values("source"))), []
        for pair in itertools.combinations(names, 2):
            parts = [s.select_neurons(np.isin(s.regions, pair)) for s in (train, valid, test)]
            glm = nm.baselines.PoissonGLM(["inter_region"]).fit(parts[0], X_val=parts[1])
            table = nm.translation_matrix(glm.predict_rates, parts[2], **NO_CHANCE)
            pairs.append(of_pairs(table))
        both = pd.DataFrame({"MtM": model, "GLM": pd.concat(pairs)})
        row = {"recording": number, "pairs": len(both)} | dict(both.mean())
        row |= {"above": (both["MtM"] > both["GLM"]).mean()}
        print(pd.DataFrame([row]).round(3).to_string(index=False), flush=True)


if __name__ == "__main__":
    main()
