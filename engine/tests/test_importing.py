from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path
from typing import Any

import gguf
import numpy
import pytest
import torch

from cloister_engine.failures import InternalError
from cloister_engine.loading import check_directory, load_adapter, load_model, load_tokenizer
from cloister_engine.run import dispatch
from cloister_engine.spec import MakeTiny
from cloister_engine.stop import StopFlag
from cloister_engine.tiny import make_tiny
from conftest import Recorder, parse


def test_the_tiny_model_is_the_same_each_time(tiny: Path, tmp_path: Path) -> None:
    channel = Recorder()
    files = make_tiny(MakeTiny(output=tmp_path, threads=1), channel)
    for name in files:
        assert (tmp_path / name).read_bytes() == (tiny / name).read_bytes(), name
    facts = channel.of("imported")[0]
    assert 1_000_000 < facts["parameters"] < 3_000_000
    assert facts["stop_tokens"] == ["<|im_end|>"]


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("pytorch_model.bin", pickle.dumps(1), "pytorch_model.bin"),
        ("model.pt", b"", "model.pt"),
        ("modeling.py", b"", "modeling.py"),
        ("config.json", b'{"auto_map":{}}', "auto_map"),
        ("tokenizer_config.json", b'{"auto_map":{}}', "auto_map"),
    ],
)
def test_code_is_refused(tmp_path: Path, name: str, content: bytes, text: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InternalError, match=text):
        check_directory(tmp_path)


def test_links_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").symlink_to("/etc/hostname")
    with pytest.raises(InternalError, match="plain file"):
        check_directory(tmp_path)


def test_an_adapter_without_safetensors_is_refused(tmp_path: Path, model: Any) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(InternalError, match="adapter_model"):
        load_adapter(model, tmp_path)


@pytest.mark.parametrize("content", [b"", pickle.dumps({"a": 1}), b"PK\x03\x04"])
def test_what_is_not_gguf_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    spec = {"gguf": str(path), "output": str(tmp_path / "o"), "threads": 1}
    with pytest.raises(InternalError, match="not a GGUF"):
        dispatch(parse("import-gguf", spec), Recorder(), StopFlag())


def write_gguf(path: Path, model: Any, tokenizer: Any) -> None:
    """The tiny model as an F32 GGUF file, as llama.cpp's converter would write it."""
    config = model.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    special = {token["content"] for token in state["added_tokens"]}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([token for token, _ in vocabulary])
    writer.add_token_types([3 if token in special else 1 for token, _ in vocabulary])
    writer.add_token_merges([" ".join(merge) for merge in state["model"]["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(0)
    writer.add_chat_template(tokenizer.chat_template)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight":
            continue  # tied
        values = tensor.numpy()
        for part, count in heads.items():
            if part in name:  # llama.cpp's order of rotary pairs
                shape = values.shape
                values = values.reshape(count, 2, shape[0] // count // 2, shape[1]).swapaxes(1, 2).reshape(shape)
        writer.add_tensor(names.get_name(name, (".weight",)), numpy.ascontiguousarray(values))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_gguf_becomes_the_same_model(tmp_path: Path, model: Any, tokenizer: Any) -> None:
    write_gguf(tmp_path / "model.gguf", model, tokenizer)
    channel, output = Recorder(), tmp_path / "out"
    spec = {"gguf": str(tmp_path / "model.gguf"), "output": str(output), "threads": 2}
    dispatch(parse("import-gguf", spec), channel, StopFlag())

    again, words = load_model(output), load_tokenizer(output)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], tensor, msg=name)
    text = "<|im_start|>user\nFour score, and 7 years — ago!<|im_end|>\n"
    assert words(text)["input_ids"] == tokenizer(text)["input_ids"]
    assert words.chat_template == tokenizer.chat_template
    assert (words.eos_token, again.config.max_position_embeddings) == ("<|im_end|>", 2048)
    facts = channel.of("imported")[0]
    assert facts["parameters"] == sum(p.numel() for p in model.parameters())
    assert facts["template_sha256"] == hashlib.sha256(tokenizer.chat_template.encode()).hexdigest()
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in output.iterdir())
