"""Dense checkpoints: read from elsewhere with equal logits, folded block by block, and trained on from there."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from kernels.documents import Documents
from loopdata.errors import ConfigError, ShardError
from model.config import ModelConfig
from model.folding import aggregate, fold, groups_of
from model.looped import LoopedTransformer
from model.pretrained import read_dense
from model.train_config import load_train_config
from model.trainer import train
from tests.model.test_looped import BASE, TOKENS
from tests.model.test_trainer import Keys, run, stopping_at

SHAPE: dict[str, Any] = {
    "vocab_size": 11, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 16, "rms_norm_eps": 1e-5,
}  # fmt: skip


def written(kind: str, folder: Path, **changes: Any) -> Any:
    """A small random model of the library `transformers`, and its folder."""
    transformers = pytest.importorskip("transformers", reason="the oracle of dense checkpoints is not installed")
    config = getattr(transformers, f"{kind}Config")(**{**SHAPE, **changes})
    torch.manual_seed(3)
    model = getattr(transformers, f"{kind}ForCausalLM")(config).eval()
    with torch.no_grad():  # biases and norms begin as zeros and ones, which would hide a mistake
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    return model


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("Llama", {}),
        ("Llama", {"tie_word_embeddings": True, "rope_parameters": {"rope_type": "default", "rope_theta": 500.0}}),
        ("Qwen2", {}),
        ("Qwen2", {"tie_word_embeddings": True, "num_key_value_heads": 4}),
    ],
)
def test_a_dense_model_from_elsewhere_has_the_logits_of_its_library(
    kind: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    theirs = written(kind, tmp_path, **changes)
    config, weights = read_dense(tmp_path)
    ours = LoopedTransformer(config)
    ours.load_state_dict(weights)
    with torch.no_grad():
        found = ours(TOKENS, Documents.whole(2, 8)) @ ours.readout.T
        torch.testing.assert_close(found, theirs(TOKENS).logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "changes", "says"),
    [
        ("Llama", {"mlp_bias": True}, "'mlp_bias' is True"),
        ("Llama", {"attention_bias": True}, r"no place for the tensor '.*o_proj\.bias'"),
        (
            "Llama",
            {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}},
            "'rope_type' is 'linear'",
        ),
        ("Qwen3", {"head_dim": 4}, "'model_type' is 'qwen3'"),
    ],
)
def test_a_model_that_this_one_is_not_is_refused_by_name(
    kind: str, changes: dict[str, Any], says: str, tmp_path: Path
) -> None:
    written(kind, tmp_path, **changes)
    with pytest.raises(ConfigError, match=says):
        read_dense(tmp_path)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ShardError, match="neither a checkpoint nor has it a config"):
        read_dense(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", **SHAPE}))
    with pytest.raises(ShardError, match=r"holds no \*\.safetensors"):
        read_dense(tmp_path)


def test_a_folder_without_some_tensor_is_refused_by_its_name(tmp_path: Path) -> None:
    written("Llama", tmp_path)
    (file,) = tmp_path.glob("*.safetensors")
    tensors = load_file(file)
    del tensors["model.norm.weight"]
    save_file(tensors, file)
    with pytest.raises(ShardError, match=r"has no tensor for 'final_norm\.weight'"):
        read_dense(tmp_path)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"num_hidden_layers": 2}, r"a tensor of \[8, 16\] for 'blocks\.2\..*', its config.json tells of none"),
        ({"intermediate_size": 25}, r"of \[16, 24\] for 'blocks\.0\.ffn\.down\.weight', .* of one of \[16, 25\]"),
        ({"vocab_size": None}, r"config\.json: 'vocab_size' is None, no number"),
    ],
)
def test_a_config_that_does_not_fit_its_tensors_is_refused(changes: dict[str, Any], says: str, tmp_path: Path) -> None:
    written("Llama", tmp_path)
    described = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(described | changes))
    with pytest.raises(ShardError, match=says):
        read_dense(tmp_path)


def test_a_file_of_tensors_that_is_cut_off_is_named(tmp_path: Path) -> None:
    written("Llama", tmp_path)
    (file,) = tmp_path.glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-7])
    with pytest.raises(ShardError, match=r"model\.safetensors is broken: .*; fetch config\.json and all"):
        read_dense(tmp_path)


def test_blocks_fold_by_the_loop_that_they_will_be_in_or_with_their_neighbours() -> None:
    assert groups_of(6, 3, 2) == [[0, 3], [1, 4], [2, 5]]
    assert groups_of(6, 2, 2) == [[0, 1, 2], [3, 4, 5]]
    assert groups_of(2, 2, 2) == [[0], [1]]
    with pytest.raises(ConfigError, match="6 dense blocks do not fold into 4"):
        groups_of(6, 4, 2)


@pytest.mark.parametrize(("how", "value"), [("mean", 3.0), ("first", 1.0), ("middle", 2.0), ("last", 6.0)])
def test_a_group_becomes_its_mean_or_one_of_it(how: Any, value: float) -> None:
    assert aggregate([torch.tensor(x) for x in (1.0, 2.0, 6.0)], how).item() == value


def dense(layers: int) -> tuple[ModelConfig, dict[str, Tensor]]:
    config = ModelConfig(**{**BASE, "layers": layers, "loops": 1})
    return config, dict(LoopedTransformer(config, seed=5).state_dict())


def test_a_model_of_equal_blocks_folds_into_one_that_computes_the_same() -> None:
    """Replacing the state and looking at the global part only, two loops of one block are two dense blocks."""
    config, weights = dense(2)
    for name in [name for name in weights if name.startswith("blocks.1.")]:
        weights[name] = weights[name.replace("blocks.1.", "blocks.0.")]
    looped = LoopedTransformer(ModelConfig(**{**BASE, "layers": 1, "loops": 2, "input_injection": "replace",
                                              "window": 16, "window_self": True}))  # fmt: skip
    fold(config, weights, looped, "mean")
    with torch.no_grad():
        assert looped.blocks[0].attention.gate is not None
        looped.blocks[0].attention.gate.bias.fill_(-1e9)  # local attention over the whole window is plain attention
        whole = LoopedTransformer(config)
        whole.load_state_dict(weights)
        found, expected = (model(TOKENS, Documents.whole(2, 8)) for model in (looped, whole))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_models_of_other_shapes_do_not_fold() -> None:
    config, weights = dense(2)
    with pytest.raises(ConfigError, match=r"'model\.ffn_dim' is 16, the dense model has 12"):
        fold(config, weights, LoopedTransformer(ModelConfig(**{**BASE, "ffn_dim": 16})), "mean")


def test_a_training_begins_with_a_folded_checkpoint(training: Keys, tmp_path: Path) -> None:
    shape = {**training()["model"], "layers": 2}
    first = run(training(model=shape, loops=1, steps=40, out=str(tmp_path / "dense")))
    start = {"checkpoint": str(tmp_path / "dense" / first.checkpoint), "fold": "mean"}
    folded = run(training(start=start, loops=2, steps=1, lr=1e-6))
    scratch = run(training(loops=2, steps=1, lr=1e-6, out=str(tmp_path / "scratch")))
    assert first.after["bits_per_byte"] < folded.before["bits_per_byte"] < scratch.before["bits_per_byte"]
    with pytest.raises(ConfigError, match="has 2 loops"):
        read_dense(tmp_path / "out" / folded.checkpoint)


def test_a_training_knows_the_model_that_it_began_with_by_content(training: Keys, tmp_path: Path) -> None:
    shape = {**training()["model"], "layers": 2}
    found = [run(training(model=shape, loops=1, steps=steps, out=str(tmp_path / f"{steps}"))) for steps in (1, 2)]
    first, second = (tmp_path / str(result.steps) / result.checkpoint for result in found)
    dense = first.rename(tmp_path / "dense")
    keys = training(start={"checkpoint": str(dense)}, steps=1)
    began = run(keys)
    moved = dense.rename(tmp_path / "moved")
    assert run({**keys, "start": {"checkpoint": str(moved)}}) == began
    second.rename(dense)
    with pytest.raises(ConfigError, match=r"train\.start\.content of .*result\.json is '[0-9a-f]{64}'"):
        run(keys)


def test_a_training_that_has_begun_no_longer_needs_the_model_that_it_began_with(training: Keys, tmp_path: Path) -> None:
    dense = run(training(loops=1, steps=1, out=str(tmp_path / "dense")))
    keys = training(start={"checkpoint": str(tmp_path / "dense" / dense.checkpoint)})
    whole = run({**keys, "out": str(tmp_path / "whole")})
    with pytest.raises(KeyboardInterrupt):
        train(load_train_config(keys), stopping_at(3))
    shutil.rmtree(tmp_path / "dense")
    assert run({**keys, "out": str(tmp_path / "whole")}) == whole
    assert run(keys).after == whole.after
    stopped, straight = (json.loads((tmp_path / out / "result.json").read_text()) for out in ("out", "whole"))
    assert stopped["origin"] == straight["origin"]
    with pytest.raises(ConfigError, match=r"train\.start\.fold of .*result\.json is 'first', this training has 'last'"):
        run({**keys, "start": {**keys["start"], "fold": "last"}})
    with pytest.raises(ConfigError, match=r"train\.start of .*result\.json is {'content': .*, this training has None"):
        run({**keys, "start": None})


def test_a_model_to_begin_with_that_is_not_there_is_named(training: Keys, tmp_path: Path) -> None:
    with pytest.raises(ShardError, match=r"nowhere is neither a checkpoint nor has it a config\.json; name a"):
        run(training(start={"checkpoint": str(tmp_path / "nowhere")}))
