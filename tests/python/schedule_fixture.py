"""Writes tests/fixtures/schedules.json: how many steps transformers' Trainer makes, how many of them warm up, and the learning rate of each.

    python tests/python/schedule_fixture.py > tests/fixtures/schedules.json
"""
import json
import logging
import tempfile

import torch
import transformers
from transformers import Trainer, TrainingArguments

logging.disable(logging.WARNING)

# rows, batch size, accumulation, epochs, max steps (-1: by epochs), schedule, warm-up (ratio below 1, else steps), rate
CASES = [
    (480, 8, 1, 2, -1, "linear", 0.05, 5e-3),
    (999, 4, 4, 3, -1, "linear", 0.05, 2e-4),
    (7, 2, 2, 3, -1, "cosine", 0.3, 1e-2),
    (5, 1, 2, 1, -1, "constant_with_warmup", 0.5, 1e-3),
    (10, 3, 4, 2.5, -1, "linear", 0, 1e-3),
    (10, 3, 1, 1, 13, "cosine", 4, 3e-4),
    (1, 4, 4, 3, -1, "linear", 0.05, 2e-4),
    (64, 4, 1, 1, -1, "constant_with_warmup", 0, 1e-5),
]


def case(rows, batch, accumulation, epochs, max_steps, schedule, warmup, rate):
    model = torch.nn.Linear(1, 1)
    with tempfile.TemporaryDirectory() as folder:
        args = TrainingArguments(
            output_dir=folder, per_device_train_batch_size=batch, gradient_accumulation_steps=accumulation, num_train_epochs=epochs,
            max_steps=max_steps, lr_scheduler_type=schedule, warmup_steps=warmup, learning_rate=rate, use_cpu=True, report_to=[])
        data = [{"x": torch.zeros(1)} for _ in range(rows)]
        trainer = Trainer(model=model, args=args, train_dataset=data, data_collator=lambda items: {"x": torch.stack([i["x"] for i in items])})
        loader = trainer.get_train_dataloader()
        values = trainer.set_initial_training_values(args, loader)
        total, per_epoch = values[6], values[1]
        trainer.create_optimizer_and_scheduler(total)
        rates = []
        for _ in range(total):
            rates.append(trainer.lr_scheduler.get_last_lr()[0])
            trainer.optimizer.step()
            trainer.lr_scheduler.step()
    return {"rows": rows, "perDeviceTrainBatchSize": batch, "gradientAccumulationSteps": accumulation, "numTrainEpochs": epochs, "maxSteps": max(0, max_steps),
            "lrSchedulerType": schedule.split("_")[0], "warmup": warmup, "learningRate": rate,
            "stepsPerEpoch": per_epoch, "totalSteps": total, "warmupSteps": args.get_warmup_steps(total), "rates": rates}


print(json.dumps({"transformers": transformers.__version__, "cases": [case(*c) for c in CASES]}))
