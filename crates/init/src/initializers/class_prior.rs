//! Head biases that start at the class frequencies.

use crate::initializer::same_length;
use crate::{InitError, Initializer, Target};
use firecraft_key::Key;
use firecraft_spec::{Spec, SpecError};
use serde::{Deserialize, Serialize};

/// What follows the layer whose bias it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// One class out of many: `bᵢ = ln pᵢ`, shifted to mean 0.
    #[default]
    Softmax,
    /// Every class for itself: `bᵢ = ln(pᵢ / (1 − pᵢ))`.
    Sigmoid,
}

/// The bias of a classifier that predicts the class frequencies before it has
/// learnt anything, so that the first updates need not find them: the loss
/// starts at the entropy of the classes, and rare classes don't swamp the
/// gradient (Lin et al. 2017 for the sigmoid).
///
/// ```
/// use firecraft_init::{ClassPrior, Initializer, Layout, Target};
/// use firecraft_key::Key;
/// let bias = ClassPrior::softmax([90, 10]);
/// let values = bias.values(&Target::new(&[2], Layout::Elementwise), Key::from_seed(0))?;
/// assert!((values[0] - values[1] - 9_f32.ln()).abs() < 1e-6);
/// # Ok::<(), firecraft_init::InitError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassPrior {
    /// Positive weight of each class: counts or probabilities (for
    /// [`Link::Sigmoid`] probabilities).
    pub weights: Vec<f64>,
    /// What follows the layer.
    #[serde(default)]
    pub link: Link,
}

impl ClassPrior {
    /// For a softmax over classes that occurred so often.
    #[must_use]
    pub fn softmax(counts: impl IntoIterator<Item = u64>) -> Self {
        Self {
            weights: counts.into_iter().map(|n| n as f64).collect(),
            link: Link::Softmax,
        }
    }

    /// For independent classes of these probabilities.
    #[must_use]
    pub fn sigmoid(probabilities: impl IntoIterator<Item = f64>) -> Self {
        Self {
            weights: probabilities.into_iter().collect(),
            link: Link::Sigmoid,
        }
    }
}

impl Initializer for ClassPrior {
    fn name(&self) -> &str {
        "class_prior"
    }

    fn validate(&self) -> Result<(), InitError> {
        let most = match self.link {
            Link::Softmax => f64::MAX,
            Link::Sigmoid => 1.0,
        };
        let wrong = |&&p: &&f64| !(p > 0.0 && p < most);
        match self.weights.iter().find(wrong) {
            None => Ok(()),
            Some(p) => Err(InitError::setting(
                "class_prior",
                "weights",
                p,
                match self.link {
                    Link::Softmax => "numbers > 0: give classes that never occur a count of 1",
                    Link::Sigmoid => "probabilities inside (0, 1)",
                },
            )),
        }
    }

    fn check(&self, target: &Target) -> Result<(), InitError> {
        self.validate()?;
        if target.shape == [self.weights.len()] {
            return Ok(());
        }
        let expected = format!("a bias of its {} classes", self.weights.len());
        Err(InitError::shape("class_prior", expected, &target.shape))
    }

    fn to_spec(&self) -> Result<Spec, SpecError> {
        Spec::from_config("class_prior", self)
    }

    fn fill(&self, target: &Target, out: &mut [f32], _: Key) -> Result<(), InitError> {
        self.check(target)?;
        same_length(target, out)?;
        let logits: Vec<f64> = (self.weights.iter())
            .map(|&p| match self.link {
                Link::Softmax => libm::log(p),
                Link::Sigmoid => libm::log(p) - libm::log1p(-p),
            })
            .collect();
        let shift = match self.link {
            Link::Softmax => logits.iter().sum::<f64>() / logits.len() as f64,
            Link::Sigmoid => 0.0,
        };
        (out.iter_mut().zip(logits)).for_each(|(out, logit)| *out = (logit - shift) as f32);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layout;

    fn values(prior: &ClassPrior) -> Vec<f32> {
        let target = Target::new(&[prior.weights.len()], Layout::Elementwise);
        prior.values(&target, Key::from_seed(0)).unwrap()
    }

    #[test]
    fn the_softmax_of_the_bias_is_the_prior() {
        let bias = values(&ClassPrior::softmax([5, 3, 2]));
        let sum: f32 = bias.iter().map(|b| b.exp()).sum();
        for (b, p) in bias.iter().zip([0.5, 0.3, 0.2]) {
            assert!((b.exp() / sum - p).abs() < 1e-6);
        }
        assert!(bias.iter().sum::<f32>().abs() < 1e-6);
    }

    #[test]
    fn the_sigmoid_of_the_bias_is_the_prior() {
        let bias = values(&ClassPrior::sigmoid([0.01, 0.7]));
        for (b, p) in bias.iter().zip([0.01, 0.7]) {
            assert!((1.0 / (1.0 + (-b).exp()) - p).abs() < 1e-6);
        }
    }

    #[test]
    fn empty_classes_and_other_sizes_are_errors() {
        assert!(ClassPrior::softmax([1, 0]).validate().is_err());
        assert!(ClassPrior::sigmoid([1.0]).validate().is_err());
        let target = Target::new(&[3], Layout::Elementwise);
        let error = ClassPrior::softmax([1, 2]).check(&target).unwrap_err();
        assert!(error.to_string().contains("its 2 classes"), "{error}");
    }
}
