//! Cross-entropy in the peers' spellings.

use burn::tensor::{Device, Int, Tensor, TensorData};
use firecraft::trainer::{CrossEntropy, Targets};

use crate::{
    compare::{Tolerance, close_f32},
    families::{Outcome, failed},
    golden::{self, Case, Field},
};

pub(super) fn torch(case: &Case) -> Result<(), Outcome> {
    let args = case.args();
    only(&args, &["label_smoothing", "weight", "ignore_index"])?;
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
        .map(|ignored| {
            classes
                .iter()
                .map(|&class| if class == ignored { 0.0 } else { 1.0 })
                .collect()
        });
    compare(
        case,
        &loss,
        &case.get("logits").tensor()?,
        &Target::Classes(classes),
        weights,
    )
}

pub(super) fn torch_soft(case: &Case) -> Result<(), Outcome> {
    only(&case.args(), &["label_smoothing"])?;
    let smoothing = case.args().get("label_smoothing").or(0.0, Field::f64)?;
    soft(case, "logits", "target", smoothing, None)
}

pub(super) fn timm(case: &Case) -> Result<(), Outcome> {
    only(&case.args(), &["smoothing"])?;
    let loss = CrossEntropy::new().with_label_smoothing(case.args().get("smoothing").f64()?);
    let classes = case.get("target").usizes()?;
    compare(
        case,
        &loss,
        &case.get("logits").tensor()?,
        &Target::Classes(classes),
        None,
    )
}

pub(super) fn timm_soft(case: &Case) -> Result<(), Outcome> {
    only(&case.args(), &[])?;
    soft(case, "logits", "target", 0.0, None)
}

pub(super) fn keras(case: &Case) -> Result<(), Outcome> {
    let args = case.args();
    only(&args, &["label_smoothing", "from_logits", "reduction"])?;
    let weights = keras_weights(case)?;
    let smoothing = args.get("label_smoothing").or(0.0, Field::f64)?;
    soft(case, "y_pred", "y_true", smoothing, weights)
}

pub(super) fn keras_sparse(case: &Case) -> Result<(), Outcome> {
    only(&case.args(), &["from_logits", "reduction"])?;
    let weights = keras_weights(case)?;
    let classes = case
        .get("y_true")
        .tensor()?
        .data
        .iter()
        .map(|&class| class as usize)
        .collect();
    let logits = case.get("y_pred").tensor()?;
    compare(
        case,
        &CrossEntropy::new(),
        &logits,
        &Target::Classes(classes),
        weights,
    )
}

/// Logits only; and weights only where the mean divides by their sum, as ours.
fn keras_weights(case: &Case) -> Result<Option<Vec<f32>>, Outcome> {
    let args = case.args();
    if !args.get("from_logits").or(false, Field::bool)? {
        return Err(Outcome::Unsupported);
    }
    let weights = case.get("sample_weight").optional(Field::f64s)?;
    let reduction = args
        .get("reduction")
        .or("sum_over_batch_size", Field::str)?;
    match (weights, reduction) {
        (None, "sum_over_batch_size") => Ok(None),
        (Some(weights), "mean_with_sample_weight") => Ok(Some(
            weights.into_iter().map(|weight| weight as f32).collect(),
        )),
        _ => Err(Outcome::Unsupported),
    }
}

enum Target {
    Classes(Vec<usize>),
    Probabilities(golden::Tensor),
}

fn soft(
    case: &Case,
    logits: &str,
    target: &str,
    smoothing: f64,
    weights: Option<Vec<f32>>,
) -> Result<(), Outcome> {
    let loss = CrossEntropy::new().with_label_smoothing(smoothing);
    let target = Target::Probabilities(case.get(target).tensor()?);
    compare(case, &loss, &case.get(logits).tensor()?, &target, weights)
}

fn compare(
    case: &Case,
    loss: &CrossEntropy,
    logits: &golden::Tensor,
    target: &Target,
    weights: Option<Vec<f32>>,
) -> Result<(), Outcome> {
    loss.check().map_err(failed)?;
    let device = Device::flex().autodiff();
    let leaf = Tensor::<3>::from_data(positions(logits)?, &device).require_grad();
    let targets = match target {
        Target::Classes(classes) => {
            let classes: Vec<i64> = classes.iter().map(|&class| class as i64).collect();
            Targets::Classes(Tensor::<1, Int>::from_data(classes.as_slice(), &device))
        }
        Target::Probabilities(probabilities) => {
            let probabilities = Tensor::<3>::from_data(positions(probabilities)?, &device);
            Targets::Probabilities(classes_last(probabilities))
        }
    };
    let weights = weights.map(|w| Tensor::<1>::from_data(w.as_slice(), &device));
    let value = loss.forward(classes_last(leaf.clone()), &targets, weights.as_ref());

    let got = value.clone().try_into_vec_as::<f32>().map_err(failed)?;
    close_f32(
        "loss",
        &got,
        &case.get("loss").tensor()?.data,
        Tolerance::TENSOR,
    )?;
    if case.has("glogits") {
        let gradient = leaf
            .grad(&value.backward())
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
