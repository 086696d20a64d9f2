//! Losses by name: what recipes reach.

use firecraft_spec::{Kind, Registries, Registry, Spec, SpecError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Asymmetric, BinaryCrossEntropy, CrossEntropy, JensenShannon, Loss, RegressionLoss};

/// The losses that specs describe: `cross_entropy`, `binary_cross_entropy`,
/// `asymmetric`, `jensen_shannon`, `regression`.
///
/// A loss of one's own gets a name in the same registry:
///
/// ```
/// use burn::tensor::Tensor;
/// use firecraft_spec::{Registries, Spec};
/// use firecraft_trainer::{CrossEntropy, Loss, LossTypes, Targets, register};
///
/// /// Cross-entropy times a number.
/// #[derive(serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Scaled {
///     factor: f64,
/// }
///
/// impl Loss for Scaled {
///     fn forward(&self, x: Tensor<2>, y: &Targets, w: Option<&Tensor<1>>) -> Tensor<1> {
///         CrossEntropy::new().forward(x, y, w) * self.factor
///     }
/// }
///
/// let mut registries = Registries::new();
/// register(&mut registries)?;
/// registries.get_mut::<LossTypes>().register("scaled", "times a number", |spec, _| {
///     Ok(Box::new(spec.parse::<Scaled>()?))
/// })?;
/// let spec = Spec::new("scaled").with("factor", 2.0);
/// assert!(registries.build::<LossTypes>(&spec).is_ok());
///
/// let wrong = Spec::new("cross_entropy").with("label_smoothing", 1.5);
/// assert_eq!(
///     registries.build::<LossTypes>(&wrong).err().unwrap().to_string(),
///     "cross_entropy: `label_smoothing` is 1.5, allowed is [0, 1)",
/// );
/// # Ok::<(), firecraft_spec::SpecError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LossTypes;

impl Kind for LossTypes {
    type Object = dyn Loss;
    const NAME: &'static str = "loss";
}

/// A loss that has a name.
///
/// ```
/// use firecraft_trainer::{CrossEntropy, LossConfig};
///
/// let spec = CrossEntropy::new().with_label_smoothing(0.1).spec()?;
/// assert_eq!(spec.to_string(), r#"{ type = "cross_entropy", label_smoothing = 0.1 }"#);
/// # Ok::<(), firecraft_spec::SpecError>(())
/// ```
pub trait LossConfig: Loss + Serialize + DeserializeOwned + 'static {
    /// Its `type` in specs.
    const NAME: &'static str;
    /// What it is for, in one line.
    const SUMMARY: &'static str;

    /// The spec that describes it.
    ///
    /// # Errors
    ///
    /// [`SpecError`] for a number that a spec can't hold.
    fn spec(&self) -> Result<Spec, SpecError> {
        Spec::from_config(Self::NAME, self)
    }
}

impl LossConfig for CrossEntropy {
    const NAME: &'static str = "cross_entropy";
    const SUMMARY: &'static str = "one class per sample, or probabilities of the classes";
}

impl LossConfig for BinaryCrossEntropy {
    const NAME: &'static str = "binary_cross_entropy";
    const SUMMARY: &'static str = "labels that don't exclude each other";
}

impl LossConfig for Asymmetric {
    const NAME: &'static str = "asymmetric";
    const SUMMARY: &'static str = "many easy negatives";
}

impl LossConfig for JensenShannon {
    const NAME: &'static str = "jensen_shannon";
    const SUMMARY: &'static str = "several augmentations of each sample (AugMix)";
}

impl LossConfig for RegressionLoss {
    const NAME: &'static str = "regression";
    const SUMMARY: &'static str = "numbers: squared, absolute or Huber";
}

/// Adds every loss of this crate.
pub(crate) fn register(registries: &mut Registries) -> Result<(), SpecError> {
    let registry = registries.get_mut::<LossTypes>();
    add::<CrossEntropy>(registry)?;
    add::<BinaryCrossEntropy>(registry)?;
    add::<Asymmetric>(registry)?;
    add::<JensenShannon>(registry)?;
    add::<RegressionLoss>(registry)
}

fn add<L: LossConfig>(registry: &mut Registry<LossTypes>) -> Result<(), SpecError> {
    registry.register(L::NAME, L::SUMMARY, |spec, _| {
        let loss: L = spec.parse()?;
        loss.check().map_err(SpecError::invalid)?;
        Ok(Box::new(loss))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::{Answers, Reduction, SmoothTowards};
    use crate::source::Targets;
    use burn::tensor::{Device, Int, Tensor};

    fn registries() -> Registries {
        let mut registries = Registries::new();
        register(&mut registries).unwrap();
        registries
    }

    /// What a loss says of three samples, from its settings and from the spec
    /// that they write, through TOML and JSON.
    fn round_trip<L: LossConfig + PartialEq + std::fmt::Debug>(loss: &L) {
        let spec = loss.spec().unwrap();
        let toml: Spec = toml::from_str(&toml::to_string(&spec).unwrap()).unwrap();
        let json: Spec = serde_json::from_str(&serde_json::to_string(&spec).unwrap()).unwrap();
        assert_eq!((&toml, &json), (&spec, &spec));
        assert_eq!(&toml.parse::<L>().unwrap(), loss);
        let built = registries().build::<LossTypes>(&toml).unwrap();
        let value = |loss: &dyn Loss| {
            let device = Device::flex();
            let said = [[1.0f32, -2.0, 0.3], [0.2, 0.1, 4.0], [-1.0, 0.0, 0.5]];
            let said = Tensor::<2>::from_data(said, &device);
            let classes = Tensor::<1, Int>::from_data([0, 2, 1], &device);
            let loss = loss.forward(said, &Targets::Classes(classes), None);
            loss.into_scalar::<f32>()
        };
        assert_eq!(value(&*built), value(loss), "{spec}");
        assert_eq!(built.answers(), loss.answers());
        assert_eq!(built.views(), loss.views());
        let odd = spec.with("colour", "red");
        let error = registries().build::<LossTypes>(&odd).err().unwrap();
        assert!(error.to_string().contains("`colour`"), "{error}");
    }

    #[test]
    fn every_loss_comes_back_from_the_spec_that_it_writes() {
        round_trip(
            &CrossEntropy::new()
                .with_label_smoothing(0.2)
                .with_class_weights(vec![1.0, 2.0, 0.5])
                .with_reduction(Reduction::Sum),
        );
        round_trip(&BinaryCrossEntropy {
            label_smoothing: 0.1,
            towards: SmoothTowards::Half,
            threshold: Some(0.3),
            sum_classes: true,
            reduction: Reduction::MeanOverCount,
        });
        round_trip(&Asymmetric::multi_label());
        round_trip(&JensenShannon {
            splits: 3,
            alpha: 6.0,
            label_smoothing: 0.0,
        });
        round_trip(&RegressionLoss::huber(0.7).with_reduction(Reduction::Sum));
        round_trip(&RegressionLoss::absolute());
        let registries = registries();
        let names: Vec<&str> = registries.get::<LossTypes>().unwrap().names().collect();
        let all = [
            "asymmetric",
            "binary_cross_entropy",
            "cross_entropy",
            "jensen_shannon",
            "regression",
        ];
        assert_eq!(names, all, "each has its line above");
    }

    #[test]
    fn defaults_are_those_of_the_peers_and_regression_answers_with_numbers() {
        let built = |name| registries().build::<LossTypes>(&Spec::new(name)).unwrap();
        assert_eq!(built("jensen_shannon").views(), 3);
        assert_eq!(built("regression").answers(), Answers::Numbers);
        assert_eq!(built("binary_cross_entropy").answers(), Answers::Classes);
    }

    #[test]
    fn values_out_of_range_and_unknown_names_are_refused_by_name() {
        let huber = Spec::new("huber").with("delta", -1.0);
        for (spec, parts) in [
            (
                Spec::new("binary_cross_entropy").with("label_smoothing", 1.0),
                ["label_smoothing", "[0, 1)"],
            ),
            (
                Spec::new("asymmetric").with("gamma_negative", -1.0),
                ["gamma_negative", "[0, ∞)"],
            ),
            (
                Spec::new("jensen_shannon").with("splits", 1),
                ["splits", "at least 2"],
            ),
            (
                Spec::new("regression").with("rule", huber),
                ["delta", "(0, ∞)"],
            ),
            (
                Spec::new("regression").with("rule", Spec::new("cubic")),
                ["cubic", "absolute"],
            ),
            (Spec::new("crossentropy"), ["did you mean", "cross_entropy"]),
        ] {
            let error = registries().build::<LossTypes>(&spec).err().unwrap();
            let error = error.to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
    }
}
