"""Credit assignment: a columnar batch of turns in, one advantage per turn out.

TurnBatch.from_lists(...) | from_trajectories(...)  ->  estimate(name, batch, **parameters)  ->  advantage per turn
"""

# Importing these registers the built-in estimators, so nobody can take their names first.
from . import baselines as baselines
from . import critics as critics
from . import outcome as outcome
from . import process as process
from . import trees as trees
from . import turn as turn
from . import users as users
from .batch import TurnBatch
from .registry import estimate, list_estimators, register_estimator

__all__ = ["TurnBatch", "estimate", "list_estimators", "register_estimator"]
