"""Checkpoints of other libraries as tags of a store, one module a library; each imports its own:

    cairn.adapters.accelerate           save_state(), load_state(), and hooks for the weights alone
    cairn.adapters.lightning            CairnCheckpointIO
    cairn.adapters.torch_checkpointing  CairnStorageConfig
    cairn.adapters.torchtitan           CairnCheckpointManager
    cairn.adapters.transformers         CairnCallback

docs/MIGRATION.md has what to change in a training, and what arguments mean here.
"""
