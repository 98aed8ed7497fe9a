"""``environments/``: environments, models and data sets as frozen models; errors name file and line."""

from mlops_kit.config.dataset import Dataset
from mlops_kit.config.environment import (
    Access,
    Anomalies,
    Budget,
    Ci,
    Environment,
    ExistingNetwork,
    Network,
    OffHours,
    Retention,
    Storage,
)
from mlops_kit.config.model import MetricGate, Model, Retraining, Training, TrainingLimits
from mlops_kit.config.project import Project, find_root, load_project
from mlops_kit.config.serving import Autoscaling, Batch, Rollout, Serverless, Serving, Shadow
from mlops_kit.config.watching import Alarms, Drift, Quality

__all__ = [
    "Access",
    "Alarms",
    "Anomalies",
    "Autoscaling",
    "Batch",
    "Budget",
    "Ci",
    "Dataset",
    "Drift",
    "Environment",
    "ExistingNetwork",
    "MetricGate",
    "Model",
    "Network",
    "OffHours",
    "Project",
    "Quality",
    "Retention",
    "Retraining",
    "Rollout",
    "Serverless",
    "Serving",
    "Shadow",
    "Storage",
    "Training",
    "TrainingLimits",
    "find_root",
    "load_project",
]
