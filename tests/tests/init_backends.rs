//! A model starts from the same bits on every device: values are made on the
//! host and uploaded.
//!
//! Compiled in by `--features wgpu,ndarray`; without them there is nothing to
//! compare. On a machine without a GPU, Mesa's software Vulkan will do.
// Helpers of tests are not covered by clippy's allow-unwrap-in-tests.
#![allow(clippy::unwrap_used)]
#![cfg(any(feature = "wgpu", feature = "ndarray"))]

use burn::{
    module::{Module, ModuleVisitor, Param},
    nn::{
        BatchNorm, BatchNormConfig, Embedding, EmbeddingConfig, Linear, LinearConfig, LinearLayout,
        Lstm, LstmConfig,
        attention::{MultiHeadAttention, MultiHeadAttentionConfig},
        conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig},
    },
    tensor::{Device, Tensor},
};
use firecraft::{
    core_tensor::device,
    init::{
        Activation, DeltaOrthogonal, InitPlan, Orthogonal, Role, Sparse, TruncatedNormal, peers,
        presets,
    },
    key::Key,
};

/// Every kind of layer that a plan knows, one of them large enough to be
/// filled and factored by several threads.
#[derive(Module, Debug)]
struct Net {
    conv: Conv2d,
    grouped: Conv2d,
    up: ConvTranspose2d,
    norm: BatchNorm,
    table: Embedding,
    lstm: Lstm,
    attention: MultiHeadAttention,
    column: Linear,
    wide: Linear,
}

impl Net {
    fn new(device: &Device) -> Self {
        Self {
            conv: Conv2dConfig::new([6, 8], [3, 3]).init(device),
            grouped: Conv2dConfig::new([8, 12], [3, 3])
                .with_groups(4)
                .init(device),
            up: ConvTranspose2dConfig::new([4, 7], [2, 2]).init(device),
            norm: BatchNormConfig::new(7).init(device),
            table: EmbeddingConfig::new(10, 6).init(device),
            lstm: LstmConfig::new(3, 5, true).init(device),
            attention: MultiHeadAttentionConfig::new(8, 2).init(device),
            column: LinearConfig::new(6, 5)
                .with_layout(LinearLayout::Col)
                .init(device),
            wide: LinearConfig::new(300, 260).init(device),
        }
    }
}

/// Path and bits of every float parameter.
#[derive(Default)]
struct Bits {
    path: Vec<String>,
    found: Vec<(String, Vec<u32>)>,
}

impl ModuleVisitor for Bits {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let values = param.val().into_data().try_to_vec::<f32>().unwrap();
        let bits = values.into_iter().map(f32::to_bits).collect();
        self.found.push((self.path.join("."), bits));
    }
}

fn start(plan: &InitPlan, device: &Device) -> Vec<(String, Vec<u32>)> {
    let net = plan.apply(Net::new(device), Key::from_seed(5)).unwrap();
    let mut bits = Bits::default();
    net.visit(&mut bits);
    bits.found
}

fn starts_like_flex(name: &str) {
    let relu = || InitPlan::for_activation(Activation::Relu).unwrap();
    let special = relu()
        .path("conv.weight", DeltaOrthogonal::default())
        .path("column.weight", Sparse::new(0.5))
        .path("wide.weight", Orthogonal::default())
        .role(Role::Embedding, TruncatedNormal::new(0.0, 0.02));
    let plans = [
        ("activation", relu()),
        ("special", special),
        ("torch", peers::torch::layer_defaults()),
        ("keras", peers::keras::layer_defaults()),
        ("vit", presets::vit()),
    ];
    for (label, plan) in plans {
        let flex = start(&plan, &Device::flex());
        for device in [
            device::open(name).unwrap(),
            device::open(name).unwrap().autodiff(),
        ] {
            let here = start(&plan, &device);
            assert_eq!(here.len(), flex.len());
            for ((path, here), (_, flex)) in here.iter().zip(&flex) {
                assert!(here == flex, "{label}: {path} on {name}");
            }
        }
    }
}

#[test]
#[cfg(feature = "wgpu")]
fn wgpu_starts_from_the_bits_of_flex() {
    starts_like_flex("wgpu");
}

#[test]
#[cfg(feature = "ndarray")]
fn ndarray_starts_from_the_bits_of_flex() {
    starts_like_flex("ndarray");
}
