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
from mlops_kit.config.model import Model, Retraining, Training, TrainingLimits
from mlops_kit.config.project import Project, find_root, load_project
from mlops_kit.config.release_gates import Approvals, Gates, ImageScan, MetricGate, Smoke, SmokeExpect
from mlops_kit.config.serving import Autoscaling, Batch, Rollout, Serverless, Serving, Shadow
from mlops_kit.config.watching import Alarms, Drift, Quality

__all__ = [
    "Access",
    "Alarms",
    "Anomalies",
    "Approvals",
    "Autoscaling",
    "Batch",
    "Budget",
    "Ci",
    "Dataset",
    "Drift",
    "Environment",
    "ExistingNetwork",
    "Gates",
    "ImageScan",
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
    "Smoke",
    "SmokeExpect",
    "Storage",
    "Training",
    "TrainingLimits",
    "find_root",
    "load_project",
]
