//! Example plugin: the bold driver, a learning rate that grows while the metric
//! improves and falls as soon as it does not.
//!
//! After every evaluation with metric `m` (lower is better), where `b` is the
//! best so far: `η ← η · grow` and `b ← m` if `m < b`, else `η ← η · shrink`,
//! kept within `[least, most]`. Vogl et al., *Accelerating the convergence of
//! the back-propagation method* (1988).
//!
//! ```toml
//! [schedule]
//! type = "bold_driver"
//! start = 0.01
//! grow = 1.05
//! shrink = 0.5
//! ```

use firecraft_plugin::{Error, Scheduler, Step, declare_plugin};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The parameters.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("examples" = [{"start": 0.01}]))]
pub struct BoldDriver {
    /// The first value, above 0.
    pub start: f64,
    /// The factor after an improvement, above 1.
    #[serde(default = "grow")]
    pub grow: f64,
    /// The factor after anything else, between 0 and 1.
    #[serde(default = "shrink")]
    pub shrink: f64,
    /// The smallest value, at least 0.
    #[serde(default)]
    pub least: f64,
    /// The greatest value.
    #[serde(default = "most")]
    pub most: f64,
}

fn grow() -> f64 {
    1.05
}

fn shrink() -> f64 {
    0.5
}

fn most() -> f64 {
    1.0
}

/// What is remembered between steps.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Driving {
    /// The value in force, from the first step on.
    pub value: Option<f64>,
    /// The best metric, from the first evaluation on.
    pub best: Option<f64>,
}

impl Scheduler for BoldDriver {
    type State = Driving;
    const NAME: &'static str = "bold_driver";
    const SUMMARY: &'static str = "grows while the metric improves, falls when it does not";

    fn validate(&self) -> Result<(), Error> {
        let checks = [
            ("start", self.start, self.start > 0.0, "above 0"),
            ("grow", self.grow, self.grow > 1.0, "above 1"),
            (
                "shrink",
                self.shrink,
                0.0 < self.shrink && self.shrink < 1.0,
                "between 0 and 1",
            ),
            ("least", self.least, self.least >= 0.0, "at least 0"),
            (
                "most",
                self.most,
                self.most >= self.least,
                "at least `least`",
            ),
        ];
        match checks
            .iter()
            .find(|(_, value, fits, _)| !fits || !value.is_finite())
        {
            None => Ok(()),
            Some((name, value, _, range)) => {
                Err(Error::new(format!("`{name}` is {value}, expected {range}")))
            }
        }
    }

    fn step(&self, state: &mut Driving, step: &Step, values: &mut [f64]) {
        let mut value = state.value.unwrap_or(self.start);
        if let Some(metric) = step.metric {
            // A NaN is no improvement.
            let better = state.best.is_none_or(|best| metric < best) && !metric.is_nan();
            if better {
                state.best = Some(metric);
            }
            let factor = if better { self.grow } else { self.shrink };
            value = (value * factor).clamp(self.least, self.most);
        }
        state.value = Some(value);
        values.fill(value);
    }
}

declare_plugin! {
    id: "org.firecraft.bold-driver",
    transforms: [],
    schedulers: [BoldDriver],
}

#[cfg(test)]
mod tests {
    use super::*;

    fn driver() -> BoldDriver {
        BoldDriver {
            start: 0.1,
            grow: 2.0,
            shrink: 0.5,
            least: 0.02,
            most: 0.3,
        }
    }

    fn drive(metrics: &[Option<f64>]) -> Vec<f64> {
        let mut state = Driving::default();
        let mut value = [0.0];
        metrics
            .iter()
            .map(|&metric| {
                let mut step = Step::default();
                step.metric = metric;
                driver().step(&mut state, &step, &mut value);
                value[0]
            })
            .collect()
    }

    #[test]
    fn it_grows_with_improvements_and_falls_without() {
        let values = drive(&[None, Some(1.0), None, Some(0.9), Some(0.95), Some(0.95)]);
        assert_eq!(values, [0.1, 0.2, 0.2, 0.3, 0.15, 0.075]);
    }

    #[test]
    fn it_stays_within_its_bounds_and_takes_nan_for_no_improvement() {
        assert_eq!(drive(&[Some(f64::NAN); 4])[3], 0.02);
    }

    #[test]
    fn parameters_out_of_range_are_named() {
        let error = BoldDriver {
            shrink: 1.5,
            ..driver()
        }
        .validate()
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "`shrink` is 1.5, expected between 0 and 1"
        );
        assert!(
            BoldDriver {
                start: f64::NAN,
                ..driver()
            }
            .validate()
            .is_err()
        );
        assert!(driver().validate().is_ok());
    }
}
