"""One of the processes of a launched training, with its weights really in shards on a processor.

Accelerate leaves FSDP out without a word where there is no GPU, and keeps each copy whole.
"""

from __future__ import annotations

import os
from typing import Any

from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin

from suffrage.align import launch

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


if __name__ == "__main__":
    AcceleratorState.__init__ = _with_shards
    launch._train_in_this_process()
    wanted = os.environ.get("ACCELERATE_USE_FSDP") == "true"
    assert wanted == (AcceleratorState().distributed_type == DistributedType.FSDP)
