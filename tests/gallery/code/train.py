"""The least that is a training script: counts the rows of its data and calls the count a model."""

import json
import os
from pathlib import Path

data = Path(os.environ["SM_CHANNEL_TRAIN"])
rows = sum(path.read_text().count("\n") for path in data.rglob("*") if path.is_file())
Path(os.environ["SM_MODEL_DIR"], "model.json").write_text(json.dumps({"rows": rows}))
print("accuracy=0.9")
