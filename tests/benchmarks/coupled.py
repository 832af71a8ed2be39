"""Find the links of simulated regions that are coupled in pairs, and none where there is none.

python tests/benchmarks/coupled.py [--seed 0]
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.stats import spearmanr

import neuromask as nm
from neuromask.evaluation import OTHERS

STRENGTHS = (0.95, 0.8, 0.65, 0.5)


def main() -> None:
    """Fit ten regions of which four pairs are coupled, and print what the matrix says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    seed = parser.parse_args().seed
    names = [f"R{i}" for i in range(10)]
    couplings = np.zeros((10, 10))
    for i, strength in enumerate(STRENGTHS):
        couplings[2 * i, 2 * i + 1] = strength
    session = nm.simulate(
        500,
        n_neurons=120,
        n_time=40,
        regions=names,
        couplings=couplings,
        delay=4,
        timescale=3.0,
        mean_rate=8.0,
        random_state=seed,
    )
    train, test = session[:400], session[400:]
    pre = nm.MtMPretrainer(random_state=seed).fit(train)
    table = pre.translation_matrix(test, conditions=test.trials["stimulus"])
    table = table[table["source"] != OTHERS]
    at = [[names.index(name) for name in table[side]] for side in ("source", "target")]
    table = table.assign(strength=(couplings + couplings.T)[at[0], at[1]])
    links, others = (table[known] for known in (table["strength"] > 0, table["strength"] == 0))
    shown = ["source", "target", "strength", "bps", "bps_shared", "p_value"]
    print(links[shown].round(3).to_string(index=False))
    rank = spearmanr(links["strength"], links["bps_shared"])[0]
    print(f"Spearman of links {rank:.2f}; of {len(others)} pairs without one", end=" ")
    print(f"{(others['p_value'] < 0.05).mean():.1%} below 0.05")


if __name__ == "__main__":
    main()
