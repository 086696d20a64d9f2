//! The initialisers, one file each.

mod class_prior;
mod constant;
mod delta_orthogonal;
mod dirac;
mod fan_uniform;
mod identity;
mod normal;
mod orthogonal;
mod scaled;
mod sparse;
mod stft;
mod truncated_normal;
mod uniform;
mod variance_scaling;

pub use class_prior::{ClassPrior, Link};
pub use constant::Constant;
pub use delta_orthogonal::DeltaOrthogonal;
pub use dirac::Dirac;
pub use fan_uniform::FanUniform;
pub use identity::Identity;
pub use normal::Normal;
pub use orthogonal::{MatrixView, Orthogonal};
pub use scaled::Scaled;
pub use sparse::Sparse;
pub use stft::{Scaling, Side, Stft, Window};
pub use truncated_normal::{Bounds, TruncatedNormal};
pub use uniform::Uniform;
pub use variance_scaling::{Distribution, VarianceScaling};

#[cfg(test)]
pub(crate) mod testing {
    use crate::{Initializer, Target};
    use firecraft_key::Key;

    /// Mean and standard deviation of what an initialiser draws.
    pub(crate) fn drawn(initializer: &dyn Initializer, target: &Target) -> (f64, f64) {
        let values = initializer.values(target, Key::from_seed(9)).unwrap();
        let n = values.len() as f64;
        let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
        let square: f64 = values.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum();
        (mean, (square / n).sqrt())
    }
}
