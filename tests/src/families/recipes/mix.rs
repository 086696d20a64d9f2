//! Mixed batches, with the draws of the peer.

use crate::compare::{Tolerance, close, equal};
use crate::families::{Outcome, failed};
use crate::golden::{Case, Field, Tensor};
use firecraft::augment::{Mix, MixHow, MixPlan, Region, Size, cut_region, one_hot};

pub(super) fn check(case: &Case) -> Result<(), Outcome> {
    let x = case.get("x").tensor()?;
    let batch = x.shape[0];
    // Keras has the channels last.
    let (channels, size) = match (case.peer(), &x.shape[1..]) {
        ("keras", [height, width, channels]) => (*channels, Size::new(*height, *width)),
        (_, [channels, height, width]) => (*channels, Size::new(*height, *width)),
        _ => return Err(Outcome::Unsupported),
    };
    let mut plan = plan(case, batch, size)?;
    if case.has("smoothing") {
        plan.label_smoothing = case.get("smoothing").f64()?;
    }
    let mut images = x.f32s();
    // A blend doesn't care about the order of channels; a rectangle does.
    let pastes = plan.pairs.iter().any(|mix| mix.how != MixHow::Blend);
    if case.peer() == "keras" && pastes {
        return Err(Outcome::Unsupported);
    }
    plan.apply(&mut images, size, channels).map_err(failed)?;
    let widened = |values: &[f32]| values.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
    close(
        "x",
        &widened(&images),
        &case.get("out_x").tensor()?.data,
        Tolerance::TENSOR,
    )?;
    let labels = plan.labels(&labels(case)?).map_err(failed)?;
    close(
        "y",
        &widened(&labels),
        &case.get("out_y").tensor()?.data,
        Tolerance::TENSOR,
    )
}

/// One row of classes per sample, as given or from class indices.
fn labels(case: &Case) -> Result<Vec<f32>, Outcome> {
    let y = case.get("y");
    if let Ok(rows) = y.tensor() {
        return Ok(Tensor::f32s(&rows));
    }
    one_hot(&y.usizes()?, case.get("num_classes").usize()?, 0.0).map_err(failed)
}

fn plan(case: &Case, batch: usize, size: Size) -> Result<MixPlan, Outcome> {
    let name = case.name();
    let partner = |i: usize| match case.peer() {
        "torchvision" => Ok((i + batch - 1) % batch),
        "timm" => Ok(batch - 1 - i),
        _ => case.get("permutation").usizes().map(|order| order[i]),
    };
    // Batch modes give one weight, element modes one per sample.
    let field = if case.peer() == "keras" {
        "mix_weight"
    } else {
        "lam"
    };
    let given = case.get(field);
    let weights = if given.json().is_array() {
        given.f64s()?
    } else {
        vec![given.f64()?; batch]
    };
    let (how, weights) = if name.contains("CutMix") {
        let region = region(case, size, weights[0])?;
        let shown = 1.0 - region.size.area() as f64 / size.area() as f64;
        if case.has("lam_adjusted") {
            let want = case.get("lam_adjusted").f64()?;
            close("lam_adjusted", &[shown], &[want], Tolerance::abs(1e-9))?;
        }
        (MixHow::Paste(region), vec![shown; batch])
    } else {
        (MixHow::Blend, weights)
    };
    let outputs = if name.contains("half") {
        batch / 2
    } else {
        batch
    };
    let pairs = (0..outputs)
        .map(|i| {
            Ok(Mix {
                partner: partner(i)?,
                weight: weights[i],
                how,
            })
        })
        .collect::<Result<_, Outcome>>()?;
    Ok(MixPlan {
        pairs,
        label_smoothing: 0.0,
    })
}

/// The rectangle of CutMix, which has to be the peer's.
fn region(case: &Case, size: Size, lambda: f64) -> Result<Region, Outcome> {
    let corners = |field: &Field<'_>| field.usizes();
    let centre = corners(&case.get("center"))?;
    let region = cut_region(size, (centre[0], centre[1]), lambda);
    let (right, bottom) = (
        region.left + region.size.width,
        region.top + region.size.height,
    );
    let got = vec![region.left, region.top, right, bottom];
    equal("box_xyxy", got, corners(&case.get("box_xyxy"))?)?;
    Ok(region)
}
