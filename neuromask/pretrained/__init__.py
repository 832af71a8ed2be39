"""Models that come with the library, to start from: what animals share, and no session's own weights."""

from __future__ import annotations

from pathlib import Path

from .._checks import check_choice
from ..errors import public
from ..pretrainer import MtMPretrainer, load

__all__ = ["available_pretrained", "load_pretrained"]

FOLDER = Path(__file__).resolve().parent
CARD = "CARD.md"


def available_pretrained() -> dict[str, str]:
    """Return the model card of each model that comes with the library, by name.

    Returns
    -------
    dict of str to str
        Markdown: data, licence, bins, regions, scores on animals that were left out, and what the model
        is not for.

    Examples
    --------
    >>> import neuromask as nm
    >>> print(nm.available_pretrained()["steinmetz2019"].splitlines()[0])
    # steinmetz2019
    """
    cards = sorted(FOLDER.glob(f"*/{CARD}"))
    return {card.parent.name: card.read_text(encoding="utf-8") for card in cards}


@public
def load_pretrained(name: str = "steinmetz2019") -> MtMPretrainer:
    """Load a model that comes with the library; it knows no session, and calibrates to yours.

    Calibration takes no gradient step: an encoder of neurons infers the weights of yours from their
    activity and regions. Trials must have the bins that the model was made with (`bin_width_`), or
    narrower ones that `rebin` sums into these, and be no longer than its own.

    Parameters
    ----------
    name : str, default="steinmetz2019"
        One of :func:`available_pretrained`, which tells what each was made of. Models of your own are
        read by :func:`neuromask.load`.

    Returns
    -------
    MtMPretrainer
        Fitted, without sessions.

    Raises
    ------
    InvalidInputError
        If there is no such model.

    Examples
    --------
    >>> import neuromask as nm
    >>> mine = nm.simulate(60, n_neurons=40, n_time=40, bin_width=0.01, random_state=0)
    >>> pre = nm.load_pretrained("steinmetz2019").calibrate(mine[:50])
    >>> pre.predict_hidden(mine[50:]).shape
    (10, 40, 40)
    """
    check_choice("name", name, list(available_pretrained()))
    return load(FOLDER / name)
