"""Fault sweeps: promotions that are disturbed at every call to AWS, in every way, and then run once more.

For each action (``actions``) the undisturbed run is recorded first: its calls and the state it ends in (``state``).
Then the same world is brought back for every call and every way in which it can go wrong (``injections``), the action
is run with it, run again without, and the end states are compared, byte for byte: nothing lost, nothing twice. While
all that happens, ``watch`` looks at the world after every call for what must never be seen, however short.

Commands run in a ``worker``, a process of its own in which nobody waits and the clock stands still; to be killed for
real, they run in a fork of it. ``harness`` ties it together; ``parts`` are what a whole sweep consists of, the
tampers of ``tests.tampers`` among them:

    python -m tests.faults_promotion              # everything: make test-faults
    python -m tests.faults_promotion --sample 60  # so many injections an action, drawn with a fixed seed
"""
