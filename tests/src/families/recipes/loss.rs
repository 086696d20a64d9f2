//! Cross-entropy in the peers' spellings.

use burn::tensor::{Device, Int, Tensor, TensorData};
use firecraft::trainer::{
    Asymmetric, BinaryCrossEntropy, CrossEntropy, JensenShannon, Loss, Reduction, RegressionLoss,
    Targets, smooth_labels,
};

use crate::{
    compare::{Tolerance, close_f32},
    families::{Outcome, failed},
    golden::{self, Case, Field},
};

pub(super) fn torch(case: &Case) -> Result<(), Outcome> {
    let args = case.args();
    only(
        &args,
        &["label_smoothing", "weight", "ignore_index", "reduction"],
    )?;
    let mut loss =
        CrossEntropy::new().with_label_smoothing(args.get("label_smoothing").or(0.0, Field::f64)?);
    if let Some(weights) = args.get("weight").optional(Field::f64s)? {
        loss = loss.with_class_weights(weights);
    }
    let classes = case.get("target").usizes()?;
    // A sample whose class is ignored has no weight.
    let weights = args
        .get("ignore_index")
        .optional(Field::usize)?
        .map(|ignored| weight_of(&classes, |class| class != ignored));
    let reduced = match args.get("reduction").or("mean", Field::str)? {
        "mean" => loss,
        "sum" => loss.with_reduction(Reduction::Sum),
        "none" => {
            return compare(
                case,
                "logits",
                &Target::Classes(classes),
                &Each(loss, weights),
            );
        }
        _ => return Err(Outcome::Unsupported),
    };
    reduced.check().map_err(failed)?;
    compare(
        case,
        "logits",
        &Target::Classes(classes),
        &Whole(reduced, weights),
    )
}

pub(super) fn torch_soft(case: &Case) -> Result<(), Outcome> {
    only(&case.args(), &["label_smoothing", "weight", "reduction"])?;
    let args = case.args();
    let mut loss =
        CrossEntropy::new().with_label_smoothing(args.get("label_smoothing").or(0.0, Field::f64)?);
    if let Some(weights) = args.get("weight").optional(Field::f64s)? {
        loss = loss.with_class_weights(weights);
    }
    let target = Target::Values(case.get("target").tensor()?);
    match args.get("reduction").or("mean", Field::str)? {
        "mean" => compare(case, "logits", &target, &Whole(loss, None)),
        "sum" => {
            let loss = loss.with_reduction(Reduction::Sum);
            compare(case, "logits", &target, &Whole(loss, None))
        }
        _ => Err(Outcome::Unsupported),
    }
}

pub(super) fn timm(case: &Case) -> Result<(), Outcome> {
    let args = case.args();
    let target = if case.get("target").json().is_array() {
        Target::Classes(case.get("target").usizes()?)
    } else {
        Target::Values(case.get("target").tensor()?)
    };
    match case.name() {
        "LabelSmoothingCrossEntropy" => {
            only(&args, &["smoothing"])?;
            let smoothing = args.get("smoothing").or(0.1, Field::f64)?;
            let loss = CrossEntropy::new().with_label_smoothing(smoothing);
            compare(case, "logits", &target, &Whole(loss, None))
        }
        "SoftTargetCrossEntropy" => {
            only(&args, &[])?;
            compare(case, "logits", &target, &Whole(CrossEntropy::new(), None))
        }
        "BinaryCrossEntropy" => {
            only(&args, &["smoothing", "target_threshold", "sum_classes"])?;
            // timm smooths class indices, not dense labels.
            let smoothing = match target {
                Target::Classes(_) => args.get("smoothing").or(0.1, Field::f64)?,
                Target::Values(_) => 0.0,
            };
            let loss = BinaryCrossEntropy {
                label_smoothing: smoothing,
                threshold: args.get("target_threshold").optional(Field::f64)?,
                sum_classes: args.get("sum_classes").or(false, Field::bool)?,
                ..BinaryCrossEntropy::timm()
            };
            compare(case, "logits", &target, &Whole(loss, None))
        }
        "JsdCrossEntropy" => {
            only(&args, &["num_splits", "alpha", "smoothing"])?;
            let default = JensenShannon::timm();
            let loss = JensenShannon {
                splits: args.get("num_splits").or(default.splits, Field::usize)?,
                alpha: args.get("alpha").or(default.alpha, Field::f64)?,
                label_smoothing: args
                    .get("smoothing")
                    .or(default.label_smoothing, Field::f64)?,
            };
            compare(case, "logits", &target, &Whole(loss, None))
        }
        "AsymmetricLossSingleLabel" => {
            only(&args, &["gamma_pos", "gamma_neg", "eps"])?;
            let default = Asymmetric::single_label();
            let loss = Asymmetric {
                gamma_positive: args
                    .get("gamma_pos")
                    .or(default.gamma_positive, Field::f64)?,
                gamma_negative: args
                    .get("gamma_neg")
                    .or(default.gamma_negative, Field::f64)?,
                label_smoothing: args.get("eps").or(default.label_smoothing, Field::f64)?,
                ..default
            };
            compare(case, "logits", &target, &Whole(loss, None))
        }
        "AsymmetricLossMultiLabel" => {
            only(&args, &["gamma_pos", "gamma_neg", "clip"])?;
            let default = Asymmetric::multi_label();
            let loss = Asymmetric {
                gamma_positive: args
                    .get("gamma_pos")
                    .or(default.gamma_positive, Field::f64)?,
                gamma_negative: args
                    .get("gamma_neg")
                    .or(default.gamma_negative, Field::f64)?,
                clip: args.get("clip").or(default.clip, Field::f64)?,
                ..default
            };
            compare(case, "logits", &target, &Whole(loss, None))
        }
        _ => Err(Outcome::Unsupported),
    }
}

pub(super) fn keras(case: &Case) -> Result<(), Outcome> {
    let args = case.args();
    let logits = args.get("from_logits").or(false, Field::bool)?;
    let weights = case.get("sample_weight").optional(Field::f64s)?;
    let mut weights: Option<Vec<f32>> =
        weights.map(|weights| weights.into_iter().map(|weight| weight as f32).collect());
    let reduction = match args
        .get("reduction")
        .or("sum_over_batch_size", Field::str)?
    {
        "sum_over_batch_size" | "mean" => Reduction::MeanOverCount,
        "mean_with_sample_weight" => Reduction::Mean,
        "sum" => Reduction::Sum,
        _ => return Err(Outcome::Unsupported),
    };
    let smoothing = args.get("label_smoothing").or(0.0, Field::f64)?;
    match case.name() {
        "CategoricalCrossentropy" if logits => {
            only(&args, &["label_smoothing", "from_logits", "reduction"])?;
            let target = Target::Values(case.get("y_true").tensor()?);
            let loss = CrossEntropy::new()
                .with_label_smoothing(smoothing)
                .with_reduction(reduction);
            compare(case, "y_pred", &target, &Whole(loss, weights))
        }
        "SparseCategoricalCrossentropy" if logits => {
            only(&args, &["from_logits", "reduction", "ignore_class"])?;
            let labels = case.get("y_true").tensor()?.data;
            let classes: Vec<usize> = labels.iter().map(|&label| label as usize).collect();
            let mut reduction = reduction;
            if let Some(ignored) = args.get("ignore_class").optional(Field::usize)? {
                // Keras masks the ignored samples and divides by the others.
                let mask = weight_of(&classes, |class| class != ignored);
                match &mut weights {
                    None => {
                        weights = Some(mask);
                        if reduction == Reduction::MeanOverCount {
                            reduction = Reduction::Mean;
                        }
                    }
                    Some(_) => return Err(Outcome::Unsupported),
                }
            }
            let loss = CrossEntropy::new().with_reduction(reduction);
            compare(
                case,
                "y_pred",
                &Target::Classes(classes),
                &Whole(loss, weights),
            )
        }
        "BinaryCrossentropy" if logits => {
            only(&args, &["label_smoothing", "from_logits", "reduction"])?;
            let target = Target::Values(case.get("y_true").tensor()?);
            let loss = BinaryCrossEntropy {
                label_smoothing: smoothing,
                reduction,
                ..BinaryCrossEntropy::keras()
            };
            compare(case, "y_pred", &target, &Whole(loss, weights))
        }
        "MeanSquaredError" | "MeanAbsoluteError" | "Huber" => {
            only(&args, &["reduction", "delta"])?;
            let target = Target::Values(case.get("y_true").tensor()?);
            let loss = match case.name() {
                "MeanSquaredError" => RegressionLoss::squared(),
                "MeanAbsoluteError" => RegressionLoss::absolute(),
                _ => RegressionLoss::huber(args.get("delta").or(1.0, Field::f64)?),
            };
            compare(
                case,
                "y_pred",
                &target,
                &Whole(loss.with_reduction(reduction), weights),
            )
        }
        _ => Err(Outcome::Unsupported),
    }
}

/// optax' `smooth_labels`.
pub(super) fn optax_smooth(case: &Case) -> Result<(), Outcome> {
    let labels = case.get("labels").tensor()?;
    let &[rows, classes] = labels.shape.as_slice() else {
        return Err(Outcome::Unsupported);
    };
    let data = TensorData::new(labels.f32s(), [rows, classes]);
    let labels = Tensor::<2>::from_data(data, &Device::flex());
    let got = smooth_labels(labels, case.get("alpha").f64()?)
        .try_into_vec_as::<f32>()
        .map_err(failed)?;
    close_f32(
        "out",
        &got,
        &case.get("out").tensor()?.data,
        Tolerance::TENSOR,
    )
}

fn weight_of(classes: &[usize], counts: impl Fn(usize) -> bool) -> Vec<f32> {
    let weight = |&class: &usize| if counts(class) { 1.0 } else { 0.0 };
    classes.iter().map(weight).collect()
}

enum Target {
    Classes(Vec<usize>),
    Values(golden::Tensor),
}

/// How a loss is called.
trait Call {
    fn call(&self, logits: Tensor<2>, targets: &Targets) -> Tensor<1>;
}

/// A loss of the batch, with sample weights.
struct Whole<L>(L, Option<Vec<f32>>);

/// The loss of each sample, times its weight.
struct Each(CrossEntropy, Option<Vec<f32>>);

impl<L: Loss> Call for Whole<L> {
    fn call(&self, logits: Tensor<2>, targets: &Targets) -> Tensor<1> {
        let weights = self.1.as_deref();
        let weights = weights.map(|w| Tensor::<1>::from_data(w, &logits.device()));
        Loss::forward(&self.0, logits, targets, weights.as_ref())
    }
}

impl Call for Each {
    fn call(&self, logits: Tensor<2>, targets: &Targets) -> Tensor<1> {
        let weights = self.1.as_deref();
        let weights = weights.map(|w| Tensor::<1>::from_data(w, &logits.device()));
        let each = self.0.each(logits, targets);
        match weights {
            Some(weights) => each * weights,
            None => each,
        }
    }
}

fn compare(case: &Case, logits: &str, target: &Target, loss: &impl Call) -> Result<(), Outcome> {
    let device = Device::flex().autodiff();
    let logits = case.get(logits).tensor()?;
    let leaf = Tensor::<3>::from_data(positions(&logits)?, &device).require_grad();
    let targets = match target {
        Target::Classes(classes) => {
            let classes: Vec<i64> = classes.iter().map(|&class| class as i64).collect();
            Targets::Classes(Tensor::<1, Int>::from_data(classes.as_slice(), &device))
        }
        Target::Values(values) => {
            let values = Tensor::<3>::from_data(positions(values)?, &device);
            Targets::Values(classes_last(values))
        }
    };
    let value = loss.call(classes_last(leaf.clone()), &targets);

    let got = value.clone().try_into_vec_as::<f32>().map_err(failed)?;
    close_f32(
        "loss",
        &got,
        &case.get("loss").tensor()?.data,
        Tolerance::TENSOR,
    )?;
    if case.has("glogits") {
        let gradient = leaf
            .grad(&value.sum().backward())
            .ok_or_else(|| failed("no gradient"))?;
        let got = gradient.try_into_vec_as::<f32>().map_err(failed)?;
        close_f32(
            "glogits",
            &got,
            &case.get("glogits").tensor()?.data,
            Tolerance::TENSOR,
        )?;
    }
    Ok(())
}

/// `[N, K, …]` as `[N, K, positions]`.
fn positions(tensor: &golden::Tensor) -> Result<TensorData, Outcome> {
    let [n, k, rest @ ..] = tensor.shape.as_slice() else {
        return Err(failed(format!(
            "expected [N, K, …], found {:?}",
            tensor.shape
        )));
    };
    Ok(TensorData::new(
        tensor.f32s(),
        [*n, *k, rest.iter().product()],
    ))
}

/// Every position is a sample of its own.
fn classes_last(tensor: Tensor<3>) -> Tensor<2> {
    let [n, k, positions] = tensor.dims();
    tensor.swap_dims(1, 2).reshape([n * positions, k])
}

/// Arguments besides these mean something that is not there.
fn only(args: &Field<'_>, known: &[&str]) -> Result<(), Outcome> {
    if args.keys().iter().all(|key| known.contains(key)) {
        Ok(())
    } else {
        Err(Outcome::Unsupported)
    }
}
