"""What transformers makes of the config.json files in tests/fixtures/configs/cases.json.

    python tests/python/resolve_configs.py     # rewrites tests/fixtures/configs/resolved.json

The values come from the config class and from a model built of it (on the meta device), not from a reading of either.
"""
import json
import pathlib

import torch
import transformers

FOLDER = pathlib.Path(__file__).parent.parent / "fixtures" / "configs"


def resolve(config_json: dict) -> dict:
    config = transformers.AutoConfig.for_model(**config_json)
    with torch.device("meta"):
        model = getattr(transformers, config_json["architectures"][0])._from_config(config, attn_implementation="eager")
    layers = model.model.layers
    attention = layers[0].self_attn
    gemma3 = config.model_type == "gemma3_text"
    rotary = model.model.rotary_emb
    tied = model.lm_head.weight is model.model.embed_tokens.weight
    eos = config.eos_token_id
    return {
        "headDim": attention.head_dim,
        "numKeyValueHeads": config.num_key_value_heads,
        "rmsNormEps": getattr(model.model.norm, "variance_epsilon", None) or model.model.norm.eps,
        "qkvBias": attention.q_proj.bias is not None,
        "oBias": attention.o_proj.bias is not None,
        "mlpBias": model.model.layers[0].mlp.up_proj.bias is not None,
        "qkNorm": hasattr(attention, "q_norm"),
        "tieWordEmbeddings": tied,
        "ropeType": rotary.rope_type["full_attention"] if gemma3 else rotary.rope_type,
        "ropeParameters": config.rope_parameters["full_attention"] if gemma3 else config.rope_parameters,
        "localRopeParameters": config.rope_parameters["sliding_attention"] if gemma3 else None,
        "layers": [
            {
                "window": config.sliding_window if config.model_type == "mistral" else getattr(layer.self_attn, "sliding_window", None),
                "rope": None if not getattr(layer.self_attn, "use_rope", True) else "local" if gemma3 and layer.self_attn.is_sliding else "global",
            }
            for layer in layers
        ],
        "attentionScale": attention.scaling,
        "attentionSoftcap": attention.attn_logit_softcapping if config.model_type == "gemma2" else None,
        "finalSoftcap": getattr(config, "final_logit_softcapping", None),
        "embeddingScale": getattr(model.model.embed_tokens, "scalar_embed_scale", 1),
        "bosTokenId": config.bos_token_id,
        "eosTokenIds": eos if isinstance(eos, list) else [] if eos is None else [eos],
        "tensors": {name: list(p.shape) for name, p in model.state_dict().items() if not (tied and name == "lm_head.weight")},
    }


cases = json.loads((FOLDER / "cases.json").read_text())
resolved = {name: resolve(config) for name, config in cases.items()}
resolved["transformers"] = transformers.__version__
lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(value)}" for name, value in resolved.items())
(FOLDER / "resolved.json").write_text(f"{{\n{lines}\n}}\n")
print(f"{len(cases)} configs resolved by transformers {transformers.__version__}")
