"""Release a lock whose holder is gone for good."""

from __future__ import annotations

from mlops_kit.errors import ConflictError, NotFoundError
from mlops_kit.naming import ModelNames
from mlops_kit.objects import Store
from mlops_kit.promotion import lock
from mlops_kit.promotion.holder import Holder, unlock_hint


def unlock(store: Store, names: ModelNames, id_: str) -> Holder:
    """Release somebody's lock; whoever asks has to know its id. Returns whose it was.

    Raises:
        NotFoundError: nobody holds it.
        ConflictError: it has another id.
    """
    found = lock.show(store, names)
    where = f"{names.model} in {names.environment.environment}"
    if found is None:
        raise NotFoundError(f"Nobody holds the lock of {where}.")
    if found.id != id_:
        raise ConflictError(
            f"The lock of {where} has another id: it is held by {found}.", hint=unlock_hint(names, found.id)
        )
    lock.release(store, names, id_)
    return found
