"""Everything that somebody who may write to one of the buckets, or to all of them, could change before a promotion.

``scene``: a world in which version 3 may be released. ``acts``: what is done to it. ``table``: each act, how the
promotion has to end, and a look at whether it did. The tests and the fault sweep go through the same table.
"""
