"""``environments/*.yaml`` and ``environments/models/*.yaml`` as frozen models; errors name file and line."""

from mlops_kit.config.environment import Budget, Ci, Environment, Retention
from mlops_kit.config.model import Alarms, Autoscaling, Drift, MetricGate, Model, Rollout, Serving, Training
from mlops_kit.config.project import Project, find_root, load_project

__all__ = [
    "Alarms",
    "Autoscaling",
    "Budget",
    "Ci",
    "Drift",
    "Environment",
    "MetricGate",
    "Model",
    "Project",
    "Retention",
    "Rollout",
    "Serving",
    "Training",
    "find_root",
    "load_project",
]
