//! A backbone that stands still, statistics included, until it is its turn.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use burn::tensor::TensorData;
use firecraft_trainer::callbacks::{FreezeStatistics, GradualUnfreezing};
use firecraft_trainer::{
    AdamW, Fitted, Import, ModelState, Select, TensorArchive, Trainer, layer_decay,
};
use support::{Net, train, valid};

const BACKBONE: [&str; 5] = [
    "first.weight",
    "first.bias",
    "norm.gamma",
    "norm.running_mean",
    "norm.running_var",
];

fn path(glob: &str) -> Select {
    Select::Path { glob: glob.into() }
}

/// A net whose first layer comes from a file of torch's.
fn pretrained() -> Net {
    let mut file = TensorArchive::default();
    let weight: Vec<f32> = (0..96).map(|i| (i as f32 * 0.37).sin() * 0.3).collect();
    file.insert("features.0.weight", TensorData::new(weight, [16, 6]));
    file.insert("features.0.bias", TensorData::new(vec![0.1f32; 16], [16]));
    file.insert(
        "classifier.weight",
        TensorData::new(vec![0.0f32; 32], [2, 16]),
    );
    let import = Import::new(file).pytorch().partial();
    let import = import.rename("features.0.", "first.");
    let (net, report) = import.apply(Net::new(1)).unwrap();
    assert_eq!(report.loaded, ["first.bias", "first.weight"]);
    assert_eq!(report.unused, ["classifier.weight"]);
    net
}

fn fit(epochs: u64) -> Fitted<Net> {
    let frozen = GradualUnfreezing::new()
        .then(2, path("first*"))
        .then(2, path("norm*"))
        .freeze_statistics();
    let optimizer = AdamW {
        groups: layer_decay(["first*", "last*"], 0.1),
        ..AdamW::torch()
    };
    Trainer::new(pretrained(), optimizer)
        .learning_rate(0.05)
        .epochs(epochs)
        .callback(frozen)
        .fit(train(3), valid())
        .unwrap()
}

/// Which of these tensors differ from the pretrained model's.
fn changed(fitted: &Fitted<Net>, paths: &[&str]) -> Vec<bool> {
    let before = ModelState::of(&pretrained());
    let after = ModelState::of(&fitted.model);
    let bytes = |state: &ModelState, path: &str| state.get(path).unwrap().as_bytes().to_vec();
    let differs = |path: &&str| bytes(&before, path) != bytes(&after, path);
    paths.iter().map(differs).collect()
}

#[test]
fn a_frozen_backbone_and_its_statistics_stand_still_until_they_are_trained() {
    let _alone = support::alone();
    let early = fit(2);
    assert_eq!(changed(&early, &BACKBONE), [false; 5]);
    assert_eq!(changed(&early, &["last.weight", "last.bias"]), [true; 2]);
    let late = fit(3);
    assert_eq!(changed(&late, &BACKBONE), [true; 5]);
}

#[test]
fn frozen_statistics_leave_scales_and_dropout_alone() {
    let _alone = support::alone();
    let fit = |seed| {
        Trainer::new(pretrained(), AdamW::torch())
            .learning_rate(0.05)
            .seed(seed)
            .epochs(1)
            .callback(FreezeStatistics::new())
            .fit(train(3), valid())
            .unwrap()
    };
    let fitted = fit(1);
    let found = changed(
        &fitted,
        &["norm.gamma", "norm.running_mean", "norm.running_var"],
    );
    assert_eq!(found, [true, false, false]);
    let other = ModelState::of(&fit(2).model).digest();
    assert_ne!(
        ModelState::of(&fitted.model).digest(),
        other,
        "dropout still draws"
    );
}
