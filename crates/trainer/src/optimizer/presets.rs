//! Optimisers by name, with the defaults of PyTorch and Keras.
//!
//! burn's defaults are neither: its SGD dampens the momentum by 0.1, its Adam
//! family has `epsilon = 1e-5`. Here a preset says whose defaults it takes.

use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, AdamWConfig, SgdConfig};
use serde::{Deserialize, Serialize};

use super::{GroupRule, Optimizer, Select};
use crate::error::TrainerError;

/// Stochastic gradient descent, `v ← μ v + (1 − τ) g`, `θ ← θ − η v`, where
/// `g` includes the weight decay `λ θ`.
///
/// With Nesterov momentum the step is `g + μ v`. The first `v` is `g`.
///
/// ```
/// use firecraft_trainer::Sgd;
///
/// let sgd = Sgd::torch().with_momentum(0.9).with_weight_decay(5e-4);
/// assert_eq!(sgd.dampening, 0.0);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sgd {
    /// μ in [0, 1).
    pub momentum: f64,
    /// τ in [0, 1].
    pub dampening: f64,
    /// Whether the momentum is Nesterov's.
    pub nesterov: bool,
    /// λ, at least 0, added to the gradient (L2 penalty).
    pub weight_decay: f64,
    /// Groups with other settings; the last that selects a parameter counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupRule>,
}

impl Default for Sgd {
    fn default() -> Self {
        Self::torch()
    }
}

impl Sgd {
    /// `torch.optim.SGD`: no momentum, no dampening, no decay.
    pub const fn torch() -> Self {
        Self {
            momentum: 0.0,
            dampening: 0.0,
            nesterov: false,
            weight_decay: 0.0,
            groups: Vec::new(),
        }
    }

    /// `keras.optimizers.SGD`: the same defaults as torch's.
    pub const fn keras() -> Self {
        Self::torch()
    }

    /// Sets the momentum μ.
    #[must_use]
    pub const fn with_momentum(mut self, momentum: f64) -> Self {
        self.momentum = momentum;
        self
    }

    /// Chooses Nesterov's momentum.
    #[must_use]
    pub const fn with_nesterov(mut self, nesterov: bool) -> Self {
        self.nesterov = nesterov;
        self
    }

    /// Sets the weight decay λ.
    #[must_use]
    pub const fn with_weight_decay(mut self, weight_decay: f64) -> Self {
        self.weight_decay = weight_decay;
        self
    }

    /// Spares biases and the vectors of norms from weight decay.
    #[must_use]
    pub fn without_decay_of_vectors(mut self) -> Self {
        self.groups.push(no_decay());
        self
    }

    /// The optimiser.
    pub fn build(&self) -> Optimizer {
        let rule = |weight_decay: f64| {
            let momentum = (self.momentum > 0.0).then_some(MomentumConfig {
                momentum: self.momentum,
                dampening: self.dampening,
                nesterov: self.nesterov,
            });
            let decay = (weight_decay > 0.0).then_some(WeightDecayConfig {
                penalty: weight_decay as f32,
            });
            SgdConfig::new()
                .with_momentum(momentum)
                .with_weight_decay(decay)
                .build()
        };
        with_groups(rule(self.weight_decay).into(), &self.groups, |decay| {
            rule(decay.unwrap_or(self.weight_decay))
        })
    }

    fn check(&self) -> Result<(), TrainerError> {
        within("momentum", self.momentum, 0.0..1.0, "[0, 1)")?;
        within(
            "dampening",
            self.dampening,
            0.0..1.0 + f64::EPSILON,
            "[0, 1]",
        )?;
        if self.nesterov && (self.momentum == 0.0 || self.dampening != 0.0) {
            return Err(TrainerError::Setting {
                field: "nesterov",
                value: "true".into(),
                allowed: "true only with a momentum and without dampening",
            });
        }
        check_decay(self.weight_decay, &self.groups)
    }
}

impl From<Sgd> for Optimizer {
    fn from(config: Sgd) -> Self {
        config.build()
    }
}

/// Adam (Kingma & Ba 2015): `m ← β₁ m + (1 − β₁) g`, `v ← β₂ v + (1 − β₂) g²`,
/// `θ ← θ − η m̂ / (√v̂ + ε)` with bias-corrected `m̂`, `v̂`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Adam {
    /// β₁ in [0, 1).
    pub beta1: f64,
    /// β₂ in [0, 1).
    pub beta2: f64,
    /// ε, above 0.
    pub epsilon: f64,
    /// Whether `v̂` is replaced by its greatest value so far.
    pub amsgrad: bool,
    /// Groups with another learning rate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupRule>,
}

impl Default for Adam {
    fn default() -> Self {
        Self::torch()
    }
}

impl Adam {
    /// `torch.optim.Adam`: β = (0.9, 0.999), ε = 1e-8.
    pub const fn torch() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            amsgrad: false,
            groups: Vec::new(),
        }
    }

    /// `keras.optimizers.Adam`: β = (0.9, 0.999), ε = 1e-7.
    pub fn keras() -> Self {
        Self {
            epsilon: 1e-7,
            ..Self::torch()
        }
    }

    /// The optimiser.
    pub fn build(&self) -> Optimizer {
        let rule = || {
            AdamConfig::new()
                .with_beta_1(self.beta1 as f32)
                .with_beta_2(self.beta2 as f32)
                .with_epsilon(self.epsilon as f32)
                .with_amsgrad(self.amsgrad)
                .build()
        };
        with_groups(rule().into(), &self.groups, |_| rule())
    }

    fn check(&self) -> Result<(), TrainerError> {
        check_moments(self.beta1, self.beta2, self.epsilon)?;
        check_decay(0.0, &self.groups)
    }
}

impl From<Adam> for Optimizer {
    fn from(config: Adam) -> Self {
        config.build()
    }
}

/// Adam with decoupled weight decay (Loshchilov & Hutter 2019):
/// `θ ← θ − η λ θ` before Adam's step.
///
/// ```
/// use firecraft_trainer::AdamW;
///
/// assert_eq!(AdamW::torch().weight_decay, 0.01);
/// assert_eq!(AdamW::keras().weight_decay, 0.004);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdamW {
    /// β₁ in [0, 1).
    pub beta1: f64,
    /// β₂ in [0, 1).
    pub beta2: f64,
    /// ε, above 0.
    pub epsilon: f64,
    /// λ, at least 0.
    pub weight_decay: f64,
    /// Whether `v̂` is replaced by its greatest value so far.
    pub amsgrad: bool,
    /// Groups with other settings; the last that selects a parameter counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupRule>,
}

impl Default for AdamW {
    fn default() -> Self {
        Self::torch()
    }
}

impl AdamW {
    /// `torch.optim.AdamW`: β = (0.9, 0.999), ε = 1e-8, λ = 0.01.
    pub const fn torch() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.01,
            amsgrad: false,
            groups: Vec::new(),
        }
    }

    /// `keras.optimizers.AdamW`: ε = 1e-7, λ = 0.004.
    pub fn keras() -> Self {
        Self {
            epsilon: 1e-7,
            weight_decay: 0.004,
            ..Self::torch()
        }
    }

    /// Sets the weight decay λ.
    #[must_use]
    pub const fn with_weight_decay(mut self, weight_decay: f64) -> Self {
        self.weight_decay = weight_decay;
        self
    }

    /// Spares biases and the vectors of norms from weight decay.
    #[must_use]
    pub fn without_decay_of_vectors(mut self) -> Self {
        self.groups.push(no_decay());
        self
    }

    /// The optimiser.
    pub fn build(&self) -> Optimizer {
        let rule = |weight_decay: f64| {
            AdamWConfig::new()
                .with_beta_1(self.beta1 as f32)
                .with_beta_2(self.beta2 as f32)
                .with_epsilon(self.epsilon as f32)
                .with_amsgrad(self.amsgrad)
                .with_weight_decay(weight_decay as f32)
                .build()
        };
        with_groups(rule(self.weight_decay).into(), &self.groups, |decay| {
            rule(decay.unwrap_or(self.weight_decay))
        })
    }

    fn check(&self) -> Result<(), TrainerError> {
        check_moments(self.beta1, self.beta2, self.epsilon)?;
        check_decay(self.weight_decay, &self.groups)
    }
}

impl From<AdamW> for Optimizer {
    fn from(config: AdamW) -> Self {
        config.build()
    }
}

/// An optimiser in a recipe: `{ type = "adamw", weight_decay = 0.01 }`.
///
/// ```
/// use firecraft_trainer::OptimizerConfig;
///
/// let config: OptimizerConfig = toml::from_str("type = \"sgd\"\nmomentum = 0.9")?;
/// assert!(config.build().is_ok());
/// let config: OptimizerConfig = toml::from_str("type = \"sgd\"\nmomentum = 1.5")?;
/// assert_eq!(
///     config.build().unwrap_err().to_string(),
///     "`momentum` is 1.5, allowed is [0, 1)"
/// );
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum OptimizerConfig {
    /// See [`Sgd`].
    Sgd(Sgd),
    /// See [`Adam`].
    Adam(Adam),
    /// See [`AdamW`].
    #[serde(rename = "adamw")]
    AdamW(AdamW),
}

impl OptimizerConfig {
    /// The optimiser.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Setting`] for a setting outside its range.
    pub fn build(&self) -> Result<Optimizer, TrainerError> {
        match self {
            Self::Sgd(config) => config.check().map(|()| config.build()),
            Self::Adam(config) => config.check().map(|()| config.build()),
            Self::AdamW(config) => config.check().map(|()| config.build()),
        }
    }
}

const fn no_decay() -> GroupRule {
    GroupRule {
        select: Select::RankAtMost { rank: 1 },
        learning_rate_scale: 1.0,
        weight_decay: Some(0.0),
    }
}

fn with_groups<O: burn::optim::Optimizer>(
    optimizer: Optimizer,
    groups: &[GroupRule],
    rule: impl Fn(Option<f64>) -> O,
) -> Optimizer {
    groups.iter().fold(optimizer, |optimizer, group| {
        optimizer.with_group(
            group.select.clone(),
            rule(group.weight_decay),
            group.learning_rate_scale,
        )
    })
}

fn within(
    field: &'static str,
    value: f64,
    range: std::ops::Range<f64>,
    allowed: &'static str,
) -> Result<(), TrainerError> {
    if range.contains(&value) {
        Ok(())
    } else {
        Err(TrainerError::Setting {
            field,
            value: value.to_string(),
            allowed,
        })
    }
}

fn check_moments(beta1: f64, beta2: f64, epsilon: f64) -> Result<(), TrainerError> {
    within("beta1", beta1, 0.0..1.0, "[0, 1)")?;
    within("beta2", beta2, 0.0..1.0, "[0, 1)")?;
    within("epsilon", epsilon, f64::MIN_POSITIVE..1.0, "(0, 1)")
}

fn check_decay(weight_decay: f64, groups: &[GroupRule]) -> Result<(), TrainerError> {
    let finite = 0.0..f64::INFINITY;
    within("weight_decay", weight_decay, finite.clone(), "[0, ∞)")?;
    for group in groups {
        let decay = group.weight_decay.unwrap_or(0.0);
        within("groups.weight_decay", decay, finite.clone(), "[0, ∞)")?;
        let scale = group.learning_rate_scale;
        within(
            "groups.learning_rate_scale",
            scale,
            finite.clone(),
            "[0, ∞)",
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::{Module, Param};
    use burn::optim::GradientsParams;
    use burn::tensor::{Device, Tensor};

    #[derive(Module, Debug)]
    struct One {
        weight: Param<Tensor<1>>,
    }

    /// Three steps on `f(w) = w²/2`, whose gradient is `w`, from `w = 1`.
    fn walk(optimizer: Optimizer, learning_rate: f64) -> Vec<f32> {
        let device = Device::flex().autodiff();
        let mut optimizer = optimizer;
        let mut model = One {
            weight: Param::from_data([1.0f32], &device),
        };
        (0..3)
            .map(|_| {
                let loss = model.weight.val().powi_scalar(2).sum() * 0.5;
                let gradients = GradientsParams::from_grads(loss.backward(), &model);
                model = optimizer.step(learning_rate, model.clone(), gradients);
                model.weight.val().into_scalar::<f32>()
            })
            .collect()
    }

    fn close(found: &[f32], expected: [f64; 3]) {
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (f64::from(*found) - expected).abs() < 1e-6,
                "{found} {expected}"
            );
        }
    }

    #[test]
    fn sgd_follows_torch() {
        close(&walk(Sgd::torch().build(), 0.1), [0.9, 0.81, 0.729]);
        // v = 1; 0.9·1 + 0.9; 0.9·1.8 + 0.72
        let momentum = Sgd::torch().with_momentum(0.9).build();
        close(&walk(momentum, 0.1), [0.9, 0.72, 0.486]);
        // step = g + 0.9 v
        let nesterov = Sgd::torch().with_momentum(0.9).with_nesterov(true).build();
        close(&walk(nesterov, 0.1), [0.81, 0.5751, 0.327_321]);
        // g = w + 0.5 w
        let decay = Sgd::torch().with_weight_decay(0.5).build();
        close(&walk(decay, 0.1), [0.85, 0.7225, 0.614_125]);
    }

    /// Adam in f64, straight from the paper.
    fn adam(decay: f64, epsilon: f64, learning_rate: f64) -> [f64; 3] {
        let (mut w, mut m, mut v) = (1.0f64, 0.0f64, 0.0f64);
        std::array::from_fn(|i| {
            let t = i as i32 + 1;
            let g = w;
            w -= learning_rate * decay * w;
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            let m_hat = m / (1.0 - 0.9f64.powi(t));
            let v_hat = v / (1.0 - 0.999f64.powi(t));
            w -= learning_rate * m_hat / (v_hat.sqrt() + epsilon);
            w
        })
    }

    #[test]
    fn adam_and_adamw_follow_the_papers() {
        let near = |found: Vec<f32>, expected: [f64; 3]| {
            for (found, expected) in found.iter().zip(expected) {
                // burn forms 1 − β₂ᵗ in f32: five digits are left at t = 1.
                assert!(
                    (f64::from(*found) - expected).abs() < 5e-6,
                    "{found} {expected}"
                );
            }
        };
        near(walk(Adam::torch().build(), 0.1), adam(0.0, 1e-8, 0.1));
        near(walk(Adam::keras().build(), 0.1), adam(0.0, 1e-7, 0.1));
        near(walk(AdamW::torch().build(), 0.1), adam(0.01, 1e-8, 0.1));
        near(walk(AdamW::keras().build(), 0.1), adam(0.004, 1e-7, 0.1));
    }

    #[test]
    fn configurations_round_trip_and_refuse_unknown_fields() {
        let configs = [
            OptimizerConfig::Sgd(Sgd::torch().with_momentum(0.9)),
            OptimizerConfig::Adam(Adam::keras()),
            OptimizerConfig::AdamW(AdamW::torch().without_decay_of_vectors()),
        ];
        for config in configs {
            let text = toml::to_string(&config).unwrap();
            assert_eq!(toml::from_str::<OptimizerConfig>(&text).unwrap(), config);
            let text = serde_json::to_string(&config).unwrap();
            assert_eq!(
                serde_json::from_str::<OptimizerConfig>(&text).unwrap(),
                config
            );
        }
        assert!(toml::from_str::<OptimizerConfig>("type = \"adamw\"\nbeta3 = 1").is_err());
        assert!(toml::from_str::<OptimizerConfig>("type = \"adamx\"").is_err());
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        for config in [
            OptimizerConfig::Sgd(Sgd::torch().with_momentum(f64::NAN)),
            OptimizerConfig::Sgd(Sgd::torch().with_nesterov(true)),
            OptimizerConfig::Sgd(Sgd::torch().with_weight_decay(-1.0)),
            OptimizerConfig::AdamW(AdamW {
                epsilon: 0.0,
                ..AdamW::torch()
            }),
        ] {
            assert!(config.build().is_err(), "{config:?}");
        }
    }
}
