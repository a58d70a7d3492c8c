"""Spaces for known kinds of models, each range with its source.

Sources
-------
Grinsztajn et al. 2022
    Why do tree-based models still outperform deep learning on tabular data? arXiv 2207.08815; the spaces of its code,
    github.com/LeoGrin/tabular-benchmark.
Bansal et al. 2022
    JAHS-Bench-201, github.com/automl/jahs_bench_201.
Smith 2018
    A disciplined approach to neural network hyper-parameters, arXiv 1803.09820.
Devlin et al. 2018, Liu et al. 2019, Clark et al. 2020
    BERT, arXiv 1810.04805, appendix A.3; RoBERTa, arXiv 1907.11692, table 10; ELECTRA, arXiv 2003.10555, appendix B.
Hsu, Chang, Lin 2003
    A practical guide to support vector classification, www.csie.ntu.edu.tw/~cjlin/papers/guide/guide.pdf.
Godbole et al. 2023
    Deep learning tuning playbook, github.com/google-research/tuning_playbook.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reverie.drafting.ranges import Draft


@dataclass(frozen=True)
class Preset:
    """A space for a kind of model.

    Attributes
    ----------
    what
        The kind of model.
    drafts
        Its parameters.
    use
        Lines of the template that say how a model takes them.
    stand_in
        Expression of the template for an objective, until there is a real one.
    """

    what: str
    drafts: tuple[Draft, ...]
    use: tuple[str, ...]
    stand_in: str


def _float(name: str, low: float, high: float, why: str, *, log: bool = False, **more: Any) -> Draft:
    return Draft(name, {"type": "float", "low": low, "high": high} | ({"log": True} if log else {}) | more, why)


def _int(name: str, low: int, high: int, why: str, *, log: bool = False, **more: Any) -> Draft:
    return Draft(name, {"type": "int", "low": low, "high": high} | ({"log": True} if log else {}) | more, why)


def _one_of(name: str, choices: list[Any], why: str, kind: str = "categorical", **more: Any) -> Draft:
    return Draft(name, {"type": kind, "choices": choices, **more}, why)


_TABULAR = "Grinsztajn et al. 2022 (arXiv 2207.08815)"
_JAHS = "JAHS-Bench-201 (Bansal et al. 2022)"
_SVC = "Hsu, Chang, Lin 2003"
_ADAMW = "about torch.optim.AdamW's default of"

PRESETS = {
    "torch-mlp": Preset(
        "a multilayer perceptron in PyTorch, trained by AdamW",
        (
            _int("layers", 1, 8, f"as in {_TABULAR}"),
            _int("width", 16, 1024, f"as in {_TABULAR}, there on a linear scale", log=True),
            _float("lr", 1e-5, 1e-2, f"as in {_TABULAR}", log=True),
            _one_of("batch_size", [256, 512, 1024], f"as in {_TABULAR}", "ordinal"),
            _float("weight_decay", 1e-4, 1.0, f"two decades {_ADAMW} 0.01", log=True),
            _float("dropout", 0.0, 0.5, "from none to torch.nn.Dropout's default of 0.5"),
        ),
        (
            "# torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)",
            "# After each epoch: trial.report(epoch, loss), by which [early_stopping] ends hopeless trials.",
        ),
        "(math.log10(lr) + 3.0) ** 2 + (layers - 4) ** 2 / 16 + dropout * weight_decay",
    ),
    "torch-cnn": Preset(
        "a convolutional network for images in PyTorch",
        (
            _one_of("optimiser", ["sgd", "adamw"], "each with a learning rate and a weight decay of its own"),
            _float("lr", 1e-3, 1.0, f"of SGD, as in {_JAHS}", log=True, when={"optimiser": "sgd"}),
            _float("momentum", 0.9, 0.99, "the ends of Smith 2018 (arXiv 1803.09820)", when={"optimiser": "sgd"}),
            _float("weight_decay", 1e-5, 1e-2, f"of SGD, as in {_JAHS}", log=True, when={"optimiser": "sgd"}),
            _float("adamw_lr", 1e-5, 1e-1, f"two decades {_ADAMW} 0.001", log=True, when={"optimiser": "adamw"}),
            _float("adamw_decay", 1e-4, 1.0, f"two decades {_ADAMW} 0.01", log=True, when={"optimiser": "adamw"}),
            _one_of("blocks", [1, 3, 5], f"of each stage, N of {_JAHS}", "ordinal"),
            _one_of("channels", [4, 8, 16], f"of the first stage, W of {_JAHS}; larger for large images", "ordinal"),
            _one_of("activation", ["ReLU", "Hardswish", "Mish"], f"as in {_JAHS}"),
            Draft("trivial_augment", {"type": "bool"}, f"as in {_JAHS}: torchvision.transforms.TrivialAugmentWide"),
            Draft(
                "batch_size",
                {"type": "constant", "value": 256},
                "the largest that fits: Godbole et al. 2023 advise against tuning it",
            ),
        ),
        (
            "# With optimiser = 'sgd': torch.optim.SGD(..., lr=lr, momentum=momentum, weight_decay=weight_decay);",
            "# with 'adamw': torch.optim.AdamW(..., lr=adamw_lr, weight_decay=adamw_decay).",
            "# After each epoch: trial.report(epoch, loss), by which [early_stopping] ends hopeless trials.",
        ),
        "(math.log10(lr or adamw_lr) + 2.0) ** 2 + 1.0 / (blocks * channels)",
    ),
    "transformer": Preset(
        "fine-tuning of a pre-trained transformer",
        (
            _float(
                "lr",
                1e-5,
                1.5e-4,
                "from RoBERTa's lowest (Liu et al. 2019, table 10) to ELECTRA-base's highest (Clark et al. 2020)",
                log=True,
            ),
            _one_of("batch_size", [16, 32], "as for BERT (Devlin et al. 2018, app. A.3) and RoBERTa", "ordinal"),
            _int("epochs", 2, 10, "from BERT's 2 (app. A.3) to RoBERTa's 10 on GLUE (table 10)", log=True),
            _float("weight_decay", 0.01, 0.1, "from RoBERTa's on SQuAD to that on GLUE (table 10)", log=True),
            _float("warmup", 0.0, 0.1, "share of the steps: RoBERTa has 0.06, ELECTRA 0.1"),
            Draft("dropout", {"type": "constant", "value": 0.1}, "always 0.1 for BERT (app. A.3)"),
        ),
        (
            "# transformers.TrainingArguments(learning_rate=lr, per_device_train_batch_size=batch_size,",
            "#     num_train_epochs=epochs, weight_decay=weight_decay, warmup_ratio=warmup, ...)",
        ),
        "(math.log10(lr) + 4.5) ** 2 + 1.0 / epochs",
    ),
    "xgboost": Preset(
        "gradient-boosted trees of XGBoost, 1,000 with early stopping",
        (
            _float("learning_rate", 1e-5, 0.7, f"as in {_TABULAR}", log=True),
            _int("max_depth", 1, 11, f"as in {_TABULAR}"),
            _int("min_child_weight", 1, 100, f"as in {_TABULAR}", log=True),
            _float("subsample", 0.5, 1.0, f"as in {_TABULAR}"),
            _float("colsample_bytree", 0.5, 1.0, f"as in {_TABULAR}"),
            _float("colsample_bylevel", 0.5, 1.0, f"as in {_TABULAR}"),
            _float("gamma", 1e-8, 7.0, f"as in {_TABULAR}", log=True),
            _float("reg_lambda", 1.0, 4.0, f"as in {_TABULAR}", log=True),
            _float("reg_alpha", 1e-8, 100.0, f"as in {_TABULAR}", log=True),
        ),
        (
            "# model = xgboost.XGBClassifier(n_estimators=1000, early_stopping_rounds=20, **config)",
            "# model.fit(x, y, eval_set=[(x_valid, y_valid)]); the objective is the loss on that set.",
        ),
        "(math.log10(learning_rate) + 1.0) ** 2 + (max_depth - 6) ** 2 / 36 + (1.0 - subsample)",
    ),
    "svm": Preset(
        "a support vector classifier of scikit-learn; scale the inputs first",
        (
            _one_of("kernel", ["rbf", "linear", "poly"], "rbf first, linear with many inputs: " + _SVC),
            _float("C", 2.0**-5, 2.0**15, f"2^-5 to 2^15: {_SVC}", log=True),
            _float("gamma", 2.0**-15, 2.0**3, f"2^-15 to 2^3: {_SVC}", log=True, when={"kernel": ["rbf", "poly"]}),
            _int("degree", 2, 5, "about sklearn.svm.SVC's default of 3", when={"kernel": "poly"}),
            _float("coef0", 0.0, 1.0, "from sklearn.svm.SVC's default of 0", when={"kernel": "poly"}),
        ),
        (
            "# model = make_pipeline(StandardScaler(), sklearn.svm.SVC(**config))",
            "# return 1.0 - cross_val_score(model, x, y).mean()",
        ),
        "(math.log2(C) - 5.0) ** 2 / 100 + (0.0 if gamma is None else (math.log2(gamma) + 6.0) ** 2 / 81)",
    ),
}


def template(name: str, study_file: str) -> str:
    """Source of an objective with a preset's parameters, for the user to fill in; it runs as it stands."""
    preset = PRESETS[name]
    lines = [
        f'"""The objective of {study_file}: {preset.what}. Written by `reverie init`, for you to fill in."""',
        "",
        "import math",
        "",
        "",
        "def objective(config, trial):",
        *map(_read, preset.drafts),
        "    # Train your model with these, and return what is to be minimised, such as the loss on a validation set.",
        *(f"    {line}" for line in preset.use),
        "    # Until then this formula stands in for it, so that `reverie check` has something to evaluate.",
        f"    return {preset.stand_in}",
        "",
    ]
    return "\n".join(lines)


def _read(draft: Draft) -> str:
    """Line that takes a parameter out of a configuration."""
    when = draft.table.get("when")
    if when is None:
        return f'    {draft.name} = config["{draft.name}"]'
    return f'    {draft.name} = config.get("{draft.name}")  # {_condition(when)}'


def _condition(when: dict[str, Any]) -> str:
    ((parent, wanted),) = when.items()
    return f"None unless {parent} is {' or '.join(wanted) if isinstance(wanted, list) else wanted}"
