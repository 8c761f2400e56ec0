"""Stage 2, clips and captions -> a CLAP judge.

Contrastive, as Elizalde et al. 2023 and Wu et al. 2023, with two changes for a corpus of few labels. Captions of other clips are often true of
a clip too, so a row of the similarity matrix aims at all of its true captions alike (and a column at all of its clips), not at one. And each
batch asks every zero-shot question once: a softmax over one short caption for each value of an attribute, which is how the judge is used.

    loss = cross-entropy over captions, both ways  +  mean over attributes of the cross-entropy over their values
"""

import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from transformers import ClapConfig, ClapModel, ClapProcessor, PreTrainedTokenizerFast

from recipes.ears.augment import vary_judge
from recipes.ears.captions import ATTRIBUTES, MAX_POSITIONS, Caption, build_tokenizer, caption, value_captions
from recipes.ears.corpus import load
from recipes.ears.features import EXTRACTOR, MEL_BANDS, WINDOW_FRAMES
from recipes.ears.schedule import rate
from recipes.ears.settings import Settings
from tonearm.files import write_aside

CLIPS_TOLD = 96  # of the clips watched, a round


def build_judge(settings: Settings, vocabulary: int) -> ClapModel:
    width = settings.judge_width
    audio = dict(
        spec_size=256, num_mel_bins=MEL_BANDS, patch_size=8, patch_stride=(8, 8), window_size=8, depths=[2, 2, 2],
        num_attention_heads=[2, 4, 8], num_hidden_layers=3, patch_embeds_hidden_size=width, hidden_size=4 * width,
        drop_path_rate=0.1, num_classes=1,
    )  # fmt: skip
    text = dict(
        vocab_size=vocabulary, hidden_size=settings.judge_text_width, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=2 * settings.judge_text_width, max_position_embeddings=MAX_POSITIONS, pad_token_id=0,
        bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    return ClapModel(ClapConfig(text_config=text, audio_config=audio, projection_dim=settings.embedding))


class Clips:
    """Windows of ten seconds of a split, as rendered or decoded, with their labels."""

    def __init__(self, corpus: Path, split: str):
        arrays, self.labels = load(corpus, "performances", split, "judge")
        self.rows = [row for array in arrays for row in array]  # views of the memory-mapped arrays

    def window(self, clip: int, copy: int, start: int) -> np.ndarray:
        return np.asarray(self.rows[clip][copy, start : start + WINDOW_FRAMES], dtype=np.float32)

    def draw(self, clips: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        """[B, 1, T, 128], each at a random place, in a random copy, varied."""
        latest = self.rows[0].shape[1] - WINDOW_FRAMES
        windows = [self.window(c, int(rng.integers(2)), int(rng.integers(latest + 1))) for c in clips]
        return torch.from_numpy(vary_judge(np.stack(windows), rng))[:, None]


def train_judge(corpus: Path, out: Path, settings: Settings) -> None:
    """Train, or take up again where `out/judge.pt` stopped; the finished judge lies in `out/judge/`."""
    torch.manual_seed(settings.seed)
    tokenizer = build_tokenizer()
    model = build_judge(settings, len(tokenizer))
    decayed = [p for p in model.parameters() if p.ndim > 1]
    groups = [
        {"params": decayed, "weight_decay": 0.05},
        {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=settings.judge_rate, betas=(0.9, 0.98), fused=True)
    clips, held_out = Clips(corpus, "train"), Clips(corpus, "held-out")
    checkpoint, first = out / "judge.pt", 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["step"]
    began, running = time.time(), None
    model.train()
    for step in range(first, settings.judge_steps):
        rng = np.random.default_rng((settings.seed, 1, step))
        for group in optimizer.param_groups:
            group["lr"] = rate(settings.judge_rate, step, settings.judge_steps)
        drawn = rng.integers(len(clips.labels), size=settings.judge_batch)
        labels = [clips.labels[i] for i in drawn]
        with torch.autocast("cpu", torch.bfloat16):
            audio = F.normalize(model.get_audio_features(clips.draw(drawn, rng), is_longer=None).pooler_output.float())
        loss = contrastive_loss(model, tokenizer, audio, labels, rng)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            model.logit_scale_a.clamp_(max=np.log(100))  # as CLIP
        running = loss.item() if running is None else 0.98 * running + 0.02 * loss.item()
        if (step + 1) % 50 == 0:
            print(
                f"judge step {step + 1}: loss {running:.3f}, {(time.time() - began) / (step + 1 - first):.2f} s a step",
                flush=True,
            )
        if (step + 1) % settings.checkpoint_every == 0:
            told = ", ".join(
                f"{attribute} {a:.0%}|{b:.0%}" for attribute, (a, b) in accuracy(model, tokenizer, held_out).items()
            )
            print(f"judge step {step + 1}: told right on held-out clips, rendered|decoded: {told}", flush=True)
            with write_aside(checkpoint) as aside:
                torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}, aside)
    save_judge(model, out)


def contrastive_loss(
    model: ClapModel,
    tokenizer: PreTrainedTokenizerFast,
    audio: torch.Tensor,
    labels: list[dict],
    rng: np.random.Generator,
) -> torch.Tensor:
    """`audio` is normalised, [B, D]."""
    captions = [caption(of_clip, rng) for of_clip in labels]
    questions = {attribute: value_captions(attribute, rng) for attribute in ATTRIBUTES}
    texts = [c.text for c in captions] + [text for answers in questions.values() for text in answers.values()]
    similarity = model.logit_scale_a.exp() * audio @ embed_texts(model, tokenizer, texts).T  # [B, B + answers]
    fits = truth(captions, labels)
    pairs = similarity[:, : len(captions)]
    loss = (
        F.cross_entropy(pairs, fits / fits.sum(1, keepdim=True)) + F.cross_entropy(pairs.T, (fits / fits.sum(0)).T)
    ) / 2
    column, asked = len(captions), []
    for attribute, answers in questions.items():
        values = list(answers)
        aims = torch.tensor([values.index(of_clip[attribute]) if attribute in of_clip else -100 for of_clip in labels])
        if (aims >= 0).any():
            asked.append(F.cross_entropy(similarity[:, column : column + len(values)], aims))
        column += len(values)
    return loss + torch.stack(asked).mean()


def truth(captions: list[Caption], labels: list[dict]) -> torch.Tensor:
    """[clip, caption], 1 where the caption is true of the clip."""
    return torch.tensor([[float(c.fits(of_clip)) for c in captions] for of_clip in labels])


def embed_texts(model: ClapModel, tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> torch.Tensor:
    """Normalised, [texts, D]."""
    tokens = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
    features = model.get_text_features(input_ids=tokens.input_ids, attention_mask=tokens.attention_mask)
    return F.normalize(features.pooler_output.float())


@torch.inference_mode()
def accuracy(model: ClapModel, tokenizer: PreTrainedTokenizerFast, clips: Clips) -> dict[str, tuple[float, float]]:
    """Share of the zero-shot questions answered right, on clips as rendered and as decoded."""
    model.eval()
    chosen = range(min(CLIPS_TOLD, len(clips.labels)))
    copies = [np.stack([clips.window(i, copy, 0) for i in chosen])[:, None] for copy in (0, 1)]
    with torch.autocast("cpu", torch.bfloat16):
        audio = [model.get_audio_features(torch.from_numpy(c), is_longer=None).pooler_output.float() for c in copies]
    shares = {}
    for attribute, values in ATTRIBUTES.items():
        rows = [i for i in chosen if attribute in clips.labels[i]]
        texts = embed_texts(model, tokenizer, [synonyms[0] for synonyms in values.values()])
        aims = torch.tensor([list(values).index(clips.labels[i][attribute]) for i in rows])
        right = [float(((a[rows] @ texts.T).argmax(1) == aims).float().mean()) for a in audio]
        shares[attribute] = (right[0], right[1])
    model.train()
    return shares


def save_judge(model: ClapModel, out: Path) -> None:
    """An ordinary transformers folder; whole, or not there. Stored in float16, and said to be float32, so that it loads as that."""
    aside = out / "judge.part"
    model.eval().save_pretrained(
        aside, state_dict={k: v.half() if v.is_floating_point() else v for k, v in model.state_dict().items()}
    )
    # A tokenizer that has truncated once saves its limit, which ClapProcessor then takes for the length of the audio: a new one.
    ClapProcessor(EXTRACTOR, build_tokenizer()).save_pretrained(aside)
    aside.rename(out / "judge")
