//! Whole-model initialisation: rules from layers and paths to initialisers.

mod apply;
mod config;
mod glob;
mod groups;
mod select;
mod table;
mod walk;

pub use config::{Base, GroupsConfig, InitPlanConfig, RuleConfig, Unmatched};
pub use glob::Glob;
pub use select::{Role, Select};
pub use table::{InitRow, InitTable};

use crate::{
    Activation, Constant, Fans, InitError, Initializer, Normal, Orthogonal, Scaled, Target,
    VarianceScaling,
};
use apply::Assignment;
use burn::module::Module;
use firecraft_key::Key;
use std::collections::HashMap;
use std::sync::Arc;
use walk::Found;

/// What a rule does.
#[derive(Debug, Clone)]
enum Action {
    Set(Arc<dyn Initializer>),
    Keep,
}

#[derive(Debug, Clone)]
struct Rule {
    select: Select,
    action: Action,
    /// Added by the user, so it has to match something.
    own: bool,
}

/// Rules that give every parameter of a model its initial values.
///
/// A rule selects parameters by path, layer type and role, and names the
/// initialiser; **the last rule that matches wins**. A parameter that no rule
/// matches is an error unless [`keep_unmatched`](Self::keep_unmatched) is set.
/// Running statistics and other buffers are never written.
///
/// The values of a parameter depend on the key and its path only: not on the
/// order of construction, other parameters, threads or the device.
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::Device;
/// use firecraft_init::{Activation, InitPlan, Normal};
/// use firecraft_key::Key;
///
/// # fn main() -> Result<(), firecraft_init::InitError> {
/// let device = Device::flex();
/// let model: Linear = LinearConfig::new(64, 32).init(&device);
/// let model = InitPlan::for_activation(Activation::Relu)?.apply(model, Key::from_seed(7))?;
/// let deviation = model.weight.val().var(0).mean().into_scalar::<f32>().sqrt();
/// assert!((deviation - (2.0 / 64_f32).sqrt()).abs() < 0.01);
/// assert_eq!(model.bias.unwrap().val().abs().max().into_scalar::<f32>(), 0.0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct InitPlan {
    rules: Vec<Rule>,
    groups: Vec<(Glob, usize)>,
    keep_unmatched: bool,
}

impl InitPlan {
    /// A plan without rules: every parameter has to be named by one.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            rules: Vec::new(),
            groups: Vec::new(),
            keep_unmatched: false,
        }
    }

    /// The plan for a network of this activation.
    ///
    /// | parameters | initialiser |
    /// |---|---|
    /// | weights of linear layers and convolutions | [`VarianceScaling::for_activation`] |
    /// | attention projections, inputs of recurrent gates | Glorot uniform |
    /// | hidden-to-hidden weights of recurrent gates | orthogonal |
    /// | embeddings | `N(0, 1)` |
    /// | biases; of forget gates | 0; 1 |
    /// | scales and shifts of normalisations | 1 and 0 |
    /// | parameters that their layer sets up itself (PReLU, layer scale, …) | kept |
    ///
    /// # Errors
    /// [`InitError::Setting`] if the activation's parameter is not finite.
    pub fn for_activation(activation: Activation) -> Result<Self, InitError> {
        Ok(Self::new(VarianceScaling::for_activation(activation)?))
    }

    /// The plan of [`for_activation`](Self::for_activation) with another
    /// initialiser for the weights of linear layers and convolutions.
    ///
    /// ```
    /// use firecraft_init::{InitPlan, Normal};
    /// // The ablation "no initialisation scheme": N(0, 1) everywhere.
    /// let plan = InitPlan::new(Normal::new(0.0, 1.0));
    /// ```
    #[must_use]
    pub fn new(weights: impl Initializer + 'static) -> Self {
        Self::empty()
            .default_rule(Select::any(Role::Weight), weights)
            .default_rule(Select::any(Role::Bias), Constant::ZEROS)
            .default_rule(Select::any(Role::AttentionBias), Constant::ZEROS)
            .default_rule(Select::any(Role::RecurrentBias), Constant::ZEROS)
            .default_rule(Select::any(Role::ForgetBias), Constant::ONES)
            .default_rule(Select::any(Role::Embedding), Normal::new(0.0, 1.0))
            .default_rule(
                Select::any(Role::Attention),
                VarianceScaling::glorot_uniform(),
            )
            .default_rule(
                Select::any(Role::RecurrentInput),
                VarianceScaling::glorot_uniform(),
            )
            .default_rule(Select::any(Role::Recurrent), Orthogonal::default())
            .default_rule(Select::any(Role::NormScale), Constant::ONES)
            .default_rule(Select::any(Role::NormShift), Constant::ZEROS)
            .default_keep(Select::any(Role::LayerOwned))
    }

    /// Adds a rule; it wins over all earlier ones.
    #[must_use]
    pub fn rule(self, select: Select, initializer: impl Initializer + 'static) -> Self {
        self.push(select, Action::Set(Arc::new(initializer)), true)
    }

    /// Adds a rule for the parameters whose path matches, weights and biases
    /// alike.
    #[must_use]
    pub fn path(self, pattern: impl Into<Glob>, initializer: impl Initializer + 'static) -> Self {
        self.rule(Select::path(pattern), initializer)
    }

    /// Adds a rule for the weights of the layers whose type name matches, such
    /// as `Linear` or `Conv*`.
    #[must_use]
    pub fn kind(self, pattern: impl Into<String>, initializer: impl Initializer + 'static) -> Self {
        let select = Select::default().kind(pattern).role(Role::Weight);
        self.rule(select, initializer)
    }

    /// Adds a rule for all parameters of a role.
    #[must_use]
    pub fn role(self, role: Role, initializer: impl Initializer + 'static) -> Self {
        self.rule(Select::any(role), initializer)
    }

    /// Adds a rule that leaves the selected parameters as they are.
    #[must_use]
    pub fn keep(self, select: Select) -> Self {
        self.push(select, Action::Keep, true)
    }

    /// Leaves parameters that no rule matches as they are, instead of failing.
    #[must_use]
    pub const fn keep_unmatched(mut self) -> Self {
        self.keep_unmatched = true;
        self
    }

    /// States the groups of convolutions whose module hides them from its
    /// `Debug` output; burn's own convolutions need no such help.
    #[must_use]
    pub fn groups(mut self, pattern: impl Into<Glob>, groups: usize) -> Self {
        self.groups.push((pattern.into(), groups));
        self
    }

    /// A rule that need not match anything: those of the built-in plans.
    pub(crate) fn default_rule(
        self,
        select: Select,
        initializer: impl Initializer + 'static,
    ) -> Self {
        self.push(select, Action::Set(Arc::new(initializer)), false)
    }

    /// [`keep`](Self::keep) as a rule that need not match anything.
    pub(crate) fn default_keep(self, select: Select) -> Self {
        self.push(select, Action::Keep, false)
    }

    /// This plan with the values of each parameter times `factor(path,
    /// initialiser, target)`.
    pub(crate) fn scaled<M: Module>(
        self,
        model: &M,
        factor: impl Fn(&str, &dyn Initializer, &Target) -> f64,
    ) -> Result<Self, InitError> {
        let decisions = self.decide(model)?;
        Ok(decisions.into_iter().fold(self, |plan, decision| {
            let Action::Set(initializer) = decision.action else {
                return plan;
            };
            let found = decision.found;
            let factor = factor(&found.path, initializer.as_ref(), &found.target);
            if factor == 1.0 {
                return plan;
            }
            plan.default_rule(Select::path(found.path), Scaled::new(initializer, factor))
        }))
    }

    fn push(mut self, select: Select, action: Action, own: bool) -> Self {
        self.rules.push(Rule {
            select,
            action,
            own,
        });
        self
    }

    /// The model with new values. Nothing is written if any parameter can't
    /// be initialised.
    ///
    /// A parameter that burn has not materialised yet is made directly with
    /// its final values. Parameters with the same identity (tied weights) get
    /// the values of the first of them.
    ///
    /// # Errors
    /// A parameter without a rule, a rule of yours without a parameter, two
    /// rules of yours with the same selector, or an initialiser that can't
    /// fill a parameter; each names the path.
    pub fn apply<M: Module>(&self, model: M, key: Key) -> Result<M, InitError> {
        let assignments = (self.decide(&model)?.into_iter())
            .filter_map(|decision| {
                let Action::Set(initializer) = decision.action else {
                    return None;
                };
                let found = decision.found;
                let assignment = Assignment {
                    initializer,
                    target: found.target,
                    key_path: found.tied_to.unwrap_or_else(|| found.path.clone()),
                    transposed: found.transposed,
                };
                Some((found.path, assignment))
            })
            .collect();
        apply::apply(model, assignments, key)
    }

    /// What [`apply`](Self::apply) would do, without drawing anything.
    ///
    /// ```
    /// use burn::{nn::LinearConfig, tensor::Device};
    /// use firecraft_init::{Activation, InitPlan};
    /// # fn main() -> Result<(), firecraft_init::InitError> {
    /// let model = LinearConfig::new(64, 32).init(&Device::flex());
    /// let table = InitPlan::for_activation(Activation::Relu)?.preview(&model)?;
    /// let row = table.get("weight").unwrap();
    /// assert_eq!(row.initializer.as_deref(), Some("he_normal"));
    /// assert_eq!(row.fans.unwrap().fan_in, 64.0);
    /// println!("{table}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`apply`](Self::apply).
    pub fn preview<M: Module>(&self, model: &M) -> Result<InitTable, InitError> {
        let rows = (self.decide(model)?.into_iter())
            .map(
                |Decision {
                     found,
                     action,
                     rule,
                 }| {
                    let target = &found.target;
                    let initializer = match &action {
                        Action::Set(initializer) => Some(initializer),
                        Action::Keep => None,
                    };
                    let moments = initializer.and_then(|i| i.moments(target));
                    InitRow {
                        fans: Fans::semantic(&target.shape, target.layout).ok(),
                        initializer: initializer.map(|i| i.name().to_owned()),
                        mean: moments.map(|(mean, _)| mean),
                        std: moments.map(|(_, std)| std),
                        shape: found.target.shape,
                        path: found.path,
                        kind: found.kind,
                        role: found.role,
                        rule,
                    }
                },
            )
            .collect();
        Ok(InitTable { rows })
    }

    fn decide<M: Module>(&self, model: &M) -> Result<Vec<Decision>, InitError> {
        self.check_conflicts()?;
        let mut found = walk::walk(model);
        self.override_groups(&mut found)?;
        walk::set_weight_fans(&mut found);
        self.check_use(&found)?;
        let by_path: HashMap<String, usize> = (found.iter().enumerate())
            .map(|(i, found)| (found.path.clone(), i))
            .collect();
        let mut decisions: Vec<Decision> = Vec::with_capacity(found.len());
        for found in found {
            let first = found.tied_to.as_ref().and_then(|path| by_path.get(path));
            let (action, rule) = match first.and_then(|&first| decisions.get(first)) {
                Some(first) => (
                    first.action.clone(),
                    format!("tied to {}", first.found.path),
                ),
                None => self.choose(&found)?,
            };
            if let Action::Set(initializer) = &action {
                (initializer.check(&found.target)).map_err(|error| error.at(&found.path))?;
            }
            decisions.push(Decision {
                found,
                action,
                rule,
            });
        }
        Ok(decisions)
    }

    fn choose(&self, found: &Found) -> Result<(Action, String), InitError> {
        if found.role == Role::Statistic {
            return Ok((Action::Keep, "never written".to_owned()));
        }
        let rule = (self.rules.iter().rev())
            .find(|rule| rule.select.matches(&found.path, &found.kind, found.role));
        match rule {
            Some(rule) => Ok((rule.action.clone(), rule.select.to_string())),
            None if self.keep_unmatched => Ok((Action::Keep, "unmatched".to_owned())),
            None => Err(InitError::Unmatched {
                kind: found.kind.clone(),
                path: found.path.clone(),
                shape: found.target.shape.clone(),
            }
            .at(&found.path)),
        }
    }

    fn check_conflicts(&self) -> Result<(), InitError> {
        let own: Vec<&Select> = (self.rules.iter())
            .filter(|rule| rule.own)
            .map(|rule| &rule.select)
            .collect();
        for (second, select) in own.iter().enumerate() {
            if let Some(first) = own[..second].iter().position(|earlier| earlier == select) {
                return Err(InitError::Conflict {
                    first,
                    second,
                    select: select.to_string(),
                });
            }
        }
        Ok(())
    }

    fn check_use(&self, found: &[Found]) -> Result<(), InitError> {
        let unused =
            self.rules.iter().filter(|rule| rule.own).find(|rule| {
                !(found.iter()).any(|f| rule.select.matches(&f.path, &f.kind, f.role))
            });
        match unused {
            None => Ok(()),
            Some(rule) => Err(InitError::Unused {
                rule: rule.select.to_string(),
                paths: first_paths(found),
            }),
        }
    }

    fn override_groups(&self, found: &mut [Found]) -> Result<(), InitError> {
        for (glob, groups) in &self.groups {
            let mut used = false;
            for found in found.iter_mut().filter(|f| glob.matches(&f.path)) {
                found.target.layout = found.target.layout.with_groups(*groups);
                used = true;
            }
            if !used {
                return Err(InitError::Unused {
                    rule: format!("groups of {glob}"),
                    paths: first_paths(found),
                });
            }
        }
        Ok(())
    }
}

/// Path, role and target of every parameter, as plans see them.
pub(crate) fn targets<M: Module>(model: &M) -> Vec<(String, Role, Target)> {
    let mut found = walk::walk(model);
    walk::set_weight_fans(&mut found);
    (found.into_iter())
        .map(|found| (found.path, found.role, found.target))
        .collect()
}

struct Decision {
    found: Found,
    action: Action,
    rule: String,
}

fn first_paths(found: &[Found]) -> String {
    const SHOWN: usize = 8;
    let mut paths: Vec<&str> = found.iter().take(SHOWN).map(|f| f.path.as_str()).collect();
    if found.len() > SHOWN {
        paths.push("…");
    }
    paths.join(", ")
}

#[cfg(test)]
mod tests;
