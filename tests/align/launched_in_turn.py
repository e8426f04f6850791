"""One of the processes of a launch, which trains the jobs in several folders one after another.

Starting two processes takes far longer than a few steps of a tiny model. With a configuration for
FSDP, weights are really in shards, on a processor too: Accelerate leaves FSDP out without a word
where there is no GPU, and keeps each copy whole.
"""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module
from typing import Any

# Importing makes a million objects and hardly any garbage, which each training would search.
gc.disable()
for name in ("peft", "transformers.trainer"):
    import_module(name)
gc.freeze()
gc.enable()

from accelerate.state import AcceleratorState, PartialState  # noqa: E402
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin  # noqa: E402

from suffrage.align import launch  # noqa: E402

_begin = AcceleratorState.__init__


def _with_shards(
    self: AcceleratorState,
    *args: Any,
    fsdp_plugin: FullyShardedDataParallelPlugin | None = None,
    **more: Any,
) -> None:
    _begin(self, *args, fsdp_plugin=fsdp_plugin, **more)
    if self.distributed_type == DistributedType.MULTI_CPU and fsdp_plugin is not None:
        self.distributed_type = DistributedType.FSDP
        self.fsdp_plugin = fsdp_plugin
        PartialState._shared_state["distributed_type"] = DistributedType.FSDP


def _train_in_turn(folders: list[str]) -> None:
    wanted = os.environ.get("ACCELERATE_USE_FSDP") == "true"
    AcceleratorState.__init__ = _with_shards
    for folder in folders:
        sys.argv[1:] = [folder]
        launch._train_in_this_process()
        assert wanted == (AcceleratorState().distributed_type == DistributedType.FSDP)
        # What the next job finds is what a process of its own would find.
        AcceleratorState._reset_state(reset_partial_state=True)


if __name__ == "__main__":
    _train_in_turn(sys.argv[1:])
