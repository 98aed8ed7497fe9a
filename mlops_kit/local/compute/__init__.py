"""The local cloud's compute: what SageMaker runs on instances, run here as child processes of the server.

==========================  ==========================================================================================
training, layout            a training job: the container contract's directories and variables, the script, its results
processing                  a processing job: the container's command, its inputs and outputs
transform                   a transform job: every object of the input through the model's container
jobs, sources, paths        what jobs have in common: their states, the objects they read, ``/opt/ml`` as a directory
pipelines,                  a pipeline's execution: the steps as requests, in the order of what they need; what a
pipeline_definition,        definition means
pipeline_values
serving, rollout            an endpoint's states, and how an update moves traffic
backlog                     the queue of an asynchronous endpoint
fleet, containers           one endpoint config with its running model containers
container                   the container itself: a process that loads a model and answers requests
capture                     data capture records
processes, watchdog         every child runs behind a watchdog, so that nothing outlives the server however it ends
storage, archives, logs     S3 objects, ``.tar.gz`` and CloudWatch Logs, as SageMaker's own machinery uses them
environment, runtime        what children get to see; what the server was started with
==========================  ==========================================================================================
"""
