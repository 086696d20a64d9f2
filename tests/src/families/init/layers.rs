//! What torch's layers start with, on the same layers of burn.

use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::conv::{
    Conv1dConfig, Conv2dConfig, Conv3dConfig, ConvTranspose1dConfig, ConvTranspose2dConfig,
    ConvTranspose3dConfig,
};
use burn::nn::{
    BatchNormConfig, EmbeddingConfig, GroupNormConfig, GruConfig, LayerNormConfig, LinearConfig,
    LstmConfig,
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

/// `nn.Name(1,2,groups=3)`.
struct Layer {
    name: String,
    sizes: Vec<usize>,
    groups: usize,
}

impl Layer {
    fn parse(text: &str) -> Option<Self> {
        let (name, rest) = text.split_once('(')?;
        let (mut sizes, mut groups) = (Vec::new(), 1);
        for argument in rest.strip_suffix(')')?.split(',') {
            match argument.trim().split_once('=') {
                Some(("groups", value)) => groups = value.parse().ok()?,
                Some(_) => return None,
                None => sizes.push(argument.trim().parse().ok()?),
            }
        }
        Some(Self {
            name: name.strip_prefix("nn.").unwrap_or(name).to_owned(),
            sizes,
            groups,
        })
    }

    /// Appends the values of the parameter that torch calls `name`.
    fn draw(&self, name: &str, key: Key, out: &mut Vec<f64>) -> Result<(), Outcome> {
        let device = Device::flex();
        let g = self.groups;
        match (self.name.as_str(), self.sizes.as_slice()) {
            ("Linear", &[i, o]) => collect(LinearConfig::new(i, o).init(&device), name, key, out),
            ("Conv1d", &[i, o, k]) => collect(
                Conv1dConfig::new(i, o, k).with_groups(g).init(&device),
                name,
                key,
                out,
            ),
            ("Conv2d", &[i, o, k]) => {
                let conv = Conv2dConfig::new([i, o], [k, k]).with_groups(g);
                collect(conv.init(&device), name, key, out)
            }
            ("Conv3d", &[i, o, k]) => {
                let conv = Conv3dConfig::new([i, o], [k, k, k]).with_groups(g);
                collect(conv.init(&device), name, key, out)
            }
            ("ConvTranspose1d", &[i, o, k]) => {
                let conv = ConvTranspose1dConfig::new([i, o], k).with_groups(g);
                collect(conv.init(&device), name, key, out)
            }
            ("ConvTranspose2d", &[i, o, k]) => {
                let conv = ConvTranspose2dConfig::new([i, o], [k, k]).with_groups(g);
                collect(conv.init(&device), name, key, out)
            }
            ("ConvTranspose3d", &[i, o, k]) => {
                let conv = ConvTranspose3dConfig::new([i, o], [k, k, k]).with_groups(g);
                collect(conv.init(&device), name, key, out)
            }
            ("Embedding", &[n, d]) => {
                collect(EmbeddingConfig::new(n, d).init(&device), name, key, out)
            }
            ("LSTM", &[i, h]) => collect(LstmConfig::new(i, h, true).init(&device), name, key, out),
            ("GRU", &[i, h]) => collect(GruConfig::new(i, h, true).init(&device), name, key, out),
            ("BatchNorm1d" | "BatchNorm2d" | "BatchNorm3d", &[c]) => {
                collect(BatchNormConfig::new(c).init(&device), name, key, out)
            }
            ("LayerNorm", &[c]) => collect(LayerNormConfig::new(c).init(&device), name, key, out),
            ("GroupNorm", &[groups, c]) => collect(
                GroupNormConfig::new(groups, c).init(&device),
                name,
                key,
                out,
            ),
            _ => Err(Outcome::Unsupported),
        }
    }
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
            ("weight_ih_l0", [_, "input_transform", "weight"])
            | ("weight_hh_l0", [_, "hidden_transform", "weight"])
            | ("bias_ih_l0", [_, "input_transform", "bias"])
            | ("bias_hh_l0", [_, "hidden_transform", "bias"])
            | ("weight", ["gamma"])
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
