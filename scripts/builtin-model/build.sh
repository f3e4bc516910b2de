#!/usr/bin/env bash
# From sources to weights: the built-in model, its dataset and its notices, then the proof with real PEFT.
#   bash scripts/builtin-model/build.sh OUT_DIR
# A step whose result is there is skipped, and pretraining resumes where it stopped: run it again after an interruption.
# STEPS (4500), SEED (0) and PYTHON (python3, with requirements.txt installed) can be set in the environment.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$(mkdir -p "${1:?usage: build.sh OUT_DIR}" && cd "$1" && pwd)
steps=${STEPS:-4500} seed=${SEED:-0} python=${PYTHON:-python3}
# One thread: at this size more of them only wait for each other, and one keeps the sums in one order.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 RAYON_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false

missing() { # FILE: says what is made next
  [ -e "$out/$1" ] && return 1
  echo "== $1"
}
run() { "$python" "$here/$1" "${@:2}"; }

bash "$here/sources.sh" "$out/sources"
if missing world.json; then run world.py --sources "$out/sources" --out "$out/world.json" --seed "$seed"; fi
if missing tokenizer/tokenizer_config.json; then run make_tokenizer.py --world "$out/world.json" --out "$out/tokenizer" --seed $((seed + 1)); fi
tokens=(make_tokens.py --world "$out/world.json" --tokenizer "$out/tokenizer")
if missing train.npy; then run "${tokens[@]}" --tokens $((steps * 4 * 257)) --seed $((seed + 2)) --out "$out/train.npy"; fi
if missing val.npy; then run "${tokens[@]}" --tokens 100000 --seed $((seed + 3)) --out "$out/val.npy"; fi
run pretrain.py --tokens "$out/train.npy" --val "$out/val.npy" --out "$out/run" --steps "$steps" --seed "$seed"
run export.py --run "$out/run" --tokenizer "$out/tokenizer" --out "$out/model"
run notices.py --sources "$out/sources" --out "$out/model/NOTICES.txt"
run dataset.py --world "$out/world.json" --out "$out/data" --seed "$seed"
run evaluate.py --model "$out/model" --data "$out/data" --out "$out/evaluation.json"
