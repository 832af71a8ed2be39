"""BrainWideBench: its recordings, submissions by MtM models, and the official scores of them."""

from .recordings import find_recordings, read_recording
from .submission import score_submission, write_ground_truth, write_submission
from .tasks import TASKS

__all__ = [
    "TASKS",
    "find_recordings",
    "read_recording",
    "score_submission",
    "write_ground_truth",
    "write_submission",
]
