//! What torch's layers start with, on the same layers of burn.

use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::attention::MultiHeadAttentionConfig;
use burn::nn::conv::{
    Conv1dConfig, Conv2dConfig, Conv3dConfig, ConvTranspose1dConfig, ConvTranspose2dConfig,
    ConvTranspose3dConfig,
};
use burn::nn::{
    BatchNormConfig, EmbeddingConfig, GroupNormConfig, GruConfig, LayerNormConfig, LinearConfig,
    LstmConfig, PReluConfig, RnnConfig,
};
use burn::tensor::{Device, Tensor};
use firecraft::init::peers::torch;
use firecraft::key::Key;

use super::super::{Outcome, failed};
use super::random::{self, DRAWS, Law};
use crate::golden::Case;

/// A case `layer: "nn.Linear(8,5)"`, `expect: {parameter: law}`.
pub(super) fn defaults(case: &Case) -> Result<(), Outcome> {
    let text = case.get("layer").str()?;
    let layer = Layer::parse(text).ok_or(Outcome::Unsupported)?;
    let expect = case.get("expect");
    for name in expect.keys() {
        let law = Law::read(&expect.get(name))?;
        let mut drawn = Vec::new();
        for seed in 0.. {
            if drawn.len() >= DRAWS {
                break;
            }
            let before = drawn.len();
            layer.draw(name, Key::from_seed(seed), &mut drawn)?;
            if drawn.len() == before {
                return Err(Outcome::Unsupported);
            }
        }
        random::follows(&drawn, &law)?;
    }
    Ok(())
}

/// `nn.Name(1,2,(3,5),groups=3)`.
struct Layer {
    name: String,
    /// A size, or one per axis.
    sizes: Vec<Vec<usize>>,
    groups: usize,
    bias: bool,
}

impl Layer {
    fn parse(text: &str) -> Option<Self> {
        let (name, rest) = text.split_once('(')?;
        let mut layer = Self {
            name: name.strip_prefix("nn.").unwrap_or(name).to_owned(),
            sizes: Vec::new(),
            groups: 1,
            bias: true,
        };
        for argument in arguments(rest.strip_suffix(')')?) {
            match argument.split_once('=') {
                Some(("groups", value)) => layer.groups = value.parse().ok()?,
                Some(("bias", value)) => layer.bias = value == "True",
                Some(("kernel_size", value)) => layer.sizes.push(numbers(value)?),
                // What a layer does with its values doesn't change them.
                Some(("stride" | "padding" | "dilation" | "batch_first", _)) => {}
                Some(_) => return None,
                None => layer.sizes.push(numbers(argument)?),
            }
        }
        Some(layer)
    }

    /// Size `at`, if it is a single number.
    fn size(&self, at: usize) -> Result<usize, Outcome> {
        match self.sizes.get(at).map(Vec::as_slice) {
            Some(&[size]) => Ok(size),
            _ => Err(Outcome::Unsupported),
        }
    }

    /// The kernel of a convolution.
    fn kernel<const D: usize>(&self) -> Result<[usize; D], Outcome> {
        let kernel = self.sizes.get(2).ok_or(Outcome::Unsupported)?;
        match kernel.as_slice() {
            &[size] => Ok([size; D]),
            sizes => sizes.try_into().map_err(|_| Outcome::Unsupported),
        }
    }

    /// Appends the values of the parameter that torch calls `name`.
    fn draw(&self, name: &str, key: Key, out: &mut Vec<f64>) -> Result<(), Outcome> {
        let device = Device::flex();
        let (groups, bias) = (self.groups, self.bias);
        // Sizes that a layer doesn't have are not asked for.
        let (first, second) = (self.size(0), self.size(1));
        match self.name.as_str() {
            "Linear" => {
                let config = LinearConfig::new(first?, second?).with_bias(bias);
                collect(config.init(&device), name, key, out)
            }
            "Conv1d" => {
                let [k] = self.kernel()?;
                let config = Conv1dConfig::new(first?, second?, k);
                let config = config.with_groups(groups).with_bias(bias);
                collect(config.init(&device), name, key, out)
            }
            "Conv2d" => {
                let config = Conv2dConfig::new([first?, second?], self.kernel()?);
                let config = config.with_groups(groups).with_bias(bias);
                collect(config.init(&device), name, key, out)
            }
            "Conv3d" => {
                let config = Conv3dConfig::new([first?, second?], self.kernel()?);
                let config = config.with_groups(groups).with_bias(bias);
                collect(config.init(&device), name, key, out)
            }
            "ConvTranspose1d" => {
                let [k] = self.kernel()?;
                let config = ConvTranspose1dConfig::new([first?, second?], k);
                let config = config.with_groups(groups).with_bias(bias);
                collect(config.init(&device), name, key, out)
            }
            "ConvTranspose2d" => {
                let config = ConvTranspose2dConfig::new([first?, second?], self.kernel()?);
                let config = config.with_groups(groups).with_bias(bias);
                collect(config.init(&device), name, key, out)
            }
            "ConvTranspose3d" => {
                let config = ConvTranspose3dConfig::new([first?, second?], self.kernel()?);
                let config = config.with_groups(groups).with_bias(bias);
                collect(config.init(&device), name, key, out)
            }
            "Embedding" => {
                let config = EmbeddingConfig::new(first?, second?);
                collect(config.init(&device), name, key, out)
            }
            "LSTM" => {
                let config = LstmConfig::new(first?, second?, bias);
                collect(config.init(&device), name, key, out)
            }
            "GRU" => {
                let config = GruConfig::new(first?, second?, bias);
                collect(config.init(&device), name, key, out)
            }
            "RNN" => {
                let config = RnnConfig::new(first?, second?, bias);
                collect(config.init(&device), name, key, out)
            }
            "PReLU" => collect(PReluConfig::new().init(&device), name, key, out),
            "MultiheadAttention" => {
                let config = MultiHeadAttentionConfig::new(first?, second?);
                collect(config.init(&device), name, key, out)
            }
            "BatchNorm1d" | "BatchNorm2d" | "BatchNorm3d" => {
                collect(BatchNormConfig::new(first?).init(&device), name, key, out)
            }
            "LayerNorm" => collect(LayerNormConfig::new(first?).init(&device), name, key, out),
            "GroupNorm" => {
                let config = GroupNormConfig::new(first?, second?);
                collect(config.init(&device), name, key, out)
            }
            _ => Err(Outcome::Unsupported),
        }
    }
}

/// The arguments between commas that are in no parentheses.
fn arguments(text: &str) -> Vec<&str> {
    let mut depth = 0;
    (text.split(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    }))
    .map(str::trim)
    .filter(|argument| !argument.is_empty())
    .collect()
}

/// `3` or `(3, 5)`.
fn numbers(text: &str) -> Option<Vec<usize>> {
    (text.trim_matches(['(', ')']).split(','))
        .map(|number| number.trim().parse().ok())
        .collect()
}

fn collect<M: Module>(module: M, name: &str, key: Key, out: &mut Vec<f64>) -> Result<(), Outcome> {
    let module = torch::layer_defaults().apply(module, key).map_err(failed)?;
    let mut reader = Reader {
        path: Vec::new(),
        wanted: name,
        out,
    };
    module.visit(&mut reader);
    Ok(())
}

struct Reader<'a> {
    path: Vec<String>,
    wanted: &'a str,
    out: &'a mut Vec<f64>,
}

impl Reader<'_> {
    /// burn's names of the parameters that torch calls `wanted`.
    fn is_wanted(&self) -> bool {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        match (self.wanted, path.as_slice()) {
            ("in_proj_weight", ["query" | "key" | "value", "weight"])
            | ("in_proj_bias", ["query" | "key" | "value", "bias"])
            | ("out_proj.weight", ["output", "weight"])
            | ("out_proj.bias", ["output", "bias"])
            | ("weight_ih_l0", [_, "input_transform", "weight"])
            | ("weight_hh_l0", [_, "hidden_transform", "weight"])
            | ("bias_ih_l0", [_, "input_transform", "bias"])
            | ("bias_hh_l0", [_, "hidden_transform", "bias"])
            | ("weight", ["gamma" | "alpha"])
            | ("bias", ["beta"]) => true,
            (wanted, [name]) => *name == wanted,
            _ => false,
        }
    }
}

impl ModuleVisitor for Reader<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.is_wanted() {
            self.out.extend(param.val().into_data().iter::<f64>());
        }
    }
}
