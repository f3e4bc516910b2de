"""The same LoRA training step in PyTorch + PEFT, timed for `npm run bench -- SHAPE --python PATH`; prints one JSON object.

Random weights, full rows, rank r on all seven projections, AdamW, gradients clipped at 1: what src/worker/bench/steps.ts does. f32 has
TF32 off. Where transformers and peft are not installed, a decoder of the same arithmetic in plain torch stands in, and the result says so.
"""
import argparse
import json
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def arguments():
    p = argparse.ArgumentParser()
    for name in ["layers", "hidden", "heads", "kv-heads", "head-dim", "intermediate", "vocab", "batch", "length", "rank", "steps", "warmup"]:
        p.add_argument(f"--{name}", type=int, required=True)
    p.add_argument("--rope-theta", type=float, default=10000.0)
    p.add_argument("--qk-norm", action="store_true")
    p.add_argument("--device", choices=["cpu", "cuda"], required=True)
    p.add_argument("--dtypes", default="f32,bf16")
    p.add_argument("--plain", action="store_true", help="plain torch even where peft is installed")
    return p.parse_args()


def with_peft(a, dtype):
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

    config_class, model_class = (Qwen3Config, Qwen3ForCausalLM) if a.qk_norm else (LlamaConfig, LlamaForCausalLM)
    config = config_class(
        hidden_size=a.hidden, num_hidden_layers=a.layers, num_attention_heads=a.heads, num_key_value_heads=a.kv_heads, head_dim=a.head_dim,
        intermediate_size=a.intermediate, vocab_size=a.vocab, max_position_embeddings=max(2048, a.length), tie_word_embeddings=True, use_cache=False,
        attn_implementation="sdpa", bos_token_id=0, eos_token_id=0, pad_token_id=None,
    )
    with torch.device(a.device):
        model = model_class(config).to(dtype)
    lora = LoraConfig(r=a.rank, lora_alpha=2 * a.rank, lora_dropout=0.0, target_modules=MODULES, task_type="CAUSAL_LM")
    model = get_peft_model(model, lora, autocast_adapter_dtype=False)
    return model, lambda ids: model(input_ids=ids, labels=ids).loss


class LoraLinear(nn.Module):
    def __init__(self, n_in, n_out, r):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_out, n_in) * 0.02, requires_grad=False)
        self.a = nn.Parameter(torch.randn(r, n_in) / n_in**0.5)
        self.b = nn.Parameter(torch.zeros(n_out, r))

    def forward(self, x):
        return F.linear(x, self.weight) + 2 * F.linear(F.linear(x, self.a), self.b)


class Norm(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n), requires_grad=False)

    def forward(self, x):
        return F.rms_norm(x, (x.shape[-1],), self.weight, 1e-5)


class Layer(nn.Module):
    def __init__(self, a):
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = a.heads, a.kv_heads, a.head_dim
        q, kv = a.heads * a.head_dim, a.kv_heads * a.head_dim
        sizes = [(a.hidden, q), (a.hidden, kv), (a.hidden, kv), (q, a.hidden), (a.hidden, a.intermediate), (a.hidden, a.intermediate), (a.intermediate, a.hidden)]
        for name, (n_in, n_out) in zip(MODULES, sizes):
            setattr(self, name, LoraLinear(n_in, n_out, a.rank))
        self.norm1, self.norm2 = Norm(a.hidden), Norm(a.hidden)
        self.q_norm, self.k_norm = (Norm(a.head_dim), Norm(a.head_dim)) if a.qk_norm else (nn.Identity(), nn.Identity())

    def forward(self, x, cos, sin):
        B, T, _ = x.shape
        split = lambda t, heads: t.view(B, T, heads, self.head_dim)
        h = self.norm1(x)
        q = self.q_norm(split(self.q_proj(h), self.heads)).transpose(1, 2)
        k = self.k_norm(split(self.k_proj(h), self.kv_heads)).transpose(1, 2)
        v = split(self.v_proj(h), self.kv_heads).transpose(1, 2)
        turn = lambda t: t * cos + torch.cat([-t[..., self.head_dim // 2 :], t[..., : self.head_dim // 2]], -1) * sin
        out = F.scaled_dot_product_attention(turn(q), turn(k), v, is_causal=True, enable_gqa=True)
        x = x + self.o_proj(out.transpose(1, 2).reshape(B, T, -1))
        h = self.norm2(x)
        return x + self.down_proj(F.silu(self.gate_proj(h)) * self.up_proj(h))


class Plain(nn.Module):
    def __init__(self, a):
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(a.vocab, a.hidden) * 0.02, requires_grad=False)
        self.layers = nn.ModuleList(Layer(a) for _ in range(a.layers))
        self.norm = Norm(a.hidden)
        angle = torch.outer(torch.arange(a.length, dtype=torch.float32), a.rope_theta ** -(torch.arange(0, a.head_dim, 2, dtype=torch.float32) / a.head_dim))
        self.register_buffer("cos", torch.cat([angle, angle], -1).cos())
        self.register_buffer("sin", torch.cat([angle, angle], -1).sin())

    def forward(self, ids):
        x = F.embedding(ids, self.embedding)
        for layer in self.layers:
            x = layer(x, self.cos, self.sin)
        logits = F.linear(self.norm(x[:, :-1]), self.embedding).float()
        return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), ids[:, 1:].reshape(-1))


def plain(a, dtype):
    with torch.device(a.device):
        model = Plain(a).to(dtype)
    return model, model


def measure(a, name, build):
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[name]
    torch.manual_seed(42)
    model, loss_of = build(a, dtype)
    model.train()
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=1e-4, weight_decay=0.0, fused=a.device == "cuda")
    ids = ((torch.arange(a.batch * a.length) * 7919 + 13) % a.vocab).view(a.batch, a.length).to(a.device)
    cuda = a.device == "cuda"

    def step():
        loss = loss_of(ids)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trainable, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    first = step()
    for _ in range(a.warmup):
        step()
    if cuda:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    marks = []

    def mark():
        if cuda:
            marks.append(torch.cuda.Event(enable_timing=True))
            marks[-1].record()
        else:
            marks.append(time.perf_counter())

    mark()
    for _ in range(a.steps):
        last = step()
        mark()
    if cuda:
        torch.cuda.synchronize()
    times = sorted(x.elapsed_time(y) if cuda else (y - x) * 1000 for x, y in zip(marks, marks[1:]))
    at = lambda q: times[min(len(times) - 1, int(q * len(times)))]
    return {
        "dtype": name, "ms": {"median": at(0.5), "low": at(0.1), "high": at(0.9)}, "tokensPerSecond": a.batch * a.length * 1000 / at(0.5),
        "trainable": sum(p.numel() for p in trainable), "firstLoss": first.item(), "lastLoss": last.item(),
        "peakBytes": torch.cuda.max_memory_allocated() if cuda else None,
    }


def main():
    a = arguments()
    if a.device == "cuda" and not torch.cuda.is_available():
        sys.exit("this torch sees no CUDA device")
    torch.set_float32_matmul_precision("highest")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    build, versions = plain, {}
    if not a.plain:
        try:
            import peft
            import transformers

            build, versions = with_peft, {"peft": peft.__version__, "transformers": transformers.__version__}
        except ImportError as error:
            versions = {"missing": str(error)}
    device = torch.cuda.get_device_name() if a.device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    runs = [measure(a, name, build) for name in a.dtypes.split(",")]
    print(json.dumps({"device": device, "torch": torch.__version__, **versions, "implementation": "transformers + peft" if build is with_peft else "plain torch", "runs": runs}))


main()
