//! Layer-sequential unit variance: gains measured instead of derived.

use crate::diagnose::{Probe, Probed};
use crate::error::positive;
use crate::{InitError, InitPlan, Orthogonal};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// Orthogonal weights, then layer by layer a factor that gives the layer's
/// output unit variance on a batch of data (Mishkin & Matas 2016).
///
/// For networks whose gains can't be written down: unusual activations, odd
/// connections, inputs that aren't standardised. It takes about one forward
/// pass per layer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lsuv {
    /// How far the variance may be from 1; 0.1 by default.
    pub tolerance: f64,
    /// Attempts per layer; 10 by default.
    pub attempts: usize,
}

impl Default for Lsuv {
    fn default() -> Self {
        Self {
            tolerance: 0.1,
            attempts: 10,
        }
    }
}

/// What [`Lsuv`] did to one layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LsuvStep {
    /// Path of the layer.
    pub layer: String,
    /// What its weight was multiplied by.
    pub factor: f64,
    /// Variance of its output afterwards.
    pub variance: f64,
}

impl Lsuv {
    /// Starts `model` with orthogonal weights and scales them on `input`.
    ///
    /// The names that the model gives its probe are the paths of the layers
    /// whose `weight` is scaled.
    ///
    /// ```
    /// use burn::module::Module;
    /// use burn::nn::{Linear, LinearConfig};
    /// use burn::tensor::{Device, Tensor, activation::relu};
    /// use firecraft_init::{Lsuv, Probe, Probed};
    /// use firecraft_key::Key;
    ///
    /// #[derive(Module, Debug)]
    /// struct Net {
    ///     a: Linear,
    ///     b: Linear,
    /// }
    /// impl Probed<Tensor<2>> for Net {
    ///     fn forward_probed(&self, x: Tensor<2>, probe: &mut Probe) {
    ///         let x = relu(probe.see("a", self.a.forward(x)));
    ///         probe.see("b", self.b.forward(x));
    ///     }
    /// }
    /// # fn main() -> Result<(), firecraft_init::InitError> {
    /// let device = Device::flex();
    /// let linear = || LinearConfig::new(2, 2).init(&device);
    /// let net = Net { a: linear(), b: linear() };
    /// let x = Tensor::from_floats([[1.0, 20.0], [-30.0, 4.0], [5.0, -60.0]], &device);
    /// let (net, steps) = Lsuv::default().apply(net, x, Key::from_seed(1))?;
    /// assert!(steps.iter().all(|step| (step.variance - 1.0).abs() < 0.1));
    /// # let _ = net;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`InitPlan::apply`] and [`scale`](Self::scale).
    pub fn apply<M, I>(&self, model: M, input: I, key: Key) -> Result<(M, Vec<LsuvStep>), InitError>
    where
        M: Module + Probed<I>,
        I: Clone,
    {
        let model = InitPlan::new(Orthogonal::default()).apply(model, key)?;
        self.scale(model, input, |model, input, probe| {
            model.forward_probed(input, probe)
        })
    }

    /// Scales the weights that `model` has, whatever started them; `forward`
    /// shows the layers.
    ///
    /// # Errors
    /// A layer without a `weight` at its path, an output of variance 0 or not
    /// finite, a variance that doesn't settle, or a layer that is seen again
    /// with another variance; each names the layer.
    pub fn scale<M, I>(
        &self,
        mut model: M,
        input: I,
        forward: impl Fn(&M, I, &mut Probe),
    ) -> Result<(M, Vec<LsuvStep>), InitError>
    where
        M: Module,
        I: Clone,
    {
        positive("lsuv", "tolerance", self.tolerance)?;
        let mut steps: Vec<LsuvStep> = Vec::new();
        let (mut layer, mut attempt, mut factor) = (0, 0, 1.0);
        loop {
            let mut probe = Probe::values_only();
            forward(&model, input.clone(), &mut probe);
            let deviations = probe.deviations()?;
            // A pass settles every layer up to the first that is off.
            while let Some((name, std)) = deviations.get(layer) {
                let variance = std * std;
                if (variance - 1.0).abs() <= self.tolerance {
                    steps.push(LsuvStep {
                        layer: name.clone(),
                        factor,
                        variance,
                    });
                    (layer, attempt, factor) = (layer + 1, 0, 1.0);
                    continue;
                }
                if attempt == self.attempts || !std.is_finite() || *std <= 0.0 {
                    let expected = format!(
                        "1 ± {} within {} attempts: is the layer dead, or its scale undone later?",
                        self.tolerance, self.attempts
                    );
                    return Err(InitError::setting("lsuv", "variance", variance, expected).at(name));
                }
                let seen = |(before, _): &(String, f64)| before == name;
                if deviations[..layer].iter().any(seen) {
                    let expected = format!(
                        "1 ± {} each time: the layer is seen twice, and its one weight was \
                         settled the first time; show the probe only one of them",
                        self.tolerance
                    );
                    return Err(InitError::setting("lsuv", "variance", variance, expected).at(name));
                }
                let scale = 1.0 / std;
                model = multiply(model, &format!("{name}.weight"), scale)?;
                factor *= scale;
                attempt += 1;
                break;
            }
            if layer == deviations.len() {
                return Ok((model, steps));
            }
        }
    }
}

/// `model` with one parameter multiplied by `factor`.
fn multiply<M: Module>(model: M, path: &str, factor: f64) -> Result<M, InitError> {
    let mut multiplier = Multiplier {
        stack: Vec::new(),
        path,
        factor,
        found: false,
    };
    let model = model.map(&mut multiplier);
    if multiplier.found {
        Ok(model)
    } else {
        Err(InitError::Unused {
            rule: format!("lsuv of {path}"),
            paths: "none: name what the probe sees after the path of its layer".to_owned(),
        })
    }
}

struct Multiplier<'a> {
    stack: Vec<String>,
    path: &'a str,
    factor: f64,
    found: bool,
}

impl ModuleMapper for Multiplier<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.stack.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.stack.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.stack.join(".") != self.path {
            return param;
        }
        self.found = true;
        param.map(|value| {
            let requires = value.is_require_grad();
            let scaled = value.detach().mul_scalar(self.factor);
            if scaled.is_autodiff() {
                scaled.detach().set_require_grad(requires)
            } else {
                scaled
            }
        })
    }
}
