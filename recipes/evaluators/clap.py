"""Stage 2: train a CLAP model on clips and captions.

The training is contrastive, as in Elizalde et al. 2023 and Wu et al. 2023, with three changes for a
small corpus of few labels:

- Captions of other clips are often true of a clip as well. A row of the similarity matrix therefore
  targets all true captions equally (and a column all matching clips).
- Each batch contains every zero-shot question once: a softmax over one short caption per value of
  an attribute, which is how the model is used.
- Neither tower is pretrained. Linear heads on each tower predict the labels and are dropped at the
  end. Until half-way the audio tower is trained by its heads alone, since untrained text
  embeddings carry no information.

    loss = cross-entropy over captions, both ways  +  sum over attributes of
           (cross-entropy over the values' captions + over the audio heads + over the text heads)
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import ClapConfig, ClapModel, ClapProcessor, PreTrainedTokenizerFast

from recipes.evaluators.augment import augment_clap
from recipes.evaluators.captions import (
    ATTRIBUTES,
    MAX_POSITIONS,
    Caption,
    build_tokenizer,
    caption,
    plain_word,
    value_captions,
)
from recipes.evaluators.corpus import load
from recipes.evaluators.features import EXTRACTOR, MEL_BANDS, WINDOW_FRAMES
from recipes.evaluators.schedule import learning_rate
from recipes.evaluators.settings import Settings
from recipes.training import TrainingProgress, resume, save_training_state, weight_decay_groups

PATCH = (32, 16)  # mel bands, and frames of 20 ms
FULL_AUGMENTATION_FROM = 0.7  # of the steps; the augmentation grows linearly until then
DETACHED_SHARE = 0.5  # of the steps; the label heads alone train the audio tower until then
WARM_UP_STEPS = 60
DECODED_SHARE = (0.15, 0.5)  # of the clips drawn: before and after the augmentation is full
HELD_OUT_CLIPS = 250  # per evaluation during training


def build_clap(settings: Settings, vocabulary: int) -> ClapModel:
    """Build the untrained model.

    Args:
        settings: widths of both towers and of the embedding.
        vocabulary: number of tokens.

    Returns:
        ClapModel with patches that span a quarter of the bands: instruments differ across bands.
    """
    width = settings.clap_width
    audio = dict(
        spec_size=256,
        num_mel_bins=MEL_BANDS,
        patch_size=PATCH,
        patch_stride=PATCH,
        window_size=4,
        depths=[2, 4],
        num_attention_heads=[width // 32, width // 16],
        num_hidden_layers=2,
        patch_embeds_hidden_size=width,
        hidden_size=2 * width,
        hidden_dropout_prob=0.0,
        drop_path_rate=0.0,
        num_classes=1,
    )
    text = dict(
        vocab_size=vocabulary,
        hidden_size=settings.clap_text_width,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=2 * settings.clap_text_width,
        max_position_embeddings=MAX_POSITIONS,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    model = ClapModel(
        ClapConfig(text_config=text, audio_config=audio, projection_dim=settings.embedding)
    )
    _initialise(model)
    return model


def _initialise(model: ClapModel) -> None:
    """Set the starting weights.

    At the library's standard deviation of 0.02, biases and positions dominate the input, and all
    clips and texts start at one embedding. The level dominates the other content of a patch, so
    filters start with zero mean. LOG.md has the failures without this.
    """
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, (nn.Linear, nn.Conv2d)):
                module.weight.normal_(0, module.weight[0].numel() ** -0.5)
            elif isinstance(module, nn.Embedding):
                module.weight.normal_(
                    0, 1.0 if module is model.text_model.embeddings.word_embeddings else 0.1
                )
        filters = model.audio_model.audio_encoder.patch_embed.proj.weight
        filters -= filters.mean((1, 2, 3), keepdim=True)


class Clips:
    """Windows of ten seconds of a split, rendered and decoded, with their labels."""

    def __init__(self, corpus: Path, split: str):
        arrays, self.labels = load(corpus, "performances", split, "clap")
        self.rows = [row for array in arrays for row in array]  # views of the memory-mapped arrays

    def window(self, clip: int, copy: int, start: int) -> np.ndarray:
        return np.asarray(self.rows[clip][copy, start : start + WINDOW_FRAMES], dtype=np.float32)

    def draw(
        self, clips: np.ndarray, rng: np.random.Generator, amount: float = 1.0
    ) -> torch.Tensor:
        """Draw a random augmented window of each clip.

        Args:
            clips: indices of clips, [B].
            rng: source of randomness.
            amount: strength of the augmentation, up to 1.

        Returns:
            Log-mel windows [B, 1, T, 128], each from a random copy at a random position.
        """
        decoded = DECODED_SHARE[amount >= 1]
        latest = self.rows[0].shape[1] - WINDOW_FRAMES
        windows = [
            self.window(c, int(rng.random() < decoded), int(rng.integers(latest + 1)))
            for c in clips
        ]
        return torch.from_numpy(augment_clap(np.stack(windows), rng, amount))[:, None]


class LabelHeads(nn.ModuleDict):
    """One linear head per attribute, which predicts its value from the state of a tower."""

    def __init__(self, width: int):
        super().__init__(
            {attribute: nn.Linear(width, len(values)) for attribute, values in ATTRIBUTES.items()}
        )

    def loss(self, states: torch.Tensor, truths: Sequence[dict]) -> torch.Tensor:
        """Return the sum over attributes of the cross-entropy over values.

        Rows without a label do not count.
        """
        targets = {attribute: values_of(attribute, truths) for attribute in self}
        return sum(
            F.cross_entropy(self[a](states), target)
            for a, target in targets.items()
            if (target >= 0).any()
        )


def values_of(attribute: str, truths: Sequence[dict]) -> torch.Tensor:
    """Return the index of each row's value, [B]; -100 where the row has none."""
    values = list(ATTRIBUTES[attribute])
    return torch.tensor(
        [
            values.index(match_matrix[attribute]) if attribute in match_matrix else -100
            for match_matrix in truths
        ]
    )


def train_clap(corpus: Path, out: Path, settings: Settings) -> None:
    """Train, or resume from `out/clap.pt`; write the finished model to `out/clap/`."""
    torch.manual_seed(settings.seed)
    tokenizer = build_tokenizer()
    model = build_clap(settings, len(tokenizer))
    heads = nn.ModuleDict(
        {
            "audio": LabelHeads(model.config.audio_config.hidden_size),
            "text": LabelHeads(settings.clap_text_width),
        }
    )
    trained = nn.ModuleDict({"clap": model, "heads": heads})
    optimizer = torch.optim.AdamW(
        weight_decay_groups(trained.parameters(), 0.05),
        lr=settings.clap_rate,
        betas=(0.9, 0.98),
        fused=True,
    )
    clips, held_out = Clips(corpus, "train"), Clips(corpus, "held-out")
    checkpoint = out / "clap.pt"
    first = resume(checkpoint, trained, optimizer)
    progress = TrainingProgress()
    model.train()
    for step in range(first, settings.clap_steps):
        rng = np.random.default_rng((settings.seed, 1, step))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(
                settings.clap_rate, step, settings.clap_steps, WARM_UP_STEPS
            )
        drawn = rng.integers(len(clips.labels), size=settings.clap_batch)
        labels = [clips.labels[i] for i in drawn]
        amount = min(1.0, step / (FULL_AUGMENTATION_FROM * settings.clap_steps))
        with torch.autocast("cpu", torch.bfloat16):
            audio_states = model.audio_model(clips.draw(drawn, rng, amount)).pooler_output
        audio_detached = step < DETACHED_SHARE * settings.clap_steps
        loss = clap_loss(model, heads, tokenizer, audio_states.float(), labels, rng, audio_detached)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            model.logit_scale_a.clamp_(max=math.log(100))  # as CLIP
        progress.step(loss)
        if (step + 1) % 50 == 0:
            print(f"clap step {step + 1}: loss {progress.loss:.3f}, {progress.pace}", flush=True)
        if (step + 1) % settings.checkpoint_every == 0:
            shares = accuracy(model, tokenizer, held_out)
            text = ", ".join(f"{attribute} {a:.0%}|{b:.0%}" for attribute, (a, b) in shares.items())
            print(
                f"clap step {step + 1}: zero-shot accuracy on held-out clips, "
                f"rendered|decoded: {text}",
                flush=True,
            )
            save_training_state(checkpoint, trained, optimizer, step + 1)
    save_clap(model, out)


def clap_loss(
    model: ClapModel,
    heads: nn.ModuleDict,
    tokenizer: PreTrainedTokenizerFast,
    audio_states: torch.Tensor,
    labels: list[dict],
    rng: np.random.Generator,
    audio_detached: bool,
) -> torch.Tensor:
    """Loss of one batch; see the module docstring.

    Args:
        model: both towers and projections.
        heads: linear heads of the audio and text towers.
        tokenizer: of the text tower.
        audio_states: state of the audio tower per clip, [B, D].
        labels: labels of each clip.
        rng: source of randomness for captions.
        audio_detached: if true, only the label heads train the audio tower.

    Returns:
        Scalar loss in nats.
    """
    captions = [caption(of_clip, rng) for of_clip in labels]
    questions = {attribute: value_captions(attribute, rng) for attribute in ATTRIBUTES}
    answers = [
        Caption(text, {a: value}) for a, texts in questions.items() for value, text in texts.items()
    ]
    text_states = encode_texts(model, tokenizer, [c.text for c in (*captions, *answers)])
    loss = heads["audio"].loss(audio_states, labels) + heads["text"].loss(
        text_states, [c.named for c in (*captions, *answers)]
    )

    audio = F.normalize(
        model.audio_projection(audio_states.detach() if audio_detached else audio_states)
    )
    texts = F.normalize(model.text_projection(text_states))
    similarity = model.logit_scale_a.exp() * audio @ texts.T  # [B, B + answers]
    matches, pairs = match_matrix(captions, labels), similarity[:, : len(captions)]
    by_clip, by_caption = matches / matches.sum(1, keepdim=True), (matches / matches.sum(0)).T
    loss = loss + (F.cross_entropy(pairs, by_clip) + F.cross_entropy(pairs.T, by_caption)) / 2
    column = len(captions)
    for attribute, values in ATTRIBUTES.items():
        targets = values_of(attribute, labels)
        if (targets >= 0).any():
            loss = loss + F.cross_entropy(similarity[:, column : column + len(values)], targets)
        column += len(values)
    return loss


def match_matrix(captions: list[Caption], labels: list[dict]) -> torch.Tensor:
    """Return [clips, captions] with 1 where the caption is true of the clip."""
    return torch.tensor([[float(c.is_true_of(of_clip)) for c in captions] for of_clip in labels])


def encode_texts(
    model: ClapModel, tokenizer: PreTrainedTokenizerFast, texts: list[str]
) -> torch.Tensor:
    """Return the state of the text tower per text, [texts, D]."""
    tokens = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
    return model.text_model(
        input_ids=tokens.input_ids, attention_mask=tokens.attention_mask
    ).pooler_output.float()


@torch.inference_mode()
def accuracy(
    model: ClapModel, tokenizer: PreTrainedTokenizerFast, clips: Clips
) -> dict[str, tuple[float, float]]:
    """Return the accuracy of zero-shot questions per attribute, rendered and decoded."""
    model.eval()
    chosen = range(min(HELD_OUT_CLIPS, len(clips.labels)))
    copies = [np.stack([clips.window(i, copy, 0) for i in chosen])[:, None] for copy in (0, 1)]
    with torch.autocast("cpu", torch.bfloat16):
        audio_states = [
            model.audio_model(torch.from_numpy(c)).pooler_output.float() for c in copies
        ]
    audio = [model.audio_projection(states) for states in audio_states]
    shares = {}
    for attribute, values in ATTRIBUTES.items():
        targets = values_of(attribute, clips.labels[: len(chosen)])
        text_states = encode_texts(
            model, tokenizer, [plain_word(attribute, value) for value in values]
        )
        texts = F.normalize(model.text_projection(text_states))
        right = [
            float(((a @ texts.T).argmax(1) == targets)[targets >= 0].float().mean()) for a in audio
        ]
        shares[attribute] = (right[0], right[1])
    model.train()
    return shares


def save_clap(model: ClapModel, out: Path) -> None:
    """Save as an ordinary transformers folder, atomically.

    Weights are stored in float16. The config states float32, so that the model loads as float32.
    """
    temporary = out / "clap.part"
    halves = {
        name: value.half() if value.is_floating_point() else value
        for name, value in model.state_dict().items()
    }
    model.eval().save_pretrained(temporary, state_dict=halves)
    # A tokenizer that has truncated saves its limit, which ClapProcessor then reads as the length
    # of the audio. A new tokenizer has no such limit.
    ClapProcessor(EXTRACTOR, build_tokenizer()).save_pretrained(temporary)
    temporary.rename(out / "clap")
