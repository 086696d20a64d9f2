//! Every normalisation on several devices: outputs and gradients agree.
//!
//! Compiled in by `--features wgpu,ndarray`, as `backends.rs` is. On flex some
//! layers have kernels of their own, so this compares them with the composites
//! as well.
// Helpers of tests are not covered by clippy's allow-unwrap-in-tests.
#![allow(clippy::unwrap_used)]
#![cfg(any(feature = "wgpu", feature = "ndarray"))]

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::{Device, Gradients, Tensor, TensorData},
};
use firecraft::{
    core_tensor::device,
    key::Key,
    norm::{
        LayerScaleConfig, LocalResponseNormConfig, NormError, Norms, SimpleNormConfig,
        UnitNormConfig, register,
    },
    spec::{Registries, Spec},
};

/// As small as it gets with every path, and 6 features on axis 1 and the last.
const SHAPE: [usize; 4] = [2, 6, 3, 6];

fn random(slot: u64, device: &Device) -> Tensor<4> {
    let mut rng = Key::from_seed(3).fold(slot).rng();
    let length = SHAPE.iter().product();
    let values: Vec<f32> = (0..length).map(|_| rng.normal() + 0.5).collect();
    Tensor::from_data(TensorData::new(values, SHAPE), device)
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.try_into_vec_as().unwrap()
}

/// The gradients of the parameters.
struct Reader<'a>(&'a Gradients, Vec<Vec<f32>>);

impl ModuleVisitor for Reader<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.1.extend(param.val().grad(self.0).map(values));
    }
}

type Found = Vec<(String, Vec<Vec<f32>>)>;

/// Adds output and gradients of a layer in training.
fn add<M: Module>(
    found: &mut Found,
    name: &str,
    layer: M,
    device: &Device,
    forward: impl Fn(&M, Tensor<4>) -> Result<Tensor<4>, NormError>,
) {
    let x = random(0, device).require_grad();
    let y = forward(&layer, x.clone()).unwrap();
    let gradients = (y.clone() * random(1, device)).sum().backward();
    let mut reader = Reader(&gradients, vec![values(x.grad(&gradients).unwrap())]);
    layer.visit(&mut reader);
    reader.1.push(values(y));
    found.push((name.to_string(), reader.1));
}

fn all(device: &str) -> Found {
    let device = &device::open(device).unwrap().autodiff();
    let mut found = Vec::new();
    let mut registries = Registries::new();
    register(&mut registries).unwrap();
    let norms = registries.get::<Norms>().unwrap();
    for name in norms.names().filter(|name| *name != "none") {
        let layer = norms.build(&Spec::new(name)).unwrap().init(6, device);
        add(&mut found, name, layer, device, |l, x| l.try_forward(x));
    }
    let found = &mut found;
    let layer = LayerScaleConfig::new(6).init(device);
    add(found, "layer scale", layer, device, |l, x| l.try_forward(x));
    let layer = LocalResponseNormConfig::new(3).init(device);
    add(found, "LRN", layer, device, |l, x| l.try_forward(x));
    let layer = SimpleNormConfig::new([6]).init(device);
    add(found, "simple norm", layer, device, |l, x| l.try_forward(x));
    let layer = UnitNormConfig::new().init(device);
    add(found, "unit norm", layer, device, |l, x| l.try_forward(x));
    std::mem::take(found)
}

fn agrees_with_flex(device: &str) {
    let (here, flex) = (all(device), all("flex"));
    assert_eq!(here.len(), flex.len());
    for ((name, here), (_, flex)) in here.iter().zip(&flex) {
        assert_eq!(here.len(), flex.len(), "{name}");
        for (t, (here, flex)) in here.iter().zip(flex).enumerate() {
            assert_eq!(here.len(), flex.len(), "{name}, tensor {t}");
            for (i, (a, b)) in here.iter().zip(flex).enumerate() {
                assert!(
                    (a - b).abs() <= 2e-5 * (1.0 + b.abs()),
                    "{name}, tensor {t} [{i}]: {a} on {device}, {b} on flex"
                );
            }
        }
    }
}

#[test]
#[cfg(feature = "wgpu")]
fn wgpu_normalises_like_flex() {
    agrees_with_flex("wgpu");
}

#[test]
#[cfg(feature = "ndarray")]
fn ndarray_normalises_like_flex() {
    agrees_with_flex("ndarray");
}
