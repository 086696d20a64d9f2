use std::sync::Arc;

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use super::*;
use crate::testing::random;
use crate::{
    AllReduce, BatchNormConfig, BatchNormMode, ConvNormAct2d, ConvNormAct2dConfig, HostAllReduce,
    Mode, NormConfig,
};

/// A residual block.
#[derive(Module, Debug)]
struct Block {
    conv1: Conv2d,
    norm1: Norm,
    conv2: Conv2d,
    norm2: Option<BatchNorm>,
}
norm_tree!(Block { conv1 => norm1, conv2 => norm2 });

/// Every kind of pair and of field.
#[derive(Module, Debug)]
struct Model {
    stem: ConvNormAct2d,
    blocks: Vec<Block>,
    pair: [Block; 2],
    up: ConvTranspose2d,
    up_norm: Norm,
    free: BatchNorm,
    head: Linear,
    head_norm: Norm,
}
norm_tree!(Model {
    stem,
    blocks,
    pair,
    up => up_norm,
    free,
    head => head_norm,
});

impl Block {
    fn new(device: &Device) -> Self {
        let conv = || {
            Conv2dConfig::new([4, 4], [3, 3])
                .with_padding(same())
                .init(device)
        };
        Self {
            conv1: conv(),
            norm1: NormConfig::Batch(BatchNormConfig::new(1)).init(4, device),
            conv2: conv(),
            norm2: Some(BatchNormConfig::new(4).init(device)),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = relu(self.norm1.forward(self.conv1.forward(x.clone())));
        let y = self.conv2.forward(y);
        x + match &self.norm2 {
            Some(norm) => norm.forward(y),
            None => y,
        }
    }
}

fn same() -> burn::nn::PaddingConfig2d {
    burn::nn::PaddingConfig2d::Same
}

impl Model {
    fn new(device: &Device) -> Self {
        let norm = NormConfig::Batch(BatchNormConfig::new(1));
        Self {
            stem: ConvNormAct2dConfig::new([2, 4], [3, 3]).init(device),
            blocks: vec![Block::new(device)],
            pair: [Block::new(device), Block::new(device)],
            up: ConvTranspose2dConfig::new([4, 6], [2, 2])
                .with_groups(2)
                .init(device),
            up_norm: norm.init(6, device),
            free: BatchNormConfig::new(6).init(device),
            head: LinearConfig::new(6, 3).init(device),
            head_norm: norm.init(3, device),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let x = self.stem.forward(x);
        let x = self
            .blocks
            .iter()
            .chain(&self.pair)
            .fold(x, |x, b| b.forward(x));
        let x = self.free.forward(self.up_norm.forward(self.up.forward(x)));
        let x = x.mean_dim(3).mean_dim(2).reshape([-1, 6]);
        self.head_norm.forward(self.head.forward(x))
    }
}

/// A model whose statistics, factors and offsets differ per channel.
fn trained() -> Model {
    let device = Device::flex();
    let model = Model::new(&device.clone().autodiff());
    for step in 0..3 {
        let x = random([8, 2, 5, 5], step) * 2.0 + 0.5;
        let _ = model.forward(x.autodiff());
    }
    struct Affine;
    impl burn::module::ModuleMapper for Affine {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            if D != 1 || !param.val().is_require_grad() {
                return param;
            }
            param.map(|value| {
                let value = value.without_autodiff();
                let noise = random(value.dims(), 9);
                (value + noise * 0.3).autodiff().require_grad()
            })
        }
    }
    model.map(&mut Affine)
}

#[test]
fn paths_are_those_of_the_fields() {
    let paths = norm_paths(&Model::new(&Device::flex()));
    let want = [
        "stem.norm",
        "blocks.0.norm1",
        "blocks.0.norm2",
        "pair.0.norm1",
        "pair.0.norm2",
        "pair.1.norm1",
        "pair.1.norm2",
        "up_norm",
        "free",
        "head_norm",
    ];
    assert_eq!(paths, want);
}

#[test]
fn a_folded_model_computes_what_the_model_does_in_evaluation() {
    let model = trained().valid();
    let x = random([4, 2, 5, 5], 20);
    let want = model.forward(x.clone());
    let folded = fold_norms(model).unwrap();
    assert!(matches!(folded.stem.norm, Norm::None(_)));
    assert!(folded.pair[1].norm2.is_none());
    assert!(matches!(folded.head_norm, Norm::None(_)));
    let scale = want.clone().abs().max().into_scalar::<f32>().max(1.0);
    let error = (folded.forward(x) - want).abs().max().into_scalar::<f32>();
    assert!(error < 1e-5 * scale, "{error} of {scale}");
}

#[test]
fn a_field_that_cannot_be_emptied_is_an_error_that_names_it() {
    #[derive(Module, Debug)]
    struct Fixed {
        linear: Linear,
        norm: BatchNorm,
    }
    norm_tree!(Fixed { linear => norm });
    let device = Device::flex();
    let model = Fixed {
        linear: LinearConfig::new(2, 2).init(&device),
        norm: BatchNormConfig::new(2).init(&device),
    };
    let error = fold_norms(model).unwrap_err().to_string();
    assert!(error.starts_with("`norm` is a `BatchNorm`"), "{error}");
}

#[test]
fn batch_norms_become_group_norms_with_their_affine_parameters() {
    let model = trained();
    let gamma = |norm: &Norm| match norm {
        Norm::Group(norm) => norm.gamma.clone(),
        Norm::Batch(norm) => norm.gamma.clone(),
        _ => None,
    };
    let values = |norm: &Norm| gamma(norm).unwrap().val().try_into_vec_as::<f32>().unwrap();
    let before = values(&model.up_norm);
    let only = |path: &str, norm: &BatchNorm| (path == "up_norm").then(|| norm.to_group_norm(32));
    let model = replace_batch_norms(model, only).unwrap();
    assert!(matches!(model.head_norm, Norm::Batch(_)));
    let Norm::Group(group) = &model.up_norm else {
        panic!("not replaced");
    };
    assert_eq!(group.config().num_groups, 2); // the divisor that 32 and 6 share
    assert_eq!(values(&model.up_norm), before);
    let all = replace_batch_norms(model, |_, norm| Some(norm.to_group_norm(2)));
    assert!(matches!(all, Err(NormError::Slot { .. })));
}

#[test]
fn batch_norms_become_frozen_and_keep_what_they_compute_in_evaluation() {
    let model = trained();
    let x = random([4, 2, 5, 5], 20);
    let want = model.valid().forward(x.clone());
    let frozen = replace_batch_norms(model, |_, norm| Some(norm.to_frozen())).unwrap();
    assert_eq!(frozen.free.mode(), BatchNormMode::Frozen);
    let before = statistics(&frozen.free);
    // On an autodiff device, where batch norms that train would use the batch.
    let got = frozen.forward(x.autodiff()).without_autodiff();
    assert!((got - want).abs().max().into_scalar::<f32>() < 1e-5);
    assert_eq!(statistics(&frozen.free), before);
    let gamma = frozen.free.gamma.as_ref().unwrap();
    assert!(!gamma.val().is_require_grad());
}

#[test]
fn batch_norms_become_synchronised_and_fold_and_freeze_by_the_same_paths() {
    let device = Device::flex().autodiff();
    let block = |norm: Norm| Block {
        conv1: Conv2dConfig::new([4, 4], [1, 1]).init(&device),
        norm1: norm,
        conv2: Conv2dConfig::new([4, 4], [1, 1]).init(&device),
        norm2: None,
    };
    let norm = || NormConfig::Batch(BatchNormConfig::new(1)).init(4, &device);
    let plain = block(norm());
    // One worker, whose sums are its own.
    let alone: Arc<dyn AllReduce> = Arc::new(HostAllReduce::new(|_| {}));
    let to_sync = |_: &str, norm: &BatchNorm| Some(norm.to_sync(alone.clone()));
    let sync = replace_batch_norms(plain.clone(), to_sync).unwrap();
    assert!(matches!(sync.norm1, Norm::Sync(_)));
    let x = random([6, 4, 2, 2], 3).autodiff();
    let same = |a: Tensor<4>, b: Tensor<4>| {
        let error = (a - b).abs().max().into_scalar::<f32>();
        assert!(error < 1e-5, "{error}");
    };
    same(sync.forward(x.clone()), plain.forward(x.clone()));

    let frozen = crate::freeze_norms(sync.clone(), |path| path == "norm1");
    let inner = NormSlot::batch_norm(&frozen.norm1).unwrap();
    assert_eq!(inner.mode(), BatchNormMode::Frozen);
    assert_eq!(crate::inspect_norms(&sync).layers[0].path, "norm1");

    let x = x.without_autodiff();
    let want = sync.valid().forward(x.clone());
    let folded = fold_norms(sync.valid()).unwrap();
    assert!(matches!(folded.norm1, Norm::None(_)));
    same(folded.forward(x), want);

    let back = replace_batch_norms(sync, |_, norm| Some(Norm::Batch(norm.clone()))).unwrap();
    assert!(matches!(back.norm1, Norm::Batch(_)));
}

#[test]
fn freezing_and_precise_statistics_work_on_the_same_model() {
    let model = crate::freeze_norms(trained(), |path| path.starts_with("pair"));
    assert_eq!(
        model.pair[0].norm2.as_ref().unwrap().mode(),
        BatchNormMode::Frozen
    );
    assert_eq!(model.free.mode(), BatchNormMode::Train);
    let before = statistics(model.pair[0].norm2.as_ref().unwrap());
    let free = statistics(&model.free);
    let batches = [random([6, 2, 5, 5], 31), random([3, 2, 5, 5], 32)];
    let forward = |model: &Model, batch| {
        let _ = model.forward(batch);
    };
    let model = crate::recalibrate(model, batches, crate::Weighting::PerSample, forward);
    assert_eq!(statistics(model.pair[0].norm2.as_ref().unwrap()), before);
    assert_ne!(statistics(&model.free), free);
    let x = random([2, 2, 5, 5], 3).autodiff();
    let norm = model.pair[0].norm2.as_ref().unwrap();
    let _ = norm.forward_mode(
        model.pair[0].conv2.forward(model.stem.forward(x)),
        Mode::Train,
    );
    assert_eq!(statistics(norm), before);
}

fn statistics(norm: &BatchNorm) -> [Vec<f32>; 2] {
    let (mean, variance) = norm.statistics().unwrap();
    [mean, variance].map(|buffer| buffer.value().try_into_vec_as().unwrap())
}
