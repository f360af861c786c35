"""SDXL and FLUX by the code that loads their real weights, here with pipelines of the same make, tiny and untrained."""

import string

import generator
import numpy as np
import pytest
import torch
from PIL import Image


def clip_tokenizer():
    from transformers import CLIPTokenizer

    letters = [*string.ascii_lowercase, *(f"{letter}</w>" for letter in string.ascii_lowercase)]
    vocabulary = {word: at for at, word in enumerate([*letters, "<|startoftext|>", "<|endoftext|>"])}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77)


def clip(kind, projection: int = 32):
    from transformers import CLIPTextConfig

    return kind(
        CLIPTextConfig(
            vocab_size=54,
            hidden_size=32,
            intermediate_size=37,
            num_attention_heads=4,
            num_hidden_layers=2,
            projection_dim=projection,
            bos_token_id=52,
            eos_token_id=53,
            pad_token_id=53,
        )
    ).eval()


def autoencoder(channels: int, **more):
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(16, 16),
        norm_num_groups=8,
        latent_channels=channels,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        sample_size=32,
        **more,
    )


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory):
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        block_out_channels=(16, 32),
        layers_per_block=1,
        sample_size=16,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        transformer_layers_per_block=(1, 1),
        projection_class_embeddings_input_dim=6 * 8 + 32,
        cross_attention_dim=64,
        norm_num_groups=8,
    )
    folder = tmp_path_factory.mktemp("sdxl")
    StableDiffusionXLPipeline(
        unet=unet,
        vae=autoencoder(4),
        scheduler=EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"),
        text_encoder=clip(CLIPTextModel),
        tokenizer=clip_tokenizer(),
        text_encoder_2=clip(CLIPTextModelWithProjection),
        tokenizer_2=clip_tokenizer(),
        add_watermarker=False,
    ).save_pretrained(folder)
    return folder


def test_sdxl_is_loaded_drawn_with_and_taught(sdxl, tmp_path):
    model = generator.load("sdxl", sdxl, "cpu")
    bare = model.generate("a red house", steps=2, size=(96, 64))
    assert bare.image.size == (96, 64)
    assert (bare.facts["backend"], bare.facts["upscaled_by"]) == ("sdxl", 1.0)
    learned = generator.train_adapter(model, [Image.new("RGB", (64, 64), "red")], "lamp", steps=2, rank=2)
    (tmp_path / "lamp.safetensors").write_bytes(learned)
    model.attach("lamp", tmp_path / "lamp.safetensors")
    assert np.array_equal(model.generate("a red house", steps=2, size=(96, 64)).image, bare.image)
    assert not np.array_equal(model.generate("a red house", steps=2, size=(96, 64), adapter="lamp").image, bare.image)
    small = generator.load(device="cpu")
    with pytest.raises(generator.BadAdapter, match="trained for the backend sdxl, and this is small"):
        small.attach("lamp", tmp_path / "lamp.safetensors")


def test_sdxl_that_was_cut_off_is_named(sdxl):
    path = next((sdxl / "unet").glob("*.safetensors"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(generator.NotLoadable, match="was cut off"):
        generator.load("sdxl", sdxl, "cpu")
    path.write_bytes(whole)


def t5_tokenizer():
    from transformers import T5Tokenizer

    pieces = [
        ("<pad>", 0.0),
        ("</s>", 0.0),
        ("<unk>", 0.0),
        *((f"▁{letter}", -2.0) for letter in string.ascii_lowercase),
    ]
    return T5Tokenizer(vocab=pieces, extra_ids=0)


def test_flux_is_loaded_and_drawn_with(tmp_path):
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
    from transformers import CLIPTextModel, T5Config, T5EncoderModel

    torch.manual_seed(0)
    transformer = FluxTransformer2DModel(
        in_channels=4,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        axes_dims_rope=[4, 4, 8],
    )
    reader = T5EncoderModel(T5Config(vocab_size=64, d_model=32, d_kv=8, d_ff=37, num_layers=1, num_heads=4))
    FluxPipeline(
        transformer=transformer,
        vae=autoencoder(1, shift_factor=0.0, scaling_factor=1.0, use_quant_conv=False, use_post_quant_conv=False),
        scheduler=FlowMatchEulerDiscreteScheduler(),
        text_encoder=clip(CLIPTextModel),
        tokenizer=clip_tokenizer(),
        text_encoder_2=reader.eval(),
        tokenizer_2=t5_tokenizer(),
    ).save_pretrained(tmp_path)
    model = generator.load("flux", tmp_path, "cpu")
    picture = model.generate("a red house", steps=2, size=(64, 64))
    assert picture.image.size == (64, 64)
    assert picture.facts["backend"] == "flux"
    with pytest.raises(generator.NotLoadable, match="flux are not trained here"):
        generator.train_adapter(model, [picture.image], "lamp", steps=1)
