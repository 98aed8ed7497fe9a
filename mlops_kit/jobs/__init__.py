"""Programs that run inside SageMaker's containers, shipped there as single files: standard library only, Python 3.8."""
