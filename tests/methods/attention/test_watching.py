"""Attention of real models: what is seen of whom, the gradient against a difference, silenced heads, refusals."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import torch
from tiny_transformers import SMALL, bert, collapse, learned, loaded, pictures, texts, vit
from torch import Tensor, nn

from auditor.errors import NotApplicable
from auditor.methods.attention import watching
from auditor.methods.attention.heads import comparable, first_order_effect, query_dependence
from auditor.methods.attention.watching import Layer, attentions_of, silenced
from auditor.methods.attribution.asked import gradient, scores
from auditor.methods.attribution.explain import explain
from auditor.methods.attribution.method import Context, own_tokens
from auditor.sources.models.loaded import LoadedModel

INPUTS, LABELS = texts(6)
TEXT = {"vocab_size": 30, "num_labels": 3, "pad_token_id": 0}
DECODER = {**TEXT, "bos_token_id": 1, "eos_token_id": 2}
NAMES: dict[str, dict[str, Any]] = {
    "Bert": {**TEXT, **SMALL},
    "Electra": {**TEXT, **SMALL, "embedding_size": 16},
    "Albert": {**TEXT, **SMALL, "embedding_size": 16},
    "MPNet": {**TEXT, **SMALL},
    "DebertaV2": {**TEXT, **SMALL},
    "DistilBert": {**TEXT, "dim": 16, "n_layers": 2, "n_heads": 4, "hidden_dim": 32},
    "GPT2": {**DECODER, "n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 16},
    "Llama": {**DECODER, **SMALL, "num_key_value_heads": 2},
}


def hooks_on(module: nn.Module) -> int:
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in module.modules())


def of_transformers(name: str) -> LoadedModel:
    import transformers

    torch.manual_seed(1)
    config = getattr(transformers, f"{name}Config")(**NAMES[name])
    cls = getattr(transformers, f"{name}ForSequenceClassification")
    return loaded(cls._from_config(config, attn_implementation="eager"))


def of_torchvision() -> LoadedModel:
    from torchvision.models import VisionTransformer

    torch.manual_seed(1)
    module = VisionTransformer(16, 4, num_layers=2, num_heads=4, hidden_dim=16, mlp_dim=32, num_classes=2)
    nn.init.normal_(module.heads.head.weight)  # torchvision starts it at zero
    return loaded(module, "image")


def made(name: str) -> tuple[LoadedModel, Any]:
    if name == "torchvision":
        return of_torchvision(), pictures(6)[0].expand(-1, 3, -1, -1)
    return (loaded(vit(), "image"), pictures(6)[0]) if name == "ViT" else (of_transformers(name), INPUTS)


@pytest.mark.parametrize("name", [*NAMES, "ViT", "torchvision"])
def test_all_layers_are_seen_and_the_answer_is_the_models_own(name: str) -> None:
    model, inputs = made(name)
    targets = torch.zeros(6, dtype=torch.long)
    found = attentions_of(model, inputs, targets)
    assert [layer.heads for layer in found.layers] == [4, 4]
    assert len(found.weights) == len(found.gradients) == 2
    own = own_tokens(inputs)
    for weights, slopes in zip(found.weights, found.gradients, strict=True):
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:3]))
        assert weights.shape == slopes.shape and slopes.abs().sum() > 0
        if own is not None:
            assert not (weights * (own[:, None, :, None] & ~own[:, None, None, :])).any(), "padding is attended to"
    said, leaf, slope = gradient(model, inputs, targets)
    torch.testing.assert_close(found.scores, said)
    torch.testing.assert_close(found.slope, slope)
    torch.testing.assert_close(found.leaf, leaf)
    assert found.grid == ((4, 4) if model.ref.modality == "image" else None)
    assert hooks_on(model.module) == 0
    plain = attentions_of(model, inputs)
    assert not plain.gradients and plain.layers == found.layers
    torch.testing.assert_close(plain.weights[1], found.weights[1])


@contextmanager
def scaled(module: nn.Module, layer: Layer, head: int, by: float) -> Iterator[None]:
    """What the head hands on, `by` times as much: between the head whole and the head silenced."""
    cleared = watching._cleared

    def between(value: Tensor, heads: int, at: int) -> Tensor:
        return value * by + cleared(value, heads, at) * (1 - by)

    with pytest.MonkeyPatch.context() as patch, silenced(module, layer, head):
        patch.setattr(watching, "_cleared", between)
        yield


@pytest.mark.parametrize("name", ["Bert", "Albert", "Llama", "GPT2", "ViT"])
def test_the_sum_of_weights_and_gradients_is_the_slope_of_a_heads_own_strength(name: str) -> None:
    model, inputs = made(name)
    model.module.double()
    inputs = inputs if isinstance(inputs, dict) else inputs.double()
    targets = torch.ones(6, dtype=torch.long)
    found = attentions_of(model, inputs, targets)
    for place in (0, 1):
        effects = first_order_effect(found.weights[place], found.gradients[place])
        for head in (0, 3):
            step = 1e-2
            with scaled(model.module, found.layers[place], head, 1 + step):
                above = scores(model, inputs, targets)
            with scaled(model.module, found.layers[place], head, 1 - step):
                below = scores(model, inputs, targets)
            torch.testing.assert_close(effects[:, head], (above - below) / (2 * step), rtol=5e-3, atol=1e-6)


@pytest.mark.parametrize("name", ["Bert", "Albert", "DebertaV2", "MPNet", "DistilBert", "GPT2", "ViT", "torchvision"])
def test_silencing_all_heads_leaves_only_the_mixing_layers_bias(name: str) -> None:
    """With the mixing matrices set to zero by hand the model must say the same."""
    model, inputs = made(name)
    targets = torch.ones(6, dtype=torch.long)
    before = {key: value.clone() for key, value in model.module.state_dict().items()}
    whole = scores(model, inputs, targets)
    with ExitStack() as stack:
        for layer in attentions_of(model, inputs).layers:
            for head in range(layer.heads):
                stack.enter_context(silenced(model.module, layer, head))
        without = scores(model, inputs, targets)
    assert torch.equal(scores(model, inputs, targets), whole) and hooks_on(model.module) == 0
    assert all(torch.equal(before[key], value) for key, value in model.module.state_dict().items())
    endings = ("attention.output.dense", ".o_proj", ".c_proj", ".out_lin", ".out_proj", ".attn.o", "attention.dense")
    with torch.no_grad():
        mixing = [
            part
            for key, part in model.module.named_modules()
            if key.endswith(endings) and not re.search("mlp|classifier", key)
        ]
        assert mixing
        for part in mixing:
            part.weight.zero_()  # type: ignore[union-attr, operator]  # a matrix
    torch.testing.assert_close(without, scores(model, inputs, targets))
    assert not torch.allclose(without, whole)


def test_a_layer_that_runs_twice_is_silenced_in_one_run_alone() -> None:
    model, targets = of_transformers("Albert"), torch.ones(6, dtype=torch.long)
    first, second = attentions_of(model, INPUTS).layers
    assert (first.module, first.run) == (second.module, 0) and second.run == 1
    found = []
    for layer in (first, second):
        with silenced(model.module, layer, 1):
            found.append(scores(model, INPUTS, targets))
    assert not torch.equal(found[0], found[1])


def test_fused_attention_is_refused_with_what_to_do() -> None:
    with pytest.raises(NotApplicable, match=r"encoder\.layer\.0.*fused.*eager"):
        attentions_of(loaded(bert("sdpa")), INPUTS)


class Windowed(nn.Module):
    """Attends within halves of the tokens, as Swin does within windows."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, rows: Tensor) -> Tensor:
        halves = rows.reshape(-1, 2, 4)
        return self.attention(halves, halves, halves)[0].reshape(len(rows), -1).sum(1, keepdim=True)


def test_windows_and_models_without_attention_are_refused() -> None:
    with pytest.raises(NotApplicable, match="attention attends within windows"):
        attentions_of(loaded(Windowed(), "tabular"), torch.randn(3, 16))
    with pytest.raises(NotApplicable, match="no attention that can be seen"):
        attentions_of(loaded(nn.Linear(4, 2), "tabular"), torch.randn(3, 4))


def test_swin_is_refused() -> None:
    from transformers import SwinConfig, SwinForImageClassification

    config = SwinConfig(image_size=16, patch_size=2, num_channels=1, embed_dim=8, depths=[1, 1], num_heads=[1, 2],
                        window_size=2)  # fmt: skip
    model = loaded(SwinForImageClassification._from_config(config, attn_implementation="eager"), "image")
    with pytest.raises(NotApplicable, match="windows"):
        attentions_of(model, pictures(6)[0])


@pytest.mark.parametrize("method", ["attention_rollout", "gradient_attention"])
def test_maps_lie_on_tokens_and_patches(method: str) -> None:
    targets = torch.ones(6, dtype=torch.long)
    found = explain(method, of_transformers("Bert"), INPUTS, targets, Context()).values
    own = INPUTS["attention_mask"].bool()
    assert found.shape == own.shape and not found[~own].any() and bool((found[own] > 0).all())
    seen = explain(method, loaded(vit(), "image"), pictures(6)[0], targets, Context()).values
    assert seen.shape == (6, 4, 4) and bool((seen >= 0).all()) and bool(seen.any())


def test_a_batch_gives_what_each_text_gives_alone() -> None:
    """Padding changes nothing."""
    model, targets = of_transformers("Bert"), torch.ones(6, dtype=torch.long)
    for method in ("attention_rollout", "gradient_attention"):
        together = explain(method, model, INPUTS, targets, Context()).values
        for row in range(6):
            size = int(INPUTS["attention_mask"][row].sum())
            one = {name: value[row : row + 1, :size] for name, value in INPUTS.items()}
            alone = explain(method, model, one, targets[:1], Context()).values
            torch.testing.assert_close(together[row, :size], alone[0], rtol=1e-4, atol=1e-6)


def dependence(model: LoadedModel, inputs: Any) -> Tensor:
    """The mean query dependence of each head, [layers, heads]."""
    found, own = attentions_of(model, inputs), own_tokens(inputs)
    own = torch.ones(len(inputs), found.weights[0].shape[-1], dtype=torch.bool) if own is None else own
    return torch.stack([query_dependence(each, comparable(own, False)).mean(0) for each in found.weights])


@pytest.mark.parametrize("made_of", ["text", "pictures"])
def test_planted_collapse_is_seen_and_learned_models_are_healthy(made_of: str) -> None:
    inputs, labels = texts() if made_of == "text" else pictures()
    model = learned(bert() if made_of == "text" else vit(), inputs, labels)
    assert (model.logits(inputs).argmax(1) == labels).float().mean() > 0.9
    healthy = dependence(model, inputs)
    assert bool((healthy.amax(1) > 0.05).all())
    collapse(model.module)
    assert bool((dependence(model, inputs) < 0.05).all())
