"""What the processes that `run_until_killed` starts share: imports, made once.

Only libraries and what defines things. A module that computes something as it is imported would
start threads, such as those of Polars, and a forked process waits for them for ever.
"""

import gc
from importlib import import_module

LIBRARIES = ("peft", "transformers.trainer", "transformers.models.llama.modeling_llama")

# Importing makes a million objects and hardly any garbage, which each training would search.
gc.disable()
for name in (*LIBRARIES, "suffrage.align.training", "suffrage.align.blending", "tests.synthetic"):
    import_module(name)
gc.freeze()
gc.enable()
