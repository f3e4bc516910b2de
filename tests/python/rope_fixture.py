"""Writes tests/fixtures/rope.json: rotary angles, cosines and sines as transformers computes them.

    python tests/python/rope_fixture.py > tests/fixtures/rope.json
"""
import json

import torch
import transformers
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

POSITIONS = [0, 1, 2, 7, 63, 199, 1023, 8191]
LLAMA3 = {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
CASES = [
    (6, 10000.0, {"rope_type": "default"}),
    (64, 10000.0, {"rope_type": "default"}),
    (128, 1000000.0, {"rope_type": "default"}),
    (18, 10000.0, {"rope_type": "linear", "factor": 2.5}),
    (64, 500000.0, LLAMA3),
    (10, 10000.0, {**LLAMA3, "factor": 8.0, "original_max_position_embeddings": 64}),
]


def case(head_dim, theta, scaling):
    config = LlamaConfig(hidden_size=2 * head_dim, num_attention_heads=2, head_dim=head_dim, max_position_embeddings=131072,
                         rope_parameters={"rope_theta": theta, **scaling})
    rotary = LlamaRotaryEmbedding(config)
    cos, sin = rotary(torch.zeros(1, dtype=torch.float32), torch.tensor([POSITIONS]))
    half = head_dim // 2
    return {"headDim": head_dim, "ropeTheta": theta, "scaling": scaling, "inverseFrequencies": rotary.inv_freq.tolist(),
            "cos": cos[0, :, :half].flatten().tolist(), "sin": sin[0, :, :half].flatten().tolist()}


print(json.dumps({"transformers": transformers.__version__, "positions": POSITIONS, "cases": [case(*c) for c in CASES]}))
