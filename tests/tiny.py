"""Tiny models of every task on disk: random weights, real files, real tokenizers."""

from pathlib import Path
from typing import Any

import torch

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film", "a", "the", "very", "##s"]


def save_all(root: Path) -> None:
    """GPT-2 and Llama (causal), BERT (masked, encoder, bare, regression), ViT and ResNet (encoders), in folders."""
    import transformers as hf

    torch.manual_seed(0)
    small = {"vocab_size": len(WORDS), "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
             "intermediate_size": 16, "max_position_embeddings": 16}  # fmt: skip
    gpt = hf.GPT2Config(vocab_size=len(WORDS), n_embd=16, n_layer=2, n_head=2, n_positions=16, eos_token_id=3)
    hf.GPT2LMHeadModel(gpt).save_pretrained(root / "gpt")
    hf.LlamaForCausalLM(hf.LlamaConfig(**small)).save_pretrained(root / "llama")
    hf.BertForMaskedLM(hf.BertConfig(**small)).save_pretrained(root / "masked")
    hf.BertModel(hf.BertConfig(**small)).save_pretrained(root / "encoder")
    hf.BertModel(hf.BertConfig(**small), add_pooling_layer=False).save_pretrained(root / "bare")
    hf.BertForSequenceClassification(hf.BertConfig(**small, num_labels=1)).save_pretrained(root / "regression")
    vit = hf.ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=16,
                       patch_size=8)  # fmt: skip
    hf.ViTModel(vit).save_pretrained(root / "vit")
    hf.ResNetModel(hf.ResNetConfig(embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1])).save_pretrained(root / "res")
    vocabulary = {word: index for index, word in enumerate(WORDS)}
    for name in ("masked", "encoder", "bare", "regression"):
        hf.BertTokenizerFast(vocab=vocabulary).save_pretrained(root / name)
    for name, side in (("gpt", "left"), ("llama", "right")):
        word_level(vocabulary, side).save_pretrained(root / name)


def word_level(vocabulary: dict[str, int], side: str = "right") -> Any:
    """Words as tokens, nothing around the text, no padding token: as decoders' tokenizers are."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import PreTrainedTokenizerFast

    plain = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    plain.pre_tokenizer = WhitespaceSplit()  # type: ignore[assignment]  # its stub names the base class only
    return PreTrainedTokenizerFast(tokenizer_object=plain, unk_token="[UNK]", eos_token="[SEP]", padding_side=side,
                                   model_input_names=["input_ids", "attention_mask"])  # fmt: skip
