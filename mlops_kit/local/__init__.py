"""The local cloud: everything the kit does, on a laptop, through the same code. See ``docs/local-cloud.md``."""
