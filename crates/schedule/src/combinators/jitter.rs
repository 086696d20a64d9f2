//! Noise on a schedule, from a key.

use crate::check::Check;
use crate::config::{is_default, with_methods};
use crate::{Horizon, Phase, ScheduleError, Scheduler, Slot, State, StepContext, Unit};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// The distribution of the noise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Noise {
    /// Normal, cut off at the limit.
    #[default]
    Normal,
    /// Uniform up to the limit.
    Uniform,
}

/// Configuration of [`Jitter`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JitterConfig {
    /// The distribution.
    #[serde(default, skip_serializing_if = "is_default")]
    pub noise: Noise,
    /// Standard deviation of the normal noise, `>= 0`; 1 by default.
    #[serde(default = "one")]
    pub std: f64,
    /// The noise stays below this fraction of the value, in `[0, 1]`; 0.67 by
    /// default.
    #[serde(default = "two_thirds")]
    pub limit: f64,
    /// Where the noise begins, `>= 0`; 0 by default.
    #[serde(default, skip_serializing_if = "is_default")]
    pub from: f64,
    /// Where it ends, `>= from`; never by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<f64>,
    /// What the range counts, and how often the noise changes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unit: Unit,
}

const fn one() -> f64 {
    1.0
}
const fn two_thirds() -> f64 {
    0.67
}

with_methods!(JitterConfig {
    with_noise: noise: Noise,
    with_std: std: f64,
    with_limit: limit: f64,
    with_from: from: f64,
    with_to: to: Option<f64>,
    with_unit: unit: Unit,
});

impl Default for JitterConfig {
    fn default() -> Self {
        Self {
            noise: Noise::Normal,
            std: one(),
            limit: two_thirds(),
            from: 0.0,
            to: None,
            unit: Unit::Updates,
        }
    }
}

impl JitterConfig {
    /// timm's defaults, for the whole run.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// `inner` with noise drawn from `key`.
    ///
    /// # Errors
    /// If a number is outside its range.
    pub fn init<S: Scheduler>(&self, inner: S, key: Key) -> Result<Jitter<S>, ScheduleError> {
        let check = Check::of("jitter");
        check.non_negative("std", self.std)?;
        check.fraction("limit", self.limit)?;
        check.non_negative("from", self.from)?;
        if let Some(to) = self.to {
            check.that(!to.is_nan(), "to", "a number", to)?;
            check.ordered(("from", self.from), ("to", to))?;
        }
        Ok(Jitter {
            inner,
            key,
            config: self.clone(),
        })
    }
}

/// `v (1 + n)` with noise `n` that depends on the key and the position alone,
/// so a resumed run sees the same. All values of a step get the same noise.
///
/// ```
/// use firecraft_key::Key;
/// use firecraft_schedule::*;
/// let lr = Pure::updates(ConstantConfig::new(1.0).init()?);
/// let mut noisy = JitterConfig::new().with_limit(0.1).with_from(5.0).init(lr, Key::from_seed(1))?;
/// let values: Vec<f64> = (0..9).map(|t| step_value(&mut noisy, &StepContext::at(t))).collect();
/// assert_eq!(values[..5], [1.0; 5]);
/// assert!(values[5..].iter().all(|v| *v != 1.0 && (v - 1.0).abs() <= 0.1));
/// # Ok::<(), ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Jitter<S> {
    inner: S,
    key: Key,
    config: JitterConfig,
}

/// Draws of the normal distribution before giving up on the limit. A limit of
/// a hundredth of the deviation fails this often once in 10^18 positions.
const TRIES: usize = 5000;

impl<S> Jitter<S> {
    fn noise(&self, at: f64) -> f64 {
        let JitterConfig {
            noise, std, limit, ..
        } = self.config;
        let mut rng = self.key.fold(at.to_bits()).rng();
        match noise {
            Noise::Uniform => rng.range(-limit, limit),
            Noise::Normal if limit == 0.0 || std == 0.0 => 0.0,
            Noise::Normal => (0..TRIES)
                .map(|_| f64::from(rng.normal()) * std)
                .find(|noise| noise.abs() < limit)
                .unwrap_or(0.0),
        }
    }
}

impl<S: Scheduler> Scheduler for Jitter<S> {
    fn step(&mut self, context: &StepContext, out: &mut [f64]) {
        self.inner.step(context, out);
        let at = self.config.unit.position(context);
        if at >= self.config.from && self.config.to.is_none_or(|to| at < to) {
            let noise = self.noise(at);
            for value in out {
                *value += *value * noise;
            }
        }
    }

    fn state(&self) -> State {
        let [a, b] = self.key.words();
        // As text: the words need all 64 bits.
        State::new("jitter", 1)
            .with("key", format!("{a:016x}{b:016x}"))
            .with_inner("inner", self.inner.state())
    }

    fn restore(&mut self, state: &State) -> Result<(), ScheduleError> {
        let values = state.open("jitter", 1)?;
        let key: String = values.get("key")?;
        let words = u128::from_str_radix(&key, 16).map_err(|_| values.damaged("no key"))?;
        self.key = Key::from_words([(words >> 64) as u64, words as u64]);
        self.inner.restore(&values.inner("inner")?)
    }

    fn width(&self) -> usize {
        self.inner.width()
    }

    fn slots(&self) -> Vec<Slot> {
        self.inner.slots()
    }

    fn check(&self, horizon: &Horizon) -> Result<(), ScheduleError> {
        self.config.unit.check("jitter", horizon)?;
        self.inner.check(horizon)
    }

    fn phases(&self, horizon: &Horizon) -> Vec<Phase> {
        self.inner.phases(horizon)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ConstantConfig, Pure, step_value};

    fn noisy(config: &JitterConfig, seed: u64) -> Vec<f64> {
        let lr = Pure::updates(ConstantConfig::new(1.0).init().unwrap());
        let mut noisy = config.init(lr, Key::from_seed(seed)).unwrap();
        let mut step = |update| step_value(&mut noisy, &StepContext::at(update));
        (0..2000).map(&mut step).collect()
    }

    #[test]
    fn the_same_key_gives_the_same_noise_and_another_one_other() {
        let config = JitterConfig::new();
        assert_eq!(noisy(&config, 1), noisy(&config, 1));
        assert_ne!(noisy(&config, 1), noisy(&config, 2));
    }

    #[test]
    fn noise_is_centred_and_limited() {
        for noise in [Noise::Normal, Noise::Uniform] {
            let values = noisy(&JitterConfig::new().with_noise(noise).with_limit(0.5), 3);
            assert!(values.iter().all(|v| (v - 1.0).abs() <= 0.5));
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            // Six standard errors of a uniform distribution on +-0.5.
            assert!((mean - 1.0).abs() < 6.0 * 0.289 / 2000_f64.sqrt(), "{mean}");
        }
    }

    #[test]
    fn a_limit_that_normals_hardly_meet_does_not_hang() {
        let values = noisy(&JitterConfig::new().with_std(1e300), 3);
        assert!(values.iter().all(|v| *v == 1.0));
    }

    #[test]
    fn the_key_survives_a_restore() {
        let lr = || Pure::updates(ConstantConfig::new(1.0).init().unwrap());
        let config = JitterConfig::new();
        let mut a = config.init(lr(), Key::from_seed(1)).unwrap();
        let mut b = config.init(lr(), Key::from_seed(2)).unwrap();
        b.restore(&a.state()).unwrap();
        let at = StepContext::at(77);
        assert_eq!(step_value(&mut a, &at), step_value(&mut b, &at));
    }
}
