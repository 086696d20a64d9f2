//! Reparametrised weights: weight norm, spectral norm, weight standardisation.

use burn::module::{Module, ModuleMapper, Param, Reparameterization};
use burn::nn::Linear;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{
    Conv1d, Conv2d, Conv2dConfig, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d,
};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use firecraft::norm::{
    NormError, SpectralNorm, SpectralNormConfig, SpectralProjection, WeightAxis, WeightNorm,
    WeightNormConfig, WeightStandardization, WeightStandardizationConfig,
};

use super::plain_layer::{PlainLayer, plain_layer};
use super::support::{by_rank, same, tensor, tolerance, training};
use crate::compare::Tolerance;
use crate::families::{Outcome, failed};
use crate::golden::{Case, Field};

/// A layer with one weight, seen in torch's layout.
trait Layer: Module {
    /// Axes of the weight.
    const RANK: usize;
    /// Whether torch's weight is the transpose of burn's.
    const TRANSPOSED: bool;
    fn weight(&self) -> Tensor<1>;
    fn weight_gradient(&self, gradients: &Gradients) -> Option<Tensor<1>>;
    fn bias(&self) -> Option<&Param<Tensor<1>>>;
    fn attached<R: Reparameterization>(&self) -> Option<&R>;
    /// Compares the output for `x` with the field `y`; the gradients for the
    /// upstream one in `gy`, where the case has it.
    fn run(&self, case: &Case, y: &str, device: &Device) -> Result<Option<Gradients>, Outcome>;

    /// Burn's axis for torch's `dim`.
    fn axis(dim: &Field) -> Result<WeightAxis, Outcome> {
        if dim.is_null() {
            return Ok(WeightAxis::Whole);
        }
        let dim = dim.f64()? as isize;
        let axis = if dim < 0 {
            dim + Self::RANK as isize
        } else {
            dim
        };
        let axis = usize::try_from(axis).map_err(failed)?;
        Ok(WeightAxis::Axis(if Self::TRANSPOSED {
            1 - axis
        } else {
            axis
        }))
    }
}

fn run_layer<const D: usize>(
    case: &Case,
    y: &str,
    device: &Device,
    forward: impl FnOnce(Tensor<D>) -> Tensor<D>,
) -> Result<Option<Gradients>, Outcome> {
    let trains = device.is_autodiff();
    let x = tensor::<D>(&case.get("x"), device)?;
    let x = if trains { x.require_grad() } else { x };
    let output = forward(x.clone());
    same(y, output.clone(), &case.get(y), tolerance(&case.whole())?)?;
    if !trains || case.get("gy").is_null() {
        return Ok(None);
    }
    let upstream = tensor::<D>(&case.get("gy"), device)?;
    let gradients = (output * upstream).sum().backward();
    let gx = x.grad(&gradients).ok_or_else(|| failed("no gx"))?;
    same("gx", gx, &case.get("gx"), Tolerance::TENSOR)?;
    Ok(Some(gradients))
}

macro_rules! layers {
    ($($Layer:ident: $D:literal;)*) => {
        $(
            impl Layer for $Layer {
                const RANK: usize = $D;
                const TRANSPOSED: bool = false;

                fn weight(&self) -> Tensor<1> {
                    self.weight.val().flatten(0, $D - 1)
                }

                fn weight_gradient(&self, gradients: &Gradients) -> Option<Tensor<1>> {
                    let gradient = self.weight.base().grad(gradients)?;
                    Some(gradient.flatten(0, $D - 1))
                }

                fn bias(&self) -> Option<&Param<Tensor<1>>> {
                    self.bias.as_ref()
                }

                fn attached<R: Reparameterization>(&self) -> Option<&R> {
                    self.weight.reparameterization()
                }

                fn run(
                    &self,
                    case: &Case,
                    y: &str,
                    device: &Device,
                ) -> Result<Option<Gradients>, Outcome> {
                    run_layer::<$D>(case, y, device, |x| self.forward(x))
                }
            }
        )*
    };
}

layers! {
    Conv1d: 3;
    Conv2d: 4;
    Conv3d: 5;
    ConvTranspose1d: 3;
    ConvTranspose2d: 4;
    ConvTranspose3d: 5;
}

impl Layer for Linear {
    const RANK: usize = 2;
    const TRANSPOSED: bool = true;

    fn weight(&self) -> Tensor<1> {
        self.weight.val().transpose().flatten(0, 1)
    }

    fn weight_gradient(&self, gradients: &Gradients) -> Option<Tensor<1>> {
        let gradient = self.weight.base().grad(gradients)?;
        Some(gradient.transpose().flatten(0, 1))
    }

    fn bias(&self) -> Option<&Param<Tensor<1>>> {
        self.bias.as_ref()
    }

    fn attached<R: Reparameterization>(&self) -> Option<&R> {
        self.weight.reparameterization()
    }

    fn run(&self, case: &Case, y: &str, device: &Device) -> Result<Option<Gradients>, Outcome> {
        by_rank!(case.get("x"), D => run_layer::<D>(case, y, device, |x| self.forward(x)))
    }
}

/// Runs the generic check on whatever layer the case names.
macro_rules! on_layer {
    ($case:expr, $weight:literal, $check:ident) => {{
        let device = training();
        let (weight, bias) = ($case.get($weight), $case.get("bias"));
        match plain_layer($case.get("layer").str()?, &weight, &bias, &device)? {
            PlainLayer::Linear(layer) => $check($case, layer),
            PlainLayer::Conv1d(layer) => $check($case, layer),
            PlainLayer::Conv2d(layer) => $check($case, layer),
            PlainLayer::Conv3d(layer) => $check($case, layer),
            PlainLayer::ConvTranspose1d(layer) => $check($case, layer),
            PlainLayer::ConvTranspose2d(layer) => $check($case, layer),
            PlainLayer::ConvTranspose3d(layer) => $check($case, layer),
        }
    }};
}

/// Sets the parameter whose path ends with a name.
struct Set {
    name: &'static str,
    value: Vec<f32>,
    path: Vec<String>,
}

impl ModuleMapper for Set {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.path.last().map(String::as_str) != Some(self.name) {
            return param;
        }
        param.map(|old| {
            let data = TensorData::new(self.value.clone(), old.dims());
            Tensor::from_data(data, &old.device()).require_grad()
        })
    }
}

fn set<M: Module>(model: M, name: &'static str, value: &Field) -> Result<M, Outcome> {
    Ok(model.map(&mut Set {
        name,
        value: value.tensor()?.f32s(),
        path: Vec::new(),
    }))
}

/// Compares a gradient that must exist, flat.
fn gradient(what: &str, got: Option<Tensor<1>>, want: &Field) -> Result<(), Outcome> {
    let got = got.ok_or_else(|| failed(format!("{what}: no gradient")))?;
    same(what, got, want, Tolerance::TENSOR)
}

fn bias_gradient<L: Layer>(layer: &L, gradients: &Gradients, want: &Field) -> Result<(), Outcome> {
    match layer.bias() {
        Some(bias) => gradient("gbias", bias.val().grad(gradients), want),
        None => Ok(()),
    }
}

/// `weight_norm`, and its removal.
pub(super) fn torch_weight_norm(case: &Case) -> Result<(), Outcome> {
    on_layer!(case, "v", weight_norm)
}

fn weight_norm<L: Layer>(case: &Case, layer: L) -> Result<(), Outcome> {
    let device = training();
    let config = WeightNormConfig::new().with_axis(L::axis(&case.get("dim"))?);
    let layer = set(config.apply(layer).map_err(failed)?, "g", &case.get("g"))?;
    same(
        "weight",
        layer.weight(),
        &case.get("weight"),
        Tolerance::TENSOR,
    )?;
    if let Some(gradients) = layer.run(case, "y", &device)? {
        let norm = layer.attached::<WeightNorm>();
        let norm = norm.ok_or_else(|| failed("no weight norm"))?;
        gradient("gg", norm.g.val().grad(&gradients), &case.get("gg"))?;
        gradient("gv", layer.weight_gradient(&gradients), &case.get("gv"))?;
        bias_gradient(&layer, &gradients, &case.get("gbias"))?;
    }
    let removed = layer.valid().materialize();
    same(
        "removed",
        removed.weight(),
        &case.get("weight"),
        Tolerance::TENSOR,
    )?;
    removed.run(case, "y", &Device::flex()).map(|_| ())
}

/// `spectral_norm`: training forwards, then evaluation.
pub(super) fn torch_spectral_norm(case: &Case) -> Result<(), Outcome> {
    on_layer!(case, "weight", spectral_norm)
}

fn spectral_norm<L: Layer>(case: &Case, layer: L) -> Result<(), Outcome> {
    let device = training();
    let mut config = SpectralNormConfig::new().with_axis(L::axis(&case.get("dim"))?);
    if case.has("n_power_iterations") {
        config = config.with_power_iterations(case.get("n_power_iterations").usize()?);
    }
    if case.has("eps") {
        config = config.with_epsilon(case.get("eps").f64()?);
    }
    let layer = config.apply(layer).map_err(failed)?;
    let norm = layer.attached::<SpectralNorm>();
    let norm = norm.ok_or_else(|| failed("no spectral norm"))?;
    norm.u.set(tensor(&case.get("u0"), &device)?);
    norm.v.set(tensor(&case.get("v0"), &device)?);
    let steps = case.get("train_steps").items()?;
    for (index, step) in steps.iter().enumerate() {
        if index + 1 < steps.len() {
            let _ = layer.weight();
        } else if let Some(gradients) = layer.run(case, "y", &device)? {
            gradient(
                "gweight",
                layer.weight_gradient(&gradients),
                &case.get("gweight"),
            )?;
            bias_gradient(&layer, &gradients, &case.get("gbias"))?;
        }
        same("u", norm.u.value(), &step.get("u"), Tolerance::TENSOR)?;
        same("v", norm.v.value(), &step.get("v"), Tolerance::TENSOR)?;
    }
    let valid = layer.valid();
    same(
        "eval_weight",
        valid.weight(),
        &case.get("eval_weight"),
        Tolerance::TENSOR,
    )?;
    valid.run(case, "eval_y", &Device::flex()).map(|_| ())
}

/// `SpectralNormalization` of a dense layer, which overwrites its kernel.
pub(super) fn keras_spectral(case: &Case) -> Result<(), Outcome> {
    let device = Device::flex();
    let kernel = tensor::<2>(&case.get("kernel"), &device)?;
    let u = case.get("u0").tensor()?.f32s();
    let length = u.len();
    let mut layer = Linear {
        weight: Param::from_tensor(kernel),
        bias: None,
    };
    let mut config = SpectralNormConfig::new();
    if case.has("power_iterations") {
        config = config.with_power_iterations(case.get("power_iterations").usize()?);
    }
    let u = Tensor::from_data(TensorData::new(u, [length]), &device);
    let projection = SpectralProjection::new(config).map_err(failed)?;
    let mut projection = projection.with_vector("weight", u);
    let x = tensor::<2>(&case.get("x"), &device)?;
    for call in case.get("train_calls").items()? {
        layer = projection.project(layer);
        same(
            "kernel",
            layer.weight.val(),
            &call.get("kernel"),
            Tolerance::TENSOR,
        )?;
        let u = projection.vector("weight").ok_or_else(|| failed("no u"))?;
        same("u", u, &call.get("u"), Tolerance::TENSOR)?;
        same(
            "y",
            layer.forward(x.clone()),
            &call.get("y"),
            Tolerance::TENSOR,
        )?;
    }
    same(
        "eval_y",
        layer.forward(x),
        &case.get("eval_y"),
        Tolerance::TENSOR,
    )
}

/// `StdConv2d` and `ScaledStdConv2d`.
pub(super) fn timm_standardized(case: &Case) -> Result<(), Outcome> {
    let device = training();
    let args = case.args();
    let scaled = case.name().starts_with("Scaled");
    let mut config = if scaled {
        WeightStandardizationConfig::scaled(args.get("gamma").or(1.0, Field::f64)?)
    } else {
        WeightStandardizationConfig::new()
    };
    let sides = |field: &Field| -> Result<[usize; 2], Outcome> {
        if let Ok(side) = field.usize() {
            return Ok([side; 2]);
        }
        field.usizes()?.try_into().map_err(|_| Outcome::Unsupported)
    };
    let channels = [
        args.get("in_channels").usize()?,
        args.get("out_channels").usize()?,
    ];
    let kernel = sides(&args.get("kernel_size"))?;
    let mut conv =
        Conv2dConfig::new(channels, kernel).with_bias(!case.get("params").get("bias").is_null());
    for name in args.keys() {
        let value = args.get(name);
        match name {
            "in_channels" | "out_channels" | "kernel_size" | "bias" | "padding" => {}
            "gamma" if scaled => {}
            "gain_init" if scaled => config = config.with_initial_gain(value.f64()?),
            "eps" => config = config.with_epsilon(value.f64()?),
            "stride" => conv = conv.with_stride(sides(&value)?),
            "dilation" => conv = conv.with_dilation(sides(&value)?),
            "groups" => conv = conv.with_groups(value.usize()?),
            _ => return Err(Outcome::Unsupported),
        }
    }
    let padding = args.get("padding");
    let [y, x] = if padding.is_null() {
        // timm's default keeps the size at stride 1.
        [0, 1].map(|i| (conv.stride[i] - 1 + conv.dilation[i] * (kernel[i] - 1)) / 2)
    } else {
        sides(&padding)?
    };
    let conv = conv.with_padding(PaddingConfig2d::Explicit(y, x, y, x));
    let mut layer = conv.init(&device);
    let params = case.get("params");
    layer.weight = Param::from_tensor(tensor(&params.get("weight"), &device)?);
    if !params.get("bias").is_null() {
        layer.bias = Some(Param::from_tensor(tensor(&params.get("bias"), &device)?));
    }
    let mut layer: Conv2d = config.apply(layer).map_err(|e: NormError| failed(e))?;
    if scaled {
        layer = set(layer, "gain", &params.get("gain"))?;
    }
    let Some(gradients) = layer.run(case, "y", &device)? else {
        return Ok(());
    };
    let want = case.get("gparams");
    gradient(
        "gweight",
        layer.weight_gradient(&gradients),
        &want.get("weight"),
    )?;
    bias_gradient(&layer, &gradients, &want.get("bias"))?;
    let inner = layer.attached::<WeightStandardization>();
    match inner.and_then(|inner| inner.gain.as_ref()) {
        Some(gain) => gradient("ggain", gain.val().grad(&gradients), &want.get("gain")),
        None => Ok(()),
    }
}
