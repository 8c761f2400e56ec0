"""Stage 2, clips and captions -> a CLAP judge.

Contrastive, as Elizalde et al. 2023 and Wu et al. 2023, with three changes for a small corpus of few labels. Captions of other clips are often
true of a clip too, so a row of the similarity matrix aims at all of its true captions alike (and a column at all of its clips), not at one.
Each batch asks every zero-shot question once: a softmax over one short caption for each value of an attribute, which is how the judge is
used. And since neither tower comes pretrained, each names the labels by itself too, through linear heads that are dropped in the end; until
half-way the audio tower learns from these alone, since texts that mean nothing yet would teach it nothing.

    loss = cross-entropy over captions, both ways  +  sum over attributes of
           (cross-entropy over the values' captions  +  over the audio heads  +  over the text heads)
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import ClapConfig, ClapModel, ClapProcessor, PreTrainedTokenizerFast

from recipes.evaluators.augment import vary_judge
from recipes.evaluators.captions import (
    ATTRIBUTES,
    MAX_POSITIONS,
    Caption,
    build_tokenizer,
    caption,
    plain,
    value_captions,
)
from recipes.evaluators.corpus import load
from recipes.evaluators.features import EXTRACTOR, MEL_BANDS, WINDOW_FRAMES
from recipes.evaluators.schedule import rate
from recipes.evaluators.settings import Settings
from recipes.training import Progress, decaying, keep, take_up

PATCH = (32, 16)  # mel bands, and frames of 20 ms
FULL_VARIATION_FROM = 0.7  # of the steps: until then the clips are varied less
APART = 0.5  # of the steps: until then the audio tower learns from naming the labels alone
WARM_STEPS = 60
DECODED = (0.15, 0.5)  # of the clips drawn: before the variation is full, and from there on
CLIPS_TOLD = 250  # of the clips watched, a round


def build_judge(settings: Settings, vocabulary: int) -> ClapModel:
    """A patch is tall, so that a filter hears a quarter of the spectrum at once: what an instrument is lies across bands."""
    width = settings.judge_width
    audio = dict(
        spec_size=256, num_mel_bins=MEL_BANDS, patch_size=PATCH, patch_stride=PATCH, window_size=4,
        depths=[2, 4], num_attention_heads=[width // 32, width // 16], num_hidden_layers=2, patch_embeds_hidden_size=width,
        hidden_size=2 * width, hidden_dropout_prob=0.0, drop_path_rate=0.0, num_classes=1,
    )  # fmt: skip
    text = dict(
        vocab_size=vocabulary, hidden_size=settings.judge_text_width, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=2 * settings.judge_text_width, max_position_embeddings=MAX_POSITIONS, pad_token_id=0,
        bos_token_id=1, eos_token_id=2, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    model = ClapModel(ClapConfig(text_config=text, audio_config=audio, projection_dim=settings.embedding))
    _initialise(model)
    return model


def _initialise(model: ClapModel) -> None:
    """Start where there is something to learn from; LOG.md has what happened without.

    At the library's deviation of 0.02 biases and positions drown the input, and every clip and text starts at the same embedding. And the sound
    level drowns what else a patch holds, so filters start blind to it.
    """
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, (nn.Linear, nn.Conv2d)):
                module.weight.normal_(0, module.weight[0].numel() ** -0.5)
            elif isinstance(module, nn.Embedding):
                module.weight.normal_(0, 1.0 if module is model.text_model.embeddings.word_embeddings else 0.1)
        filters = model.audio_model.audio_encoder.patch_embed.proj.weight
        filters -= filters.mean((1, 2, 3), keepdim=True)


class Clips:
    """Windows of ten seconds of a split, as rendered or decoded, with their labels."""

    def __init__(self, corpus: Path, split: str):
        arrays, self.labels = load(corpus, "performances", split, "judge")
        self.rows = [row for array in arrays for row in array]  # views of the memory-mapped arrays

    def window(self, clip: int, copy: int, start: int) -> np.ndarray:
        return np.asarray(self.rows[clip][copy, start : start + WINDOW_FRAMES], dtype=np.float32)

    def draw(self, clips: np.ndarray, rng: np.random.Generator, amount: float = 1.0) -> torch.Tensor:
        """[B, 1, T, 128], each at a random place, in a random copy, varied by `amount` up to 1."""
        decoded = DECODED[amount >= 1]
        latest = self.rows[0].shape[1] - WINDOW_FRAMES
        windows = [self.window(c, int(rng.random() < decoded), int(rng.integers(latest + 1))) for c in clips]
        return torch.from_numpy(vary_judge(np.stack(windows), rng, amount))[:, None]


class Names(nn.ModuleDict):
    """A linear head for each attribute, which names its value from a tower's state."""

    def __init__(self, width: int):
        super().__init__({attribute: nn.Linear(width, len(values)) for attribute, values in ATTRIBUTES.items()})

    def loss(self, states: torch.Tensor, truths: Sequence[dict]) -> torch.Tensor:
        """Sum over attributes of the cross-entropy over their values; what a row has no label for does not count."""
        aims = {attribute: values_of(attribute, truths) for attribute in self}
        return sum(F.cross_entropy(self[a](states), aim) for a, aim in aims.items() if (aim >= 0).any())


def values_of(attribute: str, truths: Sequence[dict]) -> torch.Tensor:
    """Index of each row's value, -100 where it has none."""
    values = list(ATTRIBUTES[attribute])
    return torch.tensor([values.index(truth[attribute]) if attribute in truth else -100 for truth in truths])


def train_judge(corpus: Path, out: Path, settings: Settings) -> None:
    """Train, or take up again where `out/judge.pt` stopped; the finished judge lies in `out/judge/`."""
    torch.manual_seed(settings.seed)
    tokenizer = build_tokenizer()
    model = build_judge(settings, len(tokenizer))
    names = nn.ModuleDict(
        {"audio": Names(model.config.audio_config.hidden_size), "text": Names(settings.judge_text_width)}
    )
    trained = nn.ModuleDict({"judge": model, "names": names})
    optimizer = torch.optim.AdamW(
        decaying(trained.parameters(), 0.05), lr=settings.judge_rate, betas=(0.9, 0.98), fused=True
    )
    clips, held_out = Clips(corpus, "train"), Clips(corpus, "held-out")
    checkpoint = out / "judge.pt"
    first = take_up(checkpoint, trained, optimizer)
    progress = Progress()
    model.train()
    for step in range(first, settings.judge_steps):
        rng = np.random.default_rng((settings.seed, 1, step))
        for group in optimizer.param_groups:
            group["lr"] = rate(settings.judge_rate, step, settings.judge_steps, WARM_STEPS)
        drawn = rng.integers(len(clips.labels), size=settings.judge_batch)
        labels = [clips.labels[i] for i in drawn]
        amount = min(1.0, step / (FULL_VARIATION_FROM * settings.judge_steps))
        with torch.autocast("cpu", torch.bfloat16):
            heard = model.audio_model(clips.draw(drawn, rng, amount)).pooler_output
        apart = step < APART * settings.judge_steps
        loss = judge_loss(model, names, tokenizer, heard.float(), labels, rng, apart)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            model.logit_scale_a.clamp_(max=math.log(100))  # as CLIP
        progress.step(loss)
        if (step + 1) % 50 == 0:
            print(f"judge step {step + 1}: loss {progress.loss:.3f}, {progress.pace}", flush=True)
        if (step + 1) % settings.checkpoint_every == 0:
            right = accuracy(model, tokenizer, held_out)
            told = ", ".join(f"{attribute} {a:.0%}|{b:.0%}" for attribute, (a, b) in right.items())
            print(f"judge step {step + 1}: right on held-out clips, rendered|decoded: {told}", flush=True)
            keep(checkpoint, trained, optimizer, step + 1)
    save_judge(model, out)


def judge_loss(
    model: ClapModel, names: nn.ModuleDict, tokenizer: PreTrainedTokenizerFast, heard: torch.Tensor, labels: list[dict],
    rng: np.random.Generator, apart: bool,
) -> torch.Tensor:  # fmt: skip
    """`heard` is the audio tower's state of each clip, [B, D]; `apart`, only the naming of labels teaches that tower."""
    captions = [caption(of_clip, rng) for of_clip in labels]
    questions = {attribute: value_captions(attribute, rng) for attribute in ATTRIBUTES}
    answers = [Caption(text, {a: value}) for a, texts in questions.items() for value, text in texts.items()]
    read = read_texts(model, tokenizer, [c.text for c in (*captions, *answers)])
    loss = names["audio"].loss(heard, labels) + names["text"].loss(read, [c.named for c in (*captions, *answers)])

    audio = F.normalize(model.audio_projection(heard.detach() if apart else heard))
    texts = F.normalize(model.text_projection(read))
    similarity = model.logit_scale_a.exp() * audio @ texts.T  # [B, B + answers]
    fits, pairs = truth(captions, labels), similarity[:, : len(captions)]
    by_clip, by_caption = fits / fits.sum(1, keepdim=True), (fits / fits.sum(0)).T
    loss = loss + (F.cross_entropy(pairs, by_clip) + F.cross_entropy(pairs.T, by_caption)) / 2
    column = len(captions)
    for attribute, values in ATTRIBUTES.items():
        aims = values_of(attribute, labels)
        if (aims >= 0).any():
            loss = loss + F.cross_entropy(similarity[:, column : column + len(values)], aims)
        column += len(values)
    return loss


def truth(captions: list[Caption], labels: list[dict]) -> torch.Tensor:
    """[clip, caption], 1 where the caption is true of the clip."""
    return torch.tensor([[float(c.fits(of_clip)) for c in captions] for of_clip in labels])


def read_texts(model: ClapModel, tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> torch.Tensor:
    """The text tower's state of each text, [texts, D]."""
    tokens = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
    return model.text_model(input_ids=tokens.input_ids, attention_mask=tokens.attention_mask).pooler_output.float()


@torch.inference_mode()
def accuracy(model: ClapModel, tokenizer: PreTrainedTokenizerFast, clips: Clips) -> dict[str, tuple[float, float]]:
    """Share of the zero-shot questions answered right, on clips as rendered and as decoded."""
    model.eval()
    chosen = range(min(CLIPS_TOLD, len(clips.labels)))
    copies = [np.stack([clips.window(i, copy, 0) for i in chosen])[:, None] for copy in (0, 1)]
    with torch.autocast("cpu", torch.bfloat16):
        heard = [model.audio_model(torch.from_numpy(c)).pooler_output.float() for c in copies]
    audio = [model.audio_projection(states) for states in heard]
    shares = {}
    for attribute, values in ATTRIBUTES.items():
        aims = values_of(attribute, clips.labels[: len(chosen)])
        read = read_texts(model, tokenizer, [plain(attribute, value) for value in values])
        texts = F.normalize(model.text_projection(read))
        right = [float(((a @ texts.T).argmax(1) == aims)[aims >= 0].float().mean()) for a in audio]
        shares[attribute] = (right[0], right[1])
    model.train()
    return shares


def save_judge(model: ClapModel, out: Path) -> None:
    """An ordinary transformers folder; whole, or not there. Stored in float16, and said to be float32, so that it loads as that."""
    aside = out / "judge.part"
    halves = {name: value.half() if value.is_floating_point() else value for name, value in model.state_dict().items()}
    model.eval().save_pretrained(aside, state_dict=halves)
    # A tokenizer that has truncated once saves its limit, which ClapProcessor then takes for the length of the audio: a new one.
    ClapProcessor(EXTRACTOR, build_tokenizer()).save_pretrained(aside)
    aside.rename(out / "judge")
