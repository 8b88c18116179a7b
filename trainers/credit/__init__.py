"""Credit assignment: a columnar batch of turns in, one advantage per turn out.

TurnBatch.from_lists(...) | from_trajectories(...)  ->  estimate(name, batch, **parameters)  ->  advantage per turn

``modify(name, ...)`` changes what goes into an estimator or what comes out of one.
"""

# Importing these registers the built-in estimators and modifiers, so nobody can take their names first.
from . import baselines as baselines
from . import critics as critics
from . import modified_advantages as modified_advantages
from . import modified_episodes as modified_episodes
from . import modified_rewards as modified_rewards
from . import outcome as outcome
from . import process as process
from . import token_level as token_level
from . import trees as trees
from . import turn as turn
from . import users as users
from .batch import TurnBatch
from .modifiers import list_modifiers, modify, register_modifier
from .registry import estimate, list_estimators, register_estimator
from .tokens import Tokens

__all__ = ["Tokens", "TurnBatch", "estimate", "list_estimators", "list_modifiers", "modify", "register_estimator", "register_modifier"]
