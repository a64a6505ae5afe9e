#!/usr/bin/env python3
"""Real models of transformers, built from configurations, through all formats and back."""
import json
import unittest
import warnings

import package

if __name__ == "__main__":
    package.enter("torch", "numpy", "safetensors", "transformers")

import torch
import transformers
from formats import FormatTest, bits_of
from safetensors import safe_open
from torch.distributed import checkpoint as dcp

import cairn
from cairn import format_utils

warnings.filterwarnings("ignore")
transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

SMALL = {"vocab_size": 300, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
         "num_attention_heads": 4, "num_key_value_heads": 2}


def models():
    """name -> a small model with random weights."""
    configs = {"gpt2": transformers.GPT2Config(vocab_size=300, n_embd=64, n_layer=2, n_head=4)}
    for tied in (False, True):
        word = "tied" if tied else "untied"
        configs[f"llama-{word}"] = transformers.LlamaConfig(**SMALL, tie_word_embeddings=tied)
        configs[f"mixtral-{word}"] = transformers.MixtralConfig(
            **SMALL, num_local_experts=3, tie_word_embeddings=tied)
    for name, config in configs.items():
        torch.manual_seed(len(name))
        yield name, transformers.AutoModelForCausalLM.from_config(config).to(torch.bfloat16).eval()


def logits(model):
    return model(torch.arange(12).reshape(1, 12)).logits


def contents(folder):
    """(tensors, __metadata__ of the files, the index's metadata, other files) of a model's folder."""
    tensors, about, others = {}, [], {}
    index = None
    for path in sorted(folder.iterdir()):
        if path.suffix == ".safetensors":
            with safe_open(path, "pt") as file:
                about.append(file.metadata())
                tensors |= {name: (str(tensor.dtype), tuple(tensor.shape), bits_of(tensor))
                            for name in file.keys() for tensor in [file.get_tensor(name)]}
        elif path.name == "model.safetensors.index.json":
            index = json.loads(path.read_text())["metadata"]
        else:
            others[path.name] = path.read_bytes()
    return tensors, about[0], index, others


class ModelsTest(FormatTest):
    def assert_loads(self, folder, model):
        loaded = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype="auto").eval()
        self.assert_same(dict(model.state_dict()), dict(loaded.state_dict()))
        # Not to the bit: kernels differ with where the weights lie.
        torch.testing.assert_close(logits(loaded), logits(model), rtol=0.05, atol=0.05)

    def test_folders(self):
        for name, model in models():
            for shard_size in ("1GB", "100KB"):
                source, target = self.folder / f"{name}-{shard_size}", self.folder / f"{name}-{shard_size}-back"
                model.save_pretrained(source, max_shard_size=shard_size)
                (source / "tokenizer.json").write_text("{}")
                self.store_program("import", f"{name}/{shard_size}", str(source))
                self.store_program("export", f"{name}/{shard_size}", str(target), max_shard_size=shard_size)
                self.assertEqual(contents(source), contents(target), name)
                self.assert_loads(target, model)

    def test_state_dicts(self):
        for name, model in models():
            path = self.torch_file(model.state_dict(), f"{name}.pt")
            tag = f"{self.store.path}#{name}/state"
            format_utils.torch_to_cairn(path, tag)
            format_utils.cairn_to_torch(tag, self.folder / f"{name}-back.pt")
            back = torch.load(self.folder / f"{name}-back.pt", weights_only=True)
            self.assert_same(torch.load(path, weights_only=True), back)
            pointers = {tensor.data_ptr() for tensor in model.state_dict().values()}
            self.assertEqual(len({tensor.data_ptr() for tensor in back.values()}), len(pointers), name)
            self.assertEqual(self.store.show(f"{name}/state")["logical_bytes"],
                             sum(tensor.nbytes for tensor in {
                                 tensor.data_ptr(): tensor for tensor in back.values()}.values()))

    def test_trainings_through_dcp(self):
        for name, model in models():
            optimizer = torch.optim.AdamW(model.parameters())
            logits(model).float().square().mean().backward()
            optimizer.step()
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": 1}
            dcp.save(state, checkpoint_id=self.folder / f"{name}-dcp")
            tag = f"{self.store.path}#{name}/training"
            format_utils.dcp_to_cairn(self.folder / f"{name}-dcp", tag)
            format_utils.cairn_to_dcp(tag, self.folder / f"{name}-dcp-back")
            loaded = {"model": {key: torch.zeros_like(value) for key, value in state["model"].items()},
                      "step": 0}
            dcp.load(loaded, checkpoint_id=self.folder / f"{name}-dcp-back")
            for key, value in state["model"].items():
                self.assertEqual(bits_of(loaded["model"][key]), bits_of(value), key)
            self.assertEqual(loaded["step"], 1)

    def test_a_model_of_a_training(self):
        """What a training saved, as a folder that from_pretrained() reads."""
        _, model = next(iter(models()))
        self.store.save("run/step-1", {"model": model.state_dict(), "step": 1})
        target = self.folder / "served"
        self.store_program("export", "run/step-1", str(target), tensors="model.*", rename=r"^model\.=")
        (target / "config.json").write_text(model.config.to_json_string())
        self.assert_loads(target, model)

    def test_shards_that_are_missing(self):
        _, model = next(iter(models()))
        model.save_pretrained(self.folder / "model", max_shard_size="100KB")
        next((self.folder / "model").glob("model-00002*")).unlink()
        with self.assertRaisesRegex(cairn.NotFoundError, "model-00002"):
            self.store_program("import", "gpt2/hole", str(self.folder / "model"))


if __name__ == "__main__":
    unittest.main()
