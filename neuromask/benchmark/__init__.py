"""BrainWideBench: submissions by MtM models, and the official scores of them."""

from .submission import score_submission, write_ground_truth, write_submission
from .tasks import TASKS

__all__ = ["TASKS", "score_submission", "write_ground_truth", "write_submission"]
