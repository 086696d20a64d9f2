//! Averages of the weights over the updates: EMA and SWA.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::error::TrainerError;

/// How the weights are averaged.
///
/// The first average is a copy of the weights; every later one is
/// `a ← d a + (1 − d) w`. Running statistics are averaged too, as timm does,
/// or computed anew ([`recalibrate`](Average::recalibrate())), as SWA wants it.
///
/// ```
/// use firecraft_trainer::Average;
///
/// assert_eq!(Average::ema(0.99).decay(1), 0.99);
/// assert_eq!(Average::equal().decay(1), 0.5);
/// assert_eq!(Average::equal().decay(3), 0.75);
/// // 1 − (1 + 1)^(−2/3), until it reaches 0.99
/// let warm = Average::ema(0.99).with_warmup(1.0, 2.0 / 3.0);
/// assert!((warm.decay(1) - 0.370_039).abs() < 1e-6);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Average {
    /// What the decay `d` is.
    pub rule: AverageRule,
    /// Updates before the first average is taken.
    #[serde(default)]
    pub start: u64,
    /// An average is taken after every so many updates, at least 1.
    #[serde(default = "one")]
    pub every: u64,
    /// Updates after which the weights themselves become the average; never
    /// when absent. Keras' `ema_overwrite_frequency`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overwrite_every: Option<u64>,
    /// Training batches by which the statistics of batch normalisations are
    /// computed anew for the averaged weights; when absent they are averaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recalibrate: Option<u64>,
}

/// The decay of an [`Average`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum AverageRule {
    /// Every taken weight counts the same: `d = n / (n + 1)`. Izmailov et al.
    /// 2018 (SWA), torch's `AveragedModel`.
    Equal,
    /// A constant decay.
    Ema {
        /// `d` in [0, 1).
        decay: f64,
    },
    /// `d = min(decay, 1 − (1 + n / gamma)^(−power))`, timm's `ModelEmaV3`
    /// with warm-up.
    WarmedEma {
        /// The greatest `d`, in [0, 1).
        decay: f64,
        /// Above 0; 1 in timm.
        gamma: f64,
        /// Above 0; 2/3 in timm.
        power: f64,
        /// The least `d`, in [0, 1); 0 in timm.
        #[serde(default)]
        min_decay: f64,
    },
    /// An exponential average that starts from zero and is divided by the
    /// weight it has so far, optax' `ema` with `debias`:
    /// `d = decay (1 − decayⁿ) / (1 − decayⁿ⁺¹)`.
    DebiasedEma {
        /// In [0, 1).
        decay: f64,
    },
}

const fn one() -> u64 {
    1
}

impl Average {
    /// An exponential moving average with a constant decay.
    pub const fn ema(decay: f64) -> Self {
        Self {
            rule: AverageRule::Ema { decay },
            start: 0,
            every: 1,
            overwrite_every: None,
            recalibrate: None,
        }
    }

    /// The mean of all weights that are taken.
    pub const fn equal() -> Self {
        Self {
            rule: AverageRule::Equal,
            start: 0,
            every: 1,
            overwrite_every: None,
            recalibrate: None,
        }
    }

    /// Lets the decay of an exponential average grow to its value.
    #[must_use]
    pub const fn with_warmup(mut self, gamma: f64, power: f64) -> Self {
        if let AverageRule::Ema { decay } | AverageRule::WarmedEma { decay, .. } = self.rule {
            self.rule = AverageRule::WarmedEma {
                decay,
                gamma,
                power,
                min_decay: 0.0,
            };
        }
        self
    }

    /// Makes the weights themselves the average after every so many updates.
    #[must_use]
    pub const fn overwrite_every(mut self, updates: u64) -> Self {
        self.overwrite_every = Some(updates);
        self
    }

    /// Computes the running statistics of batch normalisations anew for the
    /// averaged weights, from the first `batches` training batches of epoch 0,
    /// before every evaluation and at the end of the fit; see
    /// [`recalibrate`](crate::recalibrate()). Each time costs as many forward
    /// passes.
    #[must_use]
    pub const fn recalibrate(mut self, batches: u64) -> Self {
        self.recalibrate = Some(batches);
        self
    }

    /// Takes the first average after this many updates.
    #[must_use]
    pub const fn start(mut self, updates: u64) -> Self {
        self.start = updates;
        self
    }

    /// Takes an average after every so many updates.
    #[must_use]
    pub const fn every(mut self, updates: u64) -> Self {
        self.every = updates;
        self
    }

    /// The decay `d` after `taken` averages, the first copy included.
    pub fn decay(&self, taken: u64) -> f64 {
        let n = taken as f64;
        match self.rule {
            AverageRule::Equal => n / (n + 1.0),
            AverageRule::Ema { decay } => decay,
            AverageRule::WarmedEma {
                decay,
                gamma,
                power,
                min_decay,
            } => (1.0 - (1.0 + n / gamma).powf(-power))
                .min(decay)
                .max(min_decay),
            AverageRule::DebiasedEma { decay } => {
                let weight = |n: f64| 1.0 - decay.powf(n);
                decay * weight(n) / weight(n + 1.0)
            }
        }
    }

    /// Checks the ranges.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Setting`] for a value outside its range.
    pub fn check(&self) -> Result<(), TrainerError> {
        let setting = |field, value: f64, allowed| {
            Err(TrainerError::Setting {
                field,
                value: value.to_string(),
                allowed,
            })
        };
        let positive = |value: f64| value > 0.0 && value.is_finite();
        if self.every == 0 {
            return setting("average.every", 0.0, "at least 1");
        }
        if self.overwrite_every == Some(0) {
            return setting("average.overwrite_every", 0.0, "at least 1");
        }
        if self.recalibrate == Some(0) {
            return setting("average.recalibrate", 0.0, "at least 1");
        }
        match self.rule {
            AverageRule::Ema { decay }
            | AverageRule::DebiasedEma { decay }
            | AverageRule::WarmedEma { decay, .. }
                if !(0.0..1.0).contains(&decay) =>
            {
                setting("average.decay", decay, "[0, 1)")
            }
            AverageRule::WarmedEma { min_decay, .. } if !(0.0..1.0).contains(&min_decay) => {
                setting("average.min_decay", min_decay, "[0, 1)")
            }
            AverageRule::WarmedEma { gamma, .. } if !positive(gamma) => {
                setting("average.gamma", gamma, "(0, ∞)")
            }
            AverageRule::WarmedEma { power, .. } if !positive(power) => {
                setting("average.power", power, "(0, ∞)")
            }
            _ => Ok(()),
        }
    }

    /// Whether an average is taken after this many updates.
    pub const fn is_due(&self, updates: u64) -> bool {
        updates > self.start && (updates - self.start).is_multiple_of(self.every)
    }

    /// Whether the weights become the average after this many updates.
    pub(crate) fn overwrites(&self, updates: u64) -> bool {
        self.overwrite_every
            .is_some_and(|every| updates.is_multiple_of(every))
    }
}

/// A model whose weights are the average of another's.
///
/// It is in validation mode and shares nothing with the model it follows.
/// Integer and Boolean parameters keep the values of the first copy.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use firecraft_trainer::{Average, Averaged, ModelState};
///
/// let device = Device::flex();
/// let model = LinearConfig::new(2, 2).init(&device);
/// let mut averaged = Averaged::new(Average::ema(0.9), &model);
/// averaged.update(&model); // the average of equal weights
/// let digest = |model: &_| ModelState::of(model).digest();
/// assert_eq!(averaged.taken(), 2);
/// assert_eq!(ModelState::of(averaged.model()).paths().count(), 2);
/// # let _ = digest(&model);
/// ```
#[derive(Debug, Clone)]
pub struct Averaged<M> {
    rule: Average,
    model: M,
    taken: u64,
}

impl<M: Module> Averaged<M> {
    /// The first average: a copy.
    pub fn new(rule: Average, model: &M) -> Self {
        Self {
            rule,
            model: model.valid(),
            taken: 1,
        }
    }

    pub(crate) fn from_parts(rule: Average, model: M, taken: u64) -> Self {
        Self { rule, model, taken }
    }

    /// Moves the average towards the weights of `model`.
    pub fn update(&mut self, model: &M) {
        let decay = self.rule.decay(self.taken);
        let mut collector = Collector(GradientsParams::new());
        model.valid().visit(&mut collector);
        let mut mixer = Mixer {
            weights: collector.0,
            decay,
        };
        self.model = self.model.clone().map(&mut mixer);
        self.taken += 1;
    }

    /// Gives `model` the averaged values of what it trains.
    #[must_use]
    pub fn overwrite(&self, model: M) -> M {
        let mut collector = Collector(GradientsParams::new());
        self.model.visit(&mut collector);
        model.map(&mut Overwriter(collector.0))
    }

    /// The averaged model.
    pub const fn model(&self) -> &M {
        &self.model
    }

    /// The averaged model.
    pub fn into_model(self) -> M {
        self.model
    }

    /// Number of weights that were taken, the first copy included.
    pub const fn taken(&self) -> u64 {
        self.taken
    }
}

/// Float parameters by id, whatever their ranks.
struct Collector(GradientsParams);

impl ModuleVisitor for Collector {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.register(param.id, param.base());
    }
}

struct Mixer {
    weights: GradientsParams,
    decay: f64,
}

impl ModuleMapper for Mixer {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(weight) = self.weights.remove::<D>(param.id) else {
            return param;
        };
        let decay = self.decay;
        param.map(|average| average * decay + weight * (1.0 - decay))
    }
}

struct Overwriter(GradientsParams);

impl ModuleMapper for Overwriter {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !param.is_require_grad() {
            return param;
        }
        let Some(average) = self.0.remove::<D>(param.id) else {
            return param;
        };
        let (id, tensor, mapper) = param.consume();
        let strategy = tensor.gradient_checkpointing_strategy();
        let mut tensor = Tensor::<D>::from_inner(average);
        if let Some(strategy) = strategy {
            tensor = tensor.with_gradient_checkpointing_strategy(strategy);
        }
        Param::from_mapped_value(id, tensor.require_grad(), mapper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model_state::ModelState;
    use burn::nn::{BatchNorm, BatchNormConfig};
    use burn::tensor::Device;

    #[derive(Module, Debug)]
    struct One {
        weight: Param<Tensor<1>>,
    }

    fn averages(rule: Average, weights: &[f32]) -> Vec<f64> {
        let device = Device::flex().autodiff();
        let mut model = One {
            weight: Param::from_data([weights[0]], &device),
        };
        let mut averaged = Averaged::new(rule, &model);
        let value = |averaged: &Averaged<One>| {
            f64::from(averaged.model().weight.val().into_scalar::<f32>())
        };
        let mut found = vec![value(&averaged)];
        for &weight in &weights[1..] {
            // The same parameter with another value, as an optimiser leaves it.
            model.weight = model
                .weight
                .map(|old| Tensor::full([1], weight, &old.device()));
            averaged.update(&model);
            found.push(value(&averaged));
        }
        found
    }

    #[test]
    fn averages_follow_their_formulas() {
        let weights = [1.0f32, 3.0, -2.0, 0.5, 4.0];
        for rule in [
            Average::equal(),
            Average::ema(0.9),
            Average::ema(0.9).with_warmup(1.0, 2.0 / 3.0),
        ] {
            let mut expected = f64::from(weights[0]);
            for (n, found) in averages(rule, &weights).into_iter().enumerate() {
                if n > 0 {
                    let d = rule.decay(n as u64);
                    expected = d * expected + (1.0 - d) * f64::from(weights[n]);
                }
                assert!(
                    (found - expected).abs() < 1e-6,
                    "{rule:?} {n}: {found} {expected}"
                );
            }
        }
        let mean = averages(Average::equal(), &weights).pop().unwrap();
        assert!((mean - 1.3).abs() < 1e-6, "the mean of all weights");
    }

    #[test]
    fn running_statistics_are_averaged_and_not_shared() {
        let device = Device::flex().autodiff();
        let norm: BatchNorm = BatchNormConfig::new(1).init(&device);
        let averaged = Averaged::new(Average::ema(0.5), &norm);
        let before = ModelState::of(averaged.model()).digest();
        let x = Tensor::<2>::from_data([[4.0f32], [8.0]], &device);
        let _ = norm.forward(x);
        assert_eq!(ModelState::of(averaged.model()).digest(), before);
        let mut averaged = averaged;
        averaged.update(&norm);
        let mean = |state: ModelState| {
            let mean = state.get("running_mean").unwrap();
            mean.try_to_vec::<f32>().unwrap()[0]
        };
        let followed = mean(ModelState::of(&norm));
        assert!((mean(ModelState::of(averaged.model())) - followed / 2.0).abs() < 1e-6);
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        assert!(Average::ema(0.999).check().is_ok());
        for average in [
            Average::ema(1.0),
            Average::ema(f64::NAN),
            Average::ema(0.9).every(0),
            Average::ema(0.9).with_warmup(0.0, 1.0),
            Average::ema(0.9).with_warmup(1.0, -1.0),
        ] {
            assert!(average.check().is_err(), "{average:?}");
        }
        let text = toml::to_string(&Average::equal().start(10)).unwrap();
        assert_eq!(
            toml::from_str::<Average>(&text).unwrap(),
            Average::equal().start(10)
        );
    }

    #[test]
    fn averages_are_taken_from_the_start_on_at_their_distance() {
        let average = Average::equal().start(4).every(3);
        let due: Vec<u64> = (0..14).filter(|&n| average.is_due(n)).collect();
        assert_eq!(due, [7, 10, 13]);
    }
}
