"""mlops-kit: an MLOps platform on AWS as code, and the commands that move models and data through it.

This package knows boto3 and never Terraform; ``stacks/`` knows Terraform and never boto3. They meet in
:mod:`mlops_kit.config` (what exists where) and :mod:`mlops_kit.naming` (what everything is called).
"""

__version__ = "0.1.0"
