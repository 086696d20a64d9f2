//! Random values against the law that the peer's formula gives.

use firecraft::init::{Initializer, Target};
use firecraft::key::Key;

use super::super::{Outcome, failed};
use crate::compare::{Tolerance, close};
use crate::golden::{Case, Field, GoldenError};

/// A distribution to be followed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Law {
    kind: Kind,
    mean: f64,
    std: f64,
    low: f64,
    high: f64,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Constant,
    Uniform,
    /// A normal with these parameters, cut to the bounds.
    Normal {
        mean: f64,
        std: f64,
    },
}

impl Law {
    pub(super) fn normal(mean: f64, std: f64) -> Self {
        Self {
            kind: Kind::Normal { mean, std },
            mean,
            std,
            low: f64::NEG_INFINITY,
            high: f64::INFINITY,
        }
    }

    /// `{dist, lo, hi, mean, std, parent_mean, parent_std}`.
    pub(super) fn read(field: &Field<'_>) -> Result<Self, Outcome> {
        let number = |name: &str, default: f64| -> Result<f64, GoldenError> {
            field.get(name).or(default, |f| f.f64())
        };
        let (mean, std) = (number("mean", 0.0)?, number("std", 0.0)?);
        let kind = match field.get("dist").str()? {
            "constant" | "zeros" | "ones" => Kind::Constant,
            "uniform" => Kind::Uniform,
            "normal" => Kind::Normal { mean, std },
            "truncated_normal" => Kind::Normal {
                mean: number("parent_mean", 0.0)?,
                std: number("parent_std", std)?,
            },
            _ => return Err(Outcome::Unsupported),
        };
        Ok(Self {
            kind,
            mean,
            std,
            low: number("lo", f64::NEG_INFINITY)?,
            high: number("hi", f64::INFINITY)?,
        })
    }

    /// Probability of a value up to `x`.
    fn below(&self, x: f64) -> f64 {
        match self.kind {
            Kind::Constant => f64::from(u8::from(x >= self.mean)),
            Kind::Uniform => ((x - self.low) / (self.high - self.low)).clamp(0.0, 1.0),
            Kind::Normal { mean, std } => {
                let cdf = |x: f64| match x {
                    f64::NEG_INFINITY => 0.0,
                    f64::INFINITY => 1.0,
                    x => normal_cdf((x - mean) / std),
                };
                (cdf(x) - cdf(self.low)) / (cdf(self.high) - cdf(self.low))
            }
        }
    }
}

/// Φ by its Taylor series, exact to 1e-9 inside ±6.
fn normal_cdf(z: f64) -> f64 {
    if z.abs() > 6.0 {
        return f64::from(u8::from(z > 0.0));
    }
    let (mut term, mut sum) = (z, z);
    for k in 1..200 {
        term *= z * z / f64::from(2 * k + 1);
        sum += term;
    }
    0.5 + sum * (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

/// Enough for a deviation of 1 % to show.
pub(super) const DRAWS: usize = 40_000;

/// A case `shape`, `expect`: the formula's moments and what is drawn.
pub(super) fn check(case: &Case, initializer: &dyn Initializer) -> Result<(), Outcome> {
    let law = Law::read(&case.get("expect"))?;
    let target = super::target(case)?;
    let fans = ["fan_in", "fan_out"].map(|name| case.get(name).optional(|f| f.f64()));
    if let [Ok(Some(fan_in)), Ok(Some(fan_out))] = fans {
        let fans = firecraft::init::Fans::keras(&target.shape);
        close(
            "fans",
            &[fans.fan_in, fans.fan_out],
            &[fan_in, fan_out],
            Tolerance::EXACT,
        )?;
    }
    moments(initializer, &target, &law)?;
    let mut drawn = Vec::with_capacity(DRAWS + target.len());
    for seed in 0.. {
        if drawn.len() >= DRAWS {
            break;
        }
        let values = initializer
            .values(&target, Key::from_seed(seed))
            .map_err(failed)?;
        drawn.extend(values.into_iter().map(f64::from));
    }
    follows(&drawn, &law)
}

/// The moments that the initialiser announces are the law's.
pub(super) fn moments(
    initializer: &dyn Initializer,
    target: &Target,
    law: &Law,
) -> Result<(), Outcome> {
    let (mean, std) = initializer
        .moments(target)
        .ok_or_else(|| failed("no known moments"))?;
    let tolerance = Tolerance {
        abs: 1e-9 + 1e-8 * law.std,
        rel: 1e-7,
    };
    close(
        "mean and std of the formula",
        &[mean, std],
        &[law.mean, law.std],
        tolerance,
    )
}

/// Bounds, first two moments, and Kolmogorov–Smirnov at the 0.01 % point; the
/// keys are fixed, so what passes once passes always.
pub(super) fn follows(drawn: &[f64], law: &Law) -> Result<(), Outcome> {
    let n = drawn.len() as f64;
    let slack = 1e-6 * law.std.max(law.mean.abs());
    if let Some(&x) = drawn
        .iter()
        .find(|&&x| x < law.low - slack || x > law.high + slack)
    {
        return Err(failed(format!(
            "{x} lies outside {}..{}",
            law.low, law.high
        )));
    }
    let mean = drawn.iter().sum::<f64>() / n;
    let variance = drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    close(
        "mean drawn",
        &[mean],
        &[law.mean],
        Tolerance::abs(slack + 5.0 * law.std / n.sqrt()),
    )?;
    // The standard error of a normal's deviation, the widest of the laws here.
    let error = law.std * 5.0 / (2.0 * n).sqrt();
    close(
        "std drawn",
        &[variance.sqrt()],
        &[law.std],
        Tolerance::abs(slack + error),
    )?;
    if matches!(law.kind, Kind::Constant) {
        return Ok(());
    }
    let mut sorted = drawn.to_vec();
    sorted.sort_by(f64::total_cmp);
    let distance = (sorted.iter().enumerate())
        .map(|(i, &x)| {
            let p = law.below(x);
            (p - i as f64 / n).abs().max((p - (i + 1) as f64 / n).abs())
        })
        .fold(0.0, f64::max);
    match distance * n.sqrt() {
        d if d < 2.23 => Ok(()),
        d => Err(failed(format!(
            "Kolmogorov–Smirnov distance {d:.3}, expected below 2.23"
        ))),
    }
}
