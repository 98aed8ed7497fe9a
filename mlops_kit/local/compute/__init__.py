"""The local cloud's compute: what SageMaker runs on instances, run here as child processes of the server.

``training`` runs a team's script under the container contract; ``serving`` keeps one model container per endpoint
config and moves traffic between them; ``container`` is that container. ``processes`` starts every child behind a
watchdog, so that nothing outlives the server however it ends.
"""
