"""What both estimators tell scikit-learn of themselves."""

from __future__ import annotations

__all__ = ["DOCUMENTATION", "SpikesEstimator"]

#: Where the documentation of a release is published.
DOCUMENTATION = "https://neuromask.readthedocs.io/en/stable"


class SpikesEstimator:
    """Mixin of estimators whose X is spike counts (trials, time, neurons)."""

    _doc_link_module = "neuromask"
    _doc_link_template = f"{DOCUMENTATION}/generated/neuromask.{{estimator_name}}.html"

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        return {"estimator_name": type(self).__name__}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()  # type: ignore[misc]  # of the estimator beside this mixin
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.positive_only = True
        return tags
