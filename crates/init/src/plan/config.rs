//! Plans as configuration.

use super::{Glob, InitPlan, Select};
use crate::register::{Initializers, shared};
use crate::{Activation, Constant, Orthogonal, presets};
use firecraft_spec::{Registry, Spec, SpecError};
use serde::{Deserialize, Serialize};

/// What happens to parameters that no rule matches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unmatched {
    /// An error that names the parameter.
    #[default]
    Error,
    /// They stay as they are.
    Keep,
}

/// Where a plan starts from, before its own rules.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Base {
    /// [`InitPlan::for_activation`].
    Activation(Activation),
    /// [`peers::torch::layer_defaults`](crate::peers::torch::layer_defaults).
    Torch,
    /// [`peers::keras::layer_defaults`](crate::peers::keras::layer_defaults).
    Keras,
    /// [`presets::resnet`].
    Resnet,
    /// [`presets::vit`].
    Vit,
    /// [`presets::vit_jax`].
    VitJax,
    /// [`presets::gpt2`].
    Gpt2 {
        /// Number of blocks.
        layers: usize,
    },
    /// [`presets::t_fixup`].
    TFixup {
        /// Number of encoder blocks.
        encoder: usize,
        /// Number of decoder blocks.
        decoder: usize,
    },
    /// Orthogonal weights of this gain, else as for an activation.
    Orthogonal {
        /// Gain of the weights.
        gain: f64,
    },
    /// No rules at all.
    Empty,
}

impl Default for Base {
    fn default() -> Self {
        Self::Activation(Activation::Relu)
    }
}

/// One rule of an [`InitPlanConfig`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleConfig {
    /// Which parameters.
    #[serde(default)]
    pub select: Select,
    /// The initialiser; absent: they stay as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<Spec>,
}

/// The groups of a convolution that hides them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupsConfig {
    /// Which parameters.
    pub path: Glob,
    /// Number of groups.
    pub groups: usize,
}

/// An [`InitPlan`] as it stands in a recipe.
///
/// ```
/// use firecraft_init::{InitPlanConfig, register};
/// use firecraft_spec::Registries;
///
/// let mut registries = Registries::new();
/// register(&mut registries)?;
/// let config: InitPlanConfig = toml::from_str(r#"
///     base = { activation = "gelu" }
///     unmatched = "keep"
///
///     [[rules]]
///     select = { path = "head.weight" }
///     init = { type = "normal", std = 0.01 }
/// "#)?;
/// let plan = config.build(registries.get()?)?;
/// # let _ = plan;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InitPlanConfig {
    /// Where it starts from; the plan for ReLU by default.
    pub base: Base,
    /// What happens to parameters without a rule.
    pub unmatched: Unmatched,
    /// Rules on top of the base; the last match wins.
    pub rules: Vec<RuleConfig>,
    /// Groups of convolutions that hide them.
    pub groups: Vec<GroupsConfig>,
}

impl InitPlanConfig {
    /// The plan that this describes, its initialisers built by `registry`.
    ///
    /// # Errors
    /// What an initialiser or the base reports, under the field's path.
    pub fn build(&self, registry: &Registry<Initializers>) -> Result<InitPlan, SpecError> {
        let mut plan = self
            .base
            .plan()
            .map_err(|error| SpecError::field("base", error).of_type("init"))?;
        for (nth, rule) in self.rules.iter().enumerate() {
            plan = match &rule.init {
                None => plan.keep(rule.select.clone()),
                Some(spec) => {
                    let initializer = shared(registry, spec)
                        .map_err(|error| error.under("init").at(nth).under("rules"))?;
                    plan.rule(rule.select.clone(), initializer)
                }
            };
        }
        for entry in &self.groups {
            plan = plan.groups(entry.path.clone(), entry.groups);
        }
        Ok(match self.unmatched {
            Unmatched::Error => plan,
            Unmatched::Keep => plan.keep_unmatched(),
        })
    }
}

impl Base {
    fn plan(self) -> Result<InitPlan, crate::InitError> {
        Ok(match self {
            Self::Activation(activation) => InitPlan::for_activation(activation)?,
            Self::Torch => crate::peers::torch::layer_defaults(),
            Self::Keras => crate::peers::keras::layer_defaults(),
            Self::Resnet => presets::resnet(),
            Self::Vit => presets::vit(),
            Self::VitJax => presets::vit_jax(),
            Self::Gpt2 { layers } => presets::gpt2(layers)?,
            Self::TFixup { encoder, decoder } => presets::t_fixup(encoder, decoder)?,
            Self::Orthogonal { gain } => {
                crate::error::finite("base", "gain", gain)?;
                InitPlan::new(Orthogonal::new(gain))
            }
            Self::Empty => InitPlan::empty(),
        })
    }
}

impl InitPlan {
    /// Adds a rule that starts the selected scales at 0: with the last
    /// normalisation of every residual branch selected, each block starts as
    /// the identity (Goyal et al. 2017).
    ///
    /// ```
    /// use firecraft_init::presets;
    /// let plan = presets::resnet().zero_init_residual("**.norm2.gamma");
    /// ```
    #[must_use]
    pub fn zero_init_residual(self, last_scales: impl Into<Glob>) -> Self {
        self.path(last_scales, Constant::ZEROS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::register;
    use burn::nn::LinearConfig;
    use burn::tensor::Device;
    use firecraft_spec::Registries;

    fn build(text: &str) -> Result<InitPlan, SpecError> {
        let mut registries = Registries::new();
        register(&mut registries)?;
        let config: InitPlanConfig = toml::from_str(text).unwrap();
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(
            serde_json::from_str::<InitPlanConfig>(&json).unwrap(),
            config
        );
        let again = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<InitPlanConfig>(&again).unwrap(), config);
        config.build(registries.get()?)
    }

    #[test]
    fn rules_of_a_file_are_rules_of_the_plan() {
        let plan = build(
            r#"
            base = { activation = { leaky_relu = { slope = 0.2 } } }
            [[rules]]
            select = { role = "bias" }
            init = "ones"
            [[rules]]
            select = { path = "weight", kind = "Linear" }
            "#,
        );
        let model = LinearConfig::new(4, 3).init(&Device::flex());
        let table = plan.unwrap().preview(&model).unwrap();
        assert_eq!(table.get("bias").unwrap().mean, Some(1.0));
        assert_eq!(table.get("weight").unwrap().initializer, None);
    }

    #[test]
    fn every_base_builds() {
        for base in [
            "'torch'",
            "'keras'",
            "'resnet'",
            "'vit'",
            "'vit_jax'",
            "'empty'",
            "{ gpt2 = { layers = 12 } }",
            "{ t_fixup = { encoder = 6, decoder = 6 } }",
            "{ orthogonal = { gain = 1.4 } }",
        ] {
            build(&format!("base = {base}")).unwrap();
        }
    }

    #[test]
    fn mistakes_carry_the_path_of_the_rule() {
        let error = build("[[rules]]\ninit = { type = 'normal', std = -1 }").unwrap_err();
        assert!(error.to_string().contains("rules[0].init.std"), "{error}");
        assert!(build("base = { gpt2 = { layers = 0 } }").is_err());
        assert!(toml::from_str::<InitPlanConfig>("bases = 'vit'").is_err());
    }
}
