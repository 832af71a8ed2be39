"""Networks: layers, what belongs to one session, and backbones."""

from .layers import linear, parameter
from .session_network import SessionNetwork
from .session_weights import SessionStatistics, State, TrialGroup, Weights

__all__ = [
    "SessionNetwork",
    "SessionStatistics",
    "State",
    "TrialGroup",
    "Weights",
    "linear",
    "parameter",
]
