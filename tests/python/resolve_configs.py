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
    attention = model.model.layers[0].self_attn
    rotary = model.model.rotary_emb
    tied = model.lm_head.weight is model.model.embed_tokens.weight
    eos = config.eos_token_id
    return {
        "headDim": attention.head_dim,
        "numKeyValueHeads": config.num_key_value_heads,
        "rmsNormEps": model.model.norm.variance_epsilon,
        "qkvBias": attention.q_proj.bias is not None,
        "oBias": attention.o_proj.bias is not None,
        "mlpBias": model.model.layers[0].mlp.up_proj.bias is not None,
        "qkNorm": hasattr(attention, "q_norm"),
        "tieWordEmbeddings": tied,
        "ropeType": rotary.rope_type,
        "ropeParameters": config.rope_parameters,
        "bosTokenId": config.bos_token_id,
        "eosTokenIds": eos if isinstance(eos, list) else [] if eos is None else [eos],
        "tensors": {name: list(p.shape) for name, p in model.state_dict().items() if not (tied and name == "lm_head.weight")},
    }


cases = json.loads((FOLDER / "cases.json").read_text())
resolved = {name: resolve(config) for name, config in cases.items()}
resolved["transformers"] = transformers.__version__
(FOLDER / "resolved.json").write_text(json.dumps(resolved, indent=1) + "\n")
print(f"{len(cases)} configs resolved by transformers {transformers.__version__}")
