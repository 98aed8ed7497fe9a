"""Every fault at every call: of commit, import, checkout, promote, revert, tag, verify, gc, and of killed processes.

``harness`` injects and judges, ``scenarios`` say what is run in which world, ``driver`` runs one as a process that can
be killed. What the single parts do about trouble is tested with them; here it is what people see in the end: nothing
lost, nothing half visible, and a second run that finishes the work.
"""
